/** DATA and a message, in an envelope that the caller opened himself: Python's `data()`. */
import { Command } from "../core/command.ts";
import { HiddenEndError } from "../core/hidden-end.ts";
import { type EightBitPolicy, eightBitRefused, isSevenBitOnly } from "../core/plan.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPDataError } from "../errors.ts";
import type { Conversation } from "./conversation.ts";
import { makeDataTransfer } from "./data-transfer.ts";
import type { Content } from "./source.ts";

/**
 * Sends the content and gives the last reply, whatever it is.
 * @throws {SMTPDataError} if DATA is not answered with 354
 */
export function sendData(conversation: Conversation, content: Content, policy: EightBitPolicy): Promise<Reply> {
  const connection = conversation.live("not-sent");
  const { dialogue } = connection;
  const sevenBitOnly = isSevenBitOnly(conversation.introduction, policy);
  if (sevenBitOnly && content.eightBit === true) throw eightBitRefused();
  if (content.hiddenEnd === true) throw new HiddenEndError();
  connection.checkIdle();
  if (connection.end !== undefined) throw connection.end.toError({ delivery: "not-sent" });
  return new Promise((resolve, reject) => {
    const transfer = makeDataTransfer(connection, content, {
      ended() {},
      complete: (replies) => resolve(replies[replies.length - 1]?.reply ?? connection.greeting),
      undelivered: reject,
    });
    const expected = conversation.settings.protocol === "lmtp" ? Math.max(1, dialogue.acceptedRecipients) : 1;
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
