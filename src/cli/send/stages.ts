/** `--stop-after STAGE`: runs a session up to a stage, with single commands of the client. */
import { type Reply, type SMTP, SMTPException, SMTPNotSupportedError, SMTPResponseException } from "../../index.ts";
import { type Connection, clientFor, smtpOptions } from "../connection.ts";
import { type Credentials, logIn } from "../credentials.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import type { Envelope } from "./envelope.ts";
import type { Asked, AskedOfRecipients } from "./message-options.ts";
import { tlsModeOf } from "./policy.ts";

/** The stages, in order. */
export const STAGES = ["connect", "ehlo", "tls", "auth", "mail", "rcpt"] as const;

/** A stage. */
export type Stage = (typeof STAGES)[number];

/** A session that ends before a message. */
export type Session = {
  readonly connection: Connection;
  readonly options: Parameters<typeof clientFor>[1];
  readonly credentials: Credentials | undefined;
};

/** The replies to a stage. */
export type StageReply = {
  readonly stage: Stage;
  readonly about: string;
  readonly code: number;
  readonly text: string;
};

/**
 * Opens a session and goes on to a stage; returns the replies. A refusal ends the session.
 * @throws {SMTPException} if a stage fails
 */
export async function runStages(
  session: Session,
  last: Exclude<Stage, "mail" | "rcpt">,
  onReply: (reply: StageReply) => void,
): Promise<SMTP> {
  const { connection, credentials } = session;
  const smtp = clientFor(connection, { ...smtpOptions(connection), ...session.options });
  const note = (stage: Stage, about: string, reply: Reply): void => onReply(stageReply(stage, about, reply));
  const reached = (stage: Stage): boolean => STAGES.indexOf(stage) <= STAGES.indexOf(last);
  try {
    const [host, port] = hostAndPort(connection);
    const greeting = await smtp.connect(host, port);
    note("connect", "", greeting);
    if (greeting.code !== 220) throw new SMTPResponseException(greeting.code, greeting.message, { reply: greeting });
    if (reached("ehlo")) note("ehlo", "", await hello(smtp));
    if (reached("tls") && (await startTls(smtp, tlsModeOf(connection, credentials !== undefined)))) {
      note("tls", smtp.peer?.tls?.protocol ?? "", await hello(smtp));
    }
    if (reached("auth") && credentials !== undefined) {
      note("auth", "", await logIn(smtp, credentials, connection.endpoint));
    }
    return smtp;
  } catch (error) {
    await quietly(smtp);
    throw error;
  }
}

/** MAIL, and RCPT for each recipient, with a transaction that RSET ends; the exit code. */
export async function tryEnvelope(
  smtp: SMTP,
  { from, to }: Envelope,
  asked: { readonly message: Asked; readonly recipients: AskedOfRecipients; readonly last: Stage },
  onReply: (reply: StageReply) => void,
): Promise<ExitCode> {
  const { bodyType, ...options } = asked.message;
  const mail = await smtp.mail(from, bodyType === undefined ? options : { ...options, body: bodyType });
  onReply(stageReply("mail", from, mail));
  if (!isGood(mail)) return refusal([mail]);
  if (asked.last === "mail") return EXIT.ok;
  const replies: Reply[] = [];
  for (const address of to) {
    const reply = await smtp.rcpt(address, asked.recipients);
    onReply(stageReply("rcpt", address, reply));
    replies.push(reply);
  }
  const bad = replies.filter((reply) => !isGood(reply));
  if (bad.length === 0) return EXIT.ok;
  return bad.length < replies.length ? EXIT.partial : refusal(bad);
}

/** Ends a session, whatever the server answers. */
export async function quietly(smtp: SMTP): Promise<void> {
  try {
    if (smtp.connected) await smtp.quit();
  } catch (error) {
    if (!(error instanceof SMTPException)) throw error;
  } finally {
    smtp.close();
  }
}

/** Host and port as `connect()` takes them. */
export function hostAndPort({ endpoint }: Connection): [host: string, port: number] {
  return "path" in endpoint ? [endpoint.path, 0] : [endpoint.host, endpoint.port];
}

async function hello(smtp: SMTP): Promise<Reply> {
  const reply = await smtp.ehlo();
  if (smtp.does_esmtp) return reply;
  await smtp.ehlo_or_helo_if_needed();
  return reply;
}

async function startTls(smtp: SMTP, mode: ReturnType<typeof tlsModeOf>): Promise<boolean> {
  if (mode === "never" || mode === "implicit") return false;
  if (mode === "opportunistic" && !smtp.has_extn("starttls")) return false;
  if (!smtp.has_extn("starttls")) {
    throw new SMTPNotSupportedError("the server does not offer STARTTLS, which is required", {
      capability: "STARTTLS",
    });
  }
  await smtp.starttls();
  return true;
}

function stageReply(stage: Stage, about: string, { code, message }: Reply): StageReply {
  return { stage, about, code, text: message };
}

function isGood({ code }: Reply): boolean {
  return code >= 200 && code < 300;
}

function refusal(replies: readonly Reply[]): ExitCode {
  return replies.some(({ code }) => code < 500) ? EXIT.temporary : EXIT.rejected;
}
