/** `login()` and `auth()`: loaded when one of them is first called (RFC 4954). */
import { type AuthExchange, authenticate, checkClearText } from "../client/authenticate.ts";
import type { Conversation } from "../client/conversation.ts";
import { type AuthObject, authobjectExchange, mechanismExchange } from "../client/exchanges.ts";
import { checkArgument, wrongType } from "../core/bytes.ts";
import { words } from "../core/features.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPAuthenticationError, SMTPException, SMTPNotSupportedError } from "../errors.ts";
import { chooseMechanisms, passwordMechanisms } from "../sasl/choose.ts";
import type { Mechanism, PasswordCredentials } from "../sasl/mechanism.ts";
import { checkObject } from "./options.ts";

/** Options of `auth()`. */
export type AuthOptions = {
  /** Python's: false lets the server ask first. Default: true. */
  initial_response_ok?: boolean | undefined;
};

/** Options of `login()`. */
export type LoginOptions = AuthOptions & {
  /** Restricts and orders the mechanisms. */
  mechanisms?: readonly string[] | undefined;
};

/** What an authentication needs to know besides. */
export type AuthContext = {
  readonly conversation: Conversation;
  readonly allowInsecureAuth: boolean;
};

/** Logs in; the exceptions are those of `SMTP.login`. */
export async function login(
  context: AuthContext,
  credentials: PasswordCredentials,
  options: LoginOptions,
): Promise<Reply> {
  const initial = initialResponse(options);
  const ours = new Map([...passwordMechanisms].map(([name, make]) => [name, make(credentials)]));
  chooseMechanisms([], ours.keys(), options.mechanisms);
  const { conversation } = context;
  await conversation.helloIfNeeded();
  const causes: SMTPAuthenticationError[] = [];
  for (const mechanism of mechanismsFor(context, ours, options)) {
    const connection = conversation.live();
    try {
      return await run(
        context,
        mechanismExchange(mechanism, { host: conversation.host, tls: connection.peer.tls }, initial),
      );
    } catch (error) {
      if (!(error instanceof SMTPAuthenticationError)) throw error;
      causes.push(error);
      // A temporary failure says nothing of the password: another try would only show it once more.
      if (error.temporary || connection.end !== undefined) break;
    }
  }
  throw allFailed(causes);
}

/** Runs one mechanism; the exceptions are those of `SMTP.auth`. */
export async function auth(
  context: AuthContext,
  mechanism: string,
  authobject: AuthObject | Mechanism,
  options: AuthOptions,
): Promise<Reply> {
  const initial = initialResponse(options);
  const name = checkMechanismName(mechanism);
  if (typeof authobject === "function") return run(context, authobjectExchange(name, authobject, initial));
  if (typeof authobject?.start !== "function") throw new TypeError("authobject must be a function or a Mechanism");
  if (checkMechanismName(authobject.name).toUpperCase() !== name.toUpperCase()) {
    throw new RangeError(`mechanism is ${name}, but authobject is ${authobject.name}`);
  }
  const { conversation } = context;
  const { tls } = conversation.live().peer;
  return run(context, mechanismExchange(authobject, { host: conversation.host, tls }, initial));
}

function run({ conversation, allowInsecureAuth }: AuthContext, exchange: AuthExchange): Promise<Reply> {
  const connection = conversation.live();
  if (exchange.clearText) checkClearText(exchange.name, connection.peer, allowInsecureAuth);
  return authenticate(connection, exchange);
}

function initialResponse(options: AuthOptions): "allowed" | "never" {
  const { initial_response_ok: initial = true }: AuthOptions = checkObject(options, "options");
  if (typeof initial !== "boolean") throw wrongType("initial_response_ok", "a boolean", initial);
  return initial ? "allowed" : "never";
}

/** The name of a SASL mechanism: one word (RFC 4422 3.1). */
function checkMechanismName(name: unknown): string {
  const text = checkArgument(name, "mechanism");
  if (/^[\w-]+$/.test(text)) return text;
  throw new RangeError(`mechanism must be one word: ${JSON.stringify(text)}`);
}

function mechanismsFor(
  { conversation, allowInsecureAuth }: AuthContext,
  ours: ReadonlyMap<string, Mechanism>,
  options: LoginOptions,
): readonly Mechanism[] {
  const offered = conversation.introduction.features["auth"];
  if (offered === undefined) {
    throw new SMTPNotSupportedError("SMTP AUTH extension not supported by server", { capability: "AUTH" });
  }
  const names = chooseMechanisms(words(offered), ours.keys(), options.mechanisms);
  const both = names.map((name) => ours.get(name)).filter((mechanism) => mechanism !== undefined);
  const [weakest] = both.slice(-1);
  if (weakest === undefined) {
    throw new SMTPException(`no suitable authentication method found: the server offers ${offered || "none"}`);
  }
  const { peer } = conversation.live();
  const hidden = both.filter((mechanism) => !mechanism.clearText);
  if (peer.tls === undefined && !peer.loopback && !allowInsecureAuth && hidden.length > 0) return hidden;
  return both;
}

function allFailed(causes: readonly SMTPAuthenticationError[]): SMTPException {
  const [last] = causes.slice(-1);
  if (last === undefined) return new SMTPException("no suitable authentication method found");
  const { smtp_code, smtp_error, reply, temporary } = last;
  const cause = causes.length > 1 ? new AggregateError(causes, "each mechanism failed") : undefined;
  return new SMTPAuthenticationError(smtp_code, smtp_error, { reply, temporary, causes, cause });
}
