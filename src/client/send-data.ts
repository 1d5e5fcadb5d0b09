/** Python's `data()`: sends DATA and a message, after an envelope that the caller has sent. */
import { Command } from "../core/command.ts";
import { HiddenEndError } from "../core/hidden-end.ts";
import { type EightBitPolicy, eightBitRefused, isSevenBitOnly } from "../core/plan.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPDataError } from "../errors.ts";
import type { Content } from "./content.ts";
import { DataTransfer } from "./data-transfer.ts";
import type { Session } from "./session.ts";

/**
 * Sends the content and resolves with the last reply, whatever its code.
 * @throws {SMTPDataError} if the reply to DATA is not 354
 */
export function sendData(session: Session, content: Content, policy: EightBitPolicy): Promise<Reply> {
  const connection = session.requireConnection("not-sent");
  const { dialogue } = connection;
  const sevenBitOnly = isSevenBitOnly(session.serverInfo, policy);
  if (sevenBitOnly && content.eightBit === true) throw eightBitRefused();
  if (content.hiddenEnd === true) throw new HiddenEndError();
  connection.rejectUnsolicited();
  if (connection.end !== undefined) throw connection.end.toError({ delivery: "not-sent" });
  return new Promise((resolve, reject) => {
    const transfer = new DataTransfer(connection, content, {
      ended() {},
      complete: (replies) => resolve(replies[replies.length - 1]?.reply ?? connection.greeting),
      undelivered: reject,
    });
    const expected = session.settings.protocol === "lmtp" ? Math.max(1, dialogue.acceptedRecipients) : 1;
    const data = Command.data();
    data.receiver = {
      replied: (_, reply) =>
        reply.code === 354
          ? transfer.start(expected, sevenBitOnly)
          : reject(new SMTPDataError(reply.code, reply.message, { delivery: "rejected", reply: reply.reply })),
      lost: () => reject(connection.end?.toError({ delivery: "not-sent" })),
    };
    connection.send(data, transfer.endCommand);
    connection.flush();
  });
}
