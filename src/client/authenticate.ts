/** Runs a SASL exchange on a connection (RFC 4954 4), and refuses to show a password to the whole network. */
import type { PeerInfo } from "../byte-stream.ts";
import { authCancel, authCommand, authResponse, lineLength } from "../core/auth-command.ts";
import { decodeBase64 } from "../core/base64.ts";
import type { Command } from "../core/command.ts";
import { noteRefusal } from "../core/refused-command.ts";
import { makeReply, type Reply } from "../core/reply.ts";
import {
  type AuthenticationDetails,
  escapeControls,
  SMTPAuthenticationError,
  SMTPException,
  SMTPNotSupportedError,
} from "../errors.ts";
import type { ServerError } from "../sasl/mechanism.ts";
import type { Connection } from "./connection.ts";
import { disconnected } from "./session-end.ts";

/** Our side of an exchange: what to say first, if anything, and what to answer to a challenge. */
export type AuthExchange = {
  readonly name: string;
  /** True if what is sent shows the secret to whoever reads it. */
  readonly clearText: boolean;
  /** Undefined: the server speaks first. */
  initial(): Promise<Uint8Array | undefined>;
  /** Rejects to give the exchange up. */
  answer(challenge: Uint8Array): Promise<Uint8Array>;
  /** Throws if the server said yes before it proved what it had to prove. */
  accepted(): void;
  /** What the last challenge says of the reason, where the server refused after it. */
  explain(challenge: Uint8Array): ServerError | undefined;
  /** The exchange is over, however it went. */
  ended(): void;
};

/** More challenges than this are an endless loop; the initial response counts as one, as in Python. */
const MOST_CHALLENGES = 5;

/** RFC 4954 4: an AUTH command may not be longer, its CRLF included. */
const LONGEST_COMMAND = 512;

/**
 * Runs the exchange.
 * @throws {SMTPAuthenticationError} if the server says no
 * @throws {SMTPException} if the exchange has to be given up
 */
export async function authenticate(connection: Connection, exchange: AuthExchange): Promise<Reply> {
  try {
    return await run(connection, exchange);
  } finally {
    exchange.ended();
  }
}

/**
 * Refuses a mechanism that shows the password or token to all who can listen (RFC 4954 9).
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
  const say = (command: Command): Promise<Reply> => connection.request(command);
  const before = connection.authenticated;
  const initial = await ask(connection, () => exchange.initial());
  let challenges = initial === undefined ? 0 : 1;
  let reply = await begin(exchange.name, initial, say);
  let challenge = "";
  while (reply.code === 334) {
    challenge = reply.message;
    const answered = ++challenges > MOST_CHALLENGES ? tooMany(exchange.name) : answer(exchange, reply, connection);
    reply = await say(authResponse(await answered.catch((error) => cancel(connection, error))));
  }
  // 503 says that the session is authenticated already (RFC 4954 4), which is true only if it is.
  if (reply.code === 235) proven(connection, exchange);
  else if (reply.code !== 503 || !before) throw refused(reply, connection, exchange, challenge);
  return reply;
}

async function begin(
  name: string,
  initial: Uint8Array | undefined,
  say: (command: Command) => Promise<Reply>,
): Promise<Reply> {
  const command = authCommand(name, initial);
  if (initial === undefined || lineLength(command) <= LONGEST_COMMAND) return say(command);
  const reply = await say(authCommand(name));
  return reply.code === 334 ? say(authResponse(initial)) : reply;
}

async function answer(exchange: AuthExchange, reply: Reply, connection: Connection): Promise<Uint8Array> {
  const challenge = decodeBase64(reply.message);
  if (challenge === undefined) throw new SMTPException(`the challenge of ${exchange.name} is not base64`);
  return ask(connection, () => exchange.answer(challenge));
}

/** The mechanism may be the caller's code, and may wait for something: a token, or for ever, but for its phase's time. */
async function ask<T>(connection: Connection, question: () => Promise<T>): Promise<T> {
  const bound = connection.bound("command", connection.settings.timeouts().command);
  try {
    return await connection.unlessEnded(connection.callOut(question));
  } finally {
    bound.release();
  }
}

async function tooMany(name: string): Promise<never> {
  throw new SMTPException(`Server AUTH mechanism infinite loop: ${name} asked more than ${MOST_CHALLENGES} times`);
}

/** The server waits for an answer: "*" tells it that none will come. It has to say 501 then, which says nothing new. */
async function cancel(connection: Connection, error: unknown): Promise<never> {
  const reply = connection.end === undefined ? await connection.request(authCancel()) : undefined;
  if (reply !== undefined && reply.code < 400) {
    connection.drop(disconnected(`AUTH could not be cancelled: ${reply.code}`, error));
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

/** What the server said of the reason before it refused. Who explains may be the caller's code: it must not hide the refusal. */
function explained(exchange: AuthExchange, challenge: string): ServerError | undefined {
  const octets = challenge === "" ? undefined : decodeBase64(challenge);
  try {
    return octets && exchange.explain(octets);
  } catch {
    return undefined;
  }
}

/** A server may echo what it was sent; the error that is shown and logged must not. */
function refused(
  reply: Reply,
  connection: Connection,
  exchange: AuthExchange,
  challenge: string,
): SMTPAuthenticationError {
  const reason = explained(exchange, challenge);
  const shown = makeReply(
    reply.code,
    reply.lines.map((line) => connection.hide(line)),
  );
  noteRefusal(shown, `AUTH ${exchange.name}`);
  const serverError: Record<string, string> | undefined = reason && Object.create(null);
  for (const [name, value] of Object.entries(reason ?? {})) {
    if (serverError !== undefined) serverError[connection.hide(name)] = connection.hide(String(value));
  }
  return authenticationError(shown, { reply: shown, serverError });
}

/** The exception for a refusal; what the mechanism's error says is in its text, too. */
export function authenticationError(
  { code, message }: Pick<Reply, "code" | "message">,
  details: AuthenticationDetails,
): SMTPAuthenticationError {
  const error = new SMTPAuthenticationError(code, message, details);
  const status = details.serverError?.["status"];
  if (status !== undefined) error.message += ` (${escapeControls(status)})`;
  return error;
}
