/** This client, used as documented: connect, sendmail, and QUIT in any case. */
import {
  LMTP,
  type Reply,
  SMTP,
  SMTPException,
  type SMTPOptions,
  SMTPPool,
  SMTPRecipientsRefused,
  SMTPServerDisconnected,
} from "../../../src/index.ts";
import { type Answer, type Claim, PATIENCE, type Task, textOf } from "../claims.ts";

/** A way to send: a session for one message, or a pool. */
export type Way = (task: Task, seconds?: number) => Promise<Answer>;

/** One session, with these options. */
export function bySession(options: SMTPOptions = {}): Way {
  return (task, seconds = PATIENCE) =>
    answerOf(task, async () => {
      const Client = task.protocol === "lmtp" ? LMTP : SMTP;
      const settings: SMTPOptions = { timeout: seconds, timeouts: { quit: seconds }, ...options };
      const smtp = await Client.connect("127.0.0.1", task.port, settings).catch((error: unknown) => {
        throw new NothingSent(error);
      });
      try {
        return await smtp.sendmail(task.from, task.to, textOf(task));
      } finally {
        await smtp.quit();
      }
    });
}

/** A pool, which retries by itself if that is safe. */
export function byPool(options: SMTPOptions = {}): Way {
  return (task, seconds = PATIENCE) =>
    answerOf(task, async () => {
      const settings = { timeout: seconds, timeouts: { quit: seconds }, reconnectFor: 0, ...options };
      const pool = new SMTPPool({ host: "127.0.0.1", port: task.port, protocol: task.protocol, ...settings });
      try {
        return await pool.sendmail(task.from, task.to, textOf(task));
      } finally {
        await pool.close();
      }
    });
}

/** No session began: the message was not passed to the client. */
class NothingSent extends Error {
  constructor(cause: unknown) {
    super(String(cause), { cause });
  }
}

async function answerOf(task: Task, send: () => ReturnType<SMTP["sendmail"]>): Promise<Answer> {
  try {
    const refused = await send();
    return answer(task, (recipient) => claimOfCode(refused[recipient]?.code), "");
  } catch (error) {
    const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const known = knownReplies(task, error);
    return answer(task, (to) => (known[to] ? claimOfCode(known[to].code) : claimOf(error)), words);
  }
}

/** The recipients whose replies an error contains. If LMTP's replies are used, all were accepted before the data. */
function knownReplies({ to, protocol }: Task, error: unknown): Readonly<Record<string, Reply>> {
  if (error instanceof SMTPRecipientsRefused) return error.recipients;
  const replies = protocol === "lmtp" && error instanceof SMTPServerDisconnected ? error.replies : [];
  return Object.fromEntries(replies.map((reply, index) => [to[index], reply]));
}

function answer({ id, to }: Task, claim: (recipient: string) => Claim, words: string): Answer {
  return { id, claims: Object.fromEntries(to.map((recipient) => [recipient, claim(recipient)])), words };
}

/** Without a code the recipient was not refused. 552 to RCPT should be tried again (RFC 5321 4.5.3.1.10). */
function claimOfCode(code: number | undefined): Claim {
  if (code === undefined || code < 300) return "delivered";
  return (code >= 400 && code < 500) || code === 552 ? "later" : "refused";
}

function claimOf(error: unknown): Claim {
  if (error instanceof NothingSent) {
    return error.cause instanceof SMTPException && error.cause.temporary ? "later" : "refused";
  }
  if (!(error instanceof SMTPException)) return "error";
  switch (error.delivery) {
    case "not-sent":
    case "rejected":
      return error.temporary ? "later" : "refused";
    case "unknown":
      return "unknown";
    default:
      return "error";
  }
}
