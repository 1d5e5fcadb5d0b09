/** Runs a SASL exchange on a connection (RFC 4954 4), and refuses to reveal a password to the network. */
import type { PeerInfo } from "../byte-stream.ts";
import { authCancel, authCommand, authResponse, lineLength } from "../core/auth-command.ts";
import { decodeBase64 } from "../core/base64.ts";
import { utf8 } from "../core/bytes.ts";
import { noteRefusal } from "../core/refused-command.ts";
import { makeReply, type Reply } from "../core/reply.ts";
import {
  type AuthenticationDetails,
  SMTPAuthenticationError,
  SMTPException,
  SMTPNotSupportedError,
} from "../errors.ts";
import type { ServerError } from "../sasl/mechanism.ts";
import type { Connection } from "./connection.ts";
import { disconnected } from "./session-end.ts";

/** The client's side of an exchange: the initial response, if any, and the responses to challenges. */
export type AuthExchange = {
  readonly name: string;
  /** True if an eavesdropper could read the secret. */
  readonly clearText: boolean;
  /** Undefined: the server sends a challenge first. */
  initial(): Promise<Uint8Array | undefined>;
  /** Whether the next response depends on the challenge. */
  needsChallenge(): boolean;
  /** Rejects to cancel the exchange. */
  answer(challenge: Uint8Array): Promise<Uint8Array>;
  /** Throws if the server accepts before it has sent the required proof. */
  accepted(): void;
  /** The reason of a refusal, from the last challenge before it. */
  explain(challenge: Uint8Array): ServerError | undefined;
  /** Called at the end of the exchange, whatever its outcome. */
  ended(): void;
};

/** The first challenge is not base64, and the mechanism needs it. AUTH was cancelled; another mechanism may work. */
export class UnusableChallengeError extends SMTPException {}

/** More challenges than this count as an endless loop. The initial response counts as one, as in Python. */
const MOST_CHALLENGES = 5;

/** RFC 4954 4: the maximum length of an AUTH command, including CRLF. */
const LONGEST_COMMAND = 512;

/**
 * Runs the exchange.
 * @throws {SMTPAuthenticationError} if the server refuses
 * @throws {SMTPException} if the exchange is cancelled
 */
export async function authenticate(connection: Connection, exchange: AuthExchange): Promise<Reply> {
  try {
    return await run(connection, exchange);
  } finally {
    ended(exchange);
  }
}

/** A mechanism may be the caller's code: an error in its cleanup must not replace the server's reply. */
function ended(exchange: AuthExchange): void {
  try {
    exchange.ended();
  } catch {
    // The exchange is already over.
  }
}

/**
 * Refuses a mechanism that reveals the password or token to eavesdroppers (RFC 4954 9).
 * @throws {SMTPNotSupportedError}
 */
export function checkClearText(name: string, peer: PeerInfo, allow: boolean): void {
  if (allow || peer.tls !== undefined || peer.loopback) return;
  throw new SMTPNotSupportedError(
    `${name} would send credentials over an unencrypted connection: call starttls() first, or use SMTP_SSL ` +
      "(the option allowInsecureAuth permits it)",
    { capability: "STARTTLS", delivery: "not-sent" },
  );
}

async function run(connection: Connection, exchange: AuthExchange): Promise<Reply> {
  const before = connection.authenticated;
  const initial = await ask(connection, () => exchange.initial());
  let challenges = initial === undefined ? 0 : 1;
  let reply = await begin(connection, exchange.name, initial);
  let challenge: string | undefined;
  while (reply.code === 334) {
    const first = challenge === undefined;
    challenge = reply.message;
    const answered =
      ++challenges > MOST_CHALLENGES ? tooMany(exchange.name) : answer(exchange, reply, connection, first);
    reply = await connection.request(authResponse(await answered.catch((error) => cancel(connection, error))));
  }
  // 503 reports that the session is already authenticated (RFC 4954 4), which is true only if it is.
  if (reply.code === 235) proven(connection, exchange);
  else if (reply.code !== 503 || !before)
    throw refused(reply, connection, exchange.name, { serverError: explained(exchange, challenge) });
  return reply;
}

/** Replies to a bare AUTH from servers that require an initial response. */
const WANTS_INITIAL_RESPONSE: ReadonlySet<number> = new Set([501, 504, 535]);

/** Refusals of the mechanism or of the line, not of the credentials (RFC 4954 4, 6). */
export const OF_THE_MECHANISM: ReadonlySet<number> = new Set([500, 501, 502, 504, 534, 538]);

/** True for a refusal of the credentials (RFC 4954 6). Some servers send another code than 535 with 5.7.8. */
export function namesCredentials({ code, enhancedCode }: Pick<Reply, "code" | "enhancedCode">): boolean {
  return code === 535 || enhancedCode === "5.7.8";
}

async function begin(connection: Connection, name: string, initial: Uint8Array | undefined): Promise<Reply> {
  const command = authCommand(name, initial);
  if (initial === undefined || lineLength(command) <= LONGEST_COMMAND) return connection.request(command);
  const reply = await connection.request(authCommand(name));
  if (reply.code === 334) return connection.request(authResponse(initial));
  if (!WANTS_INITIAL_RESPONSE.has(reply.code) || connection.end !== undefined) return reply;
  // Lines of an exchange may have 12,288 bytes (RFC 4954 4), so send it on one line, once.
  let second: Reply;
  try {
    second = await connection.request(command);
  } catch (error) {
    if (error instanceof SMTPException) throw refusedTwice(reply, connection, name, error);
    throw error;
  }
  if (isAnswer(second, reply, connection.authenticated)) return second;
  throw refusedTwice(reply, connection, name, refused(second, connection, name));
}

/** Whether the second reply decides the login, rather than the refusal of the bare command before it. */
function isAnswer(second: Reply, first: Reply, authenticated: boolean): boolean {
  const { code } = second;
  if (code === 235 || code === 334 || (code === 503 && authenticated) || namesCredentials(second)) return true;
  return !namesCredentials(first) && !OF_THE_MECHANISM.has(code) && code !== 421;
}

/** Reports the first refusal. If it does not name the credentials, a lost session leaves their validity unknown. */
function refusedTwice(first: Reply, connection: Connection, name: string, cause: SMTPException): SMTPException {
  const temporary = namesCredentials(first) ? undefined : cause.temporary || undefined;
  return refused(first, connection, name, { cause, temporary });
}

async function answer(
  exchange: AuthExchange,
  reply: Reply,
  connection: Connection,
  first: boolean,
): Promise<Uint8Array> {
  const challenge = decodeBase64(reply.message);
  if (challenge === undefined && exchange.needsChallenge()) {
    const shown = JSON.stringify(connection.redact(reply.message).slice(0, 200));
    const message = `the challenge of ${exchange.name} is not base64: ${shown}`;
    // A later challenge must carry the server's proof; a server that fails to send it must not get a password.
    throw first ? new UnusableChallengeError(message) : new SMTPException(message);
  }
  // Real servers ask for the name and the password in plain text.
  return ask(connection, () => exchange.answer(challenge ?? utf8(reply.message)));
}

/** The mechanism may be the caller's code and may block (e.g. on a token), so the phase's timeout bounds each step. */
async function ask<T>(connection: Connection, question: () => Promise<T>): Promise<T> {
  const bound = connection.setDeadline("command", connection.settings.timeouts().command);
  try {
    return await connection.orEnded(connection.runCallerCode(question));
  } finally {
    bound.release();
  }
}

async function tooMany(name: string): Promise<never> {
  throw new SMTPException(`Server AUTH mechanism infinite loop: ${name} asked more than ${MOST_CHALLENGES} times`);
}

/**
 * Sends "*", because the server waits for a response. It must reply 501, which adds no information. If the connection
 * is lost meanwhile, the error remains the reason.
 */
async function cancel(connection: Connection, error: unknown): Promise<never> {
  if (connection.end !== undefined) throw error;
  try {
    const { code } = await connection.request(authCancel());
    if (code < 400) connection.drop(disconnected(`AUTH could not be cancelled: ${code}`, error));
  } catch (lost) {
    // The reason of an abort takes precedence.
    if (!(lost instanceof SMTPException)) throw lost;
  }
  throw error;
}

function proven(connection: Connection, exchange: AuthExchange): void {
  try {
    exchange.accepted();
  } catch (error) {
    connection.authenticated = false;
    connection.drop(disconnected(`${exchange.name}: the server did not prove that it knows the password`, error));
    throw error;
  }
}

/** The server's reason for a refusal. `explain()` may be the caller's code: its errors must not hide the refusal. */
function explained(exchange: AuthExchange, challenge: string | undefined): ServerError | undefined {
  try {
    return challenge ? exchange.explain(decodeBase64(challenge) ?? utf8(challenge)) : undefined;
  } catch {
    return undefined;
  }
}

/** A server may echo the credentials; the error, which programs display and log, must not contain them. */
function refused(
  reply: Reply,
  connection: Connection,
  name: string,
  details: { serverError?: ServerError | undefined; cause?: unknown; temporary?: boolean | undefined } = {},
): SMTPAuthenticationError {
  const { serverError: reason, cause, temporary } = details;
  const shown = makeReply(
    reply.code,
    reply.lines.map((line) => connection.redact(line)),
  );
  noteRefusal(shown, `AUTH ${name}`);
  const serverError: Record<string, string> | undefined = reason && Object.create(null);
  for (const [name, value] of Object.entries(reason ?? {})) {
    if (serverError !== undefined) serverError[connection.redact(name)] = connection.redact(String(value));
  }
  return authenticationError(shown, { reply: shown, serverError, cause, temporary });
}

/** The exception for a refusal; its text includes the mechanism's own error status. */
export function authenticationError(
  { code, message }: Pick<Reply, "code" | "message">,
  details: AuthenticationDetails,
): SMTPAuthenticationError {
  const status = details.serverError?.["status"];
  const hint = status === undefined ? undefined : ` (${status})`;
  return new SMTPAuthenticationError(code, message, { ...details, hint });
}
