/**
 * One message on a connection: MAIL, RCPT, then DATA or BDAT, and what became of it. Lock-step and pipelining differ
 * only in how far `advance()` goes. Each way out settles the outcome exactly once.
 */
import { Command, type ReplyReceiver } from "../core/command.ts";
import type { Plan } from "../core/plan.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { SMTPException } from "../errors.ts";
import type { InContext } from "./caller-context.ts";
import { ChunkTransfer } from "./chunk-transfer.ts";
import type { Connection } from "./connection.ts";
import { type DataTransfer, makeDataTransfer, type TransferObserver } from "./data-transfer.ts";
import { type Delivery, makeAnswers, type Parties } from "./outcome.ts";
import { sendRest } from "./portions.ts";
import { reset } from "./reset.ts";
import { disconnected } from "./session-end.ts";
import type { Content } from "./source.ts";

/** A message, checked and planned. */
export type Message = Parties & {
  readonly plan: Plan;
  readonly content: Content;
  /** The context of its call, where that is not the one in which it is sent and its caller's code may run. */
  readonly within?: InContext | undefined;
};

/** How the transaction goes about it. */
export type TransactionSettings = { readonly pipelining: boolean; readonly protocol: "smtp" | "lmtp" };

/** Who is told of a message: that the next one may begin, and, once or more often, of its outcome; the first one counts. */
export type MessageObserver = {
  letGo(): void;
  resolve(delivery: Delivery): void;
  reject(error: unknown): void;
};

/** Sends one message; the observer gets the exceptions that `sendmail` documents, each with `delivery`. */
export function runTransaction(
  connection: Connection,
  message: Message,
  settings: TransactionSettings,
  observer: MessageObserver,
): void {
  const { pipelining, protocol } = settings;
  const { dialogue } = connection;
  const { content, plan } = message;
  const answers = makeAnswers(message, protocol);
  const receiver: ReplyReceiver = { replied, lost };
  const ending: TransferObserver = { ended, complete, undelivered: (error) => observer.reject(error) };
  const data = plan.verb === "DATA" ? makeDataTransfer(connection, content, ending) : undefined;
  const commands = dialogue.transactionOpen ? [Command.simple("RSET")] : [];
  commands.push(plan.mail, ...plan.recipients);
  if (data) commands.push(Command.data());
  for (const command of commands) command.receiver = receiver;
  let sent = 0;
  let answered = 0;
  advance();

  /** A reply to one of the envelope's commands. */
  function replied(command: Command, reply: RawReply): void {
    answered++;
    answers.add(command, reply);
    if (command.verb === "RSET" && !isPositive(reply.code)) {
      connection.drop(disconnected(`RSET was refused: ${reply.code} ${reply.message}`));
    }
    // The connection is dropped next; nothing may be awaited that would hear of it.
    if (reply.code === 421 || connection.end) return lost();
    if (sent < commands.length && answers.nobodyLeft()) commands.length = sent;
    if (sent < commands.length) advance();
    else if (answered === sent) envelopeAnswered();
  }

  /** The session ended before the reply to one of the envelope's commands. */
  function lost(): void {
    observer.reject(answers.refusal() ?? connection.end?.toError({ delivery: "not-sent" }));
  }

  /** Behind BDAT LAST a MAIL that does not wait for the reply would need a RSET before it, which servers count. */
  function ended(): void {
    if (pipelining && data && !answers.full()) observer.letGo();
  }

  function complete(finalReplies: readonly RawReply[]): void {
    const outcome = answers.outcome(finalReplies);
    if (outcome instanceof SMTPException) observer.reject(outcome);
    else if (answers.full()) sendToOthers(outcome);
    else observer.resolve(outcome);
  }

  function sendToOthers(delivery: Delivery): void {
    const send = (rest: Message, its: MessageObserver): void => runTransaction(connection, rest, settings, its);
    sendRest(message, delivery, answers.rcpt, observer, send);
  }

  function advance(): void {
    connection.checkIdle();
    if (connection.end) return lost();
    while (sent < commands.length && (pipelining || dialogue.owed === 0)) {
      const command = commands[sent++];
      if (command) connection.send(command, command.verb === "DATA" ? data?.endCommand : undefined);
    }
    connection.flush();
  }

  function envelopeAnswered(): void {
    if (pipelining) connection.grouping = "proven";
    const refusal = answers.refusal();
    if (!refusal) {
      if (data) data.start(answers.expected(), plan.sevenBitOnly);
      else sendChunks();
    } else if (data && answers.dataAwaited()) endEmpty(data, refusal);
    else void resetThenFail(refusal);
  }

  function sendChunks(): void {
    const chunks = { ...plan, ...settings, expected: answers.expected() };
    new ChunkTransfer(connection, content, ending, chunks).start();
  }

  /** 354 although nobody is left to receive: an empty message ends it, its reply means nothing (RFC 2920 3.1). */
  function endEmpty({ endCommand }: DataTransfer, refusal: SMTPException): void {
    const fail = (): void => observer.reject(refusal);
    endCommand.receiver = { replied: fail, lost: fail };
    // Where an answer is here before the message, the answer to that would be taken for the one to the next command.
    if (protocol === "lmtp" || dialogue.leftover || dialogue.position !== "body") {
      return connection.drop(disconnected("the server asked for data that nobody would receive"));
    }
    connection.output.addText(".\r\n");
    dialogue.bodySent();
    connection.flush();
  }

  /** No accepted recipient of a failed transaction may remain for the next one (RFC 5321 4.1.1.5). */
  async function resetThenFail(refusal: SMTPException): Promise<void> {
    await reset(connection);
    observer.reject(refusal);
  }
}
