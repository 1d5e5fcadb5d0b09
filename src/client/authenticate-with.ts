/**
 * Authenticates a session with what the caller has: a password, a bearer token or a mechanism of his own. Chooses among
 * what the server offers, strongest first, and goes on with the next after a refusal (RFC 4954).
 */
import { words } from "../core/features.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPAuthenticationError, SMTPException, SMTPNotSupportedError } from "../errors.ts";
import { channelBinding } from "../sasl/channel-binding.ts";
import { chooseMechanisms, passwordMechanisms, tokenMechanisms } from "../sasl/choose.ts";
import type { AuthorizingCredentials, Mechanism } from "../sasl/mechanism.ts";
import type { TokenCredentials } from "../sasl/oauth.ts";
import { type AuthExchange, authenticate, authenticationError, checkClearText } from "./authenticate.ts";
import type { Conversation } from "./conversation.ts";
import { type InitialResponse, mechanismExchange } from "./exchanges.ts";

/** Whatever one can authenticate with. */
export type Credentials = AuthorizingCredentials | TokenCredentials | Mechanism;

/** What an authentication needs to know besides. */
export type AuthContext = {
  readonly conversation: Conversation;
  readonly allowInsecureAuth: boolean;
};

/** How to authenticate. */
export type AuthenticateOptions = {
  /** Restricts and orders the mechanisms. */
  readonly mechanisms?: readonly string[] | undefined;
  /** Whether the client may speak first. Default: "allowed". */
  readonly initialResponse?: InitialResponse | undefined;
};

/**
 * Authenticates; says EHLO first where nobody has. To be called within a turn of the session's (`Session.alone`).
 *
 * A password goes by SCRAM, CRAM-MD5, PLAIN or LOGIN; a token by OAUTHBEARER or XOAUTH2, and where the server says that
 * it has expired, a token function is asked once more. A `Mechanism` has to be on offer.
 *
 * @throws {TypeError} or {RangeError} for credentials or `mechanisms` that cannot be, before a byte is sent
 * @throws {SMTPNotSupportedError} if the server does not offer what it takes, or a secret would be shown to the network
 * @throws {SMTPAuthenticationError} if all were refused; `causes` has an error for each try
 * @throws {SMTPException} if there is no common mechanism, or the server does not keep to the mechanism's rules
 */
export async function authenticateWith(
  context: AuthContext,
  credentials: Credentials,
  { mechanisms, initialResponse = "allowed" }: AuthenticateOptions = {},
): Promise<Reply> {
  const renewal = new Renewal();
  const ours = mechanismsOf(credentials, renewal);
  chooseMechanisms([], ours.keys(), mechanisms);
  const { conversation } = context;
  await conversation.helloIfNeeded();
  const tries = mechanismsFor(context, ours, mechanisms);
  const causes: SMTPAuthenticationError[] = [];
  for (let mechanism = tries.shift(); mechanism !== undefined; mechanism = tries.shift()) {
    const connection = conversation.live();
    try {
      return await runMechanism(context, mechanism, initialResponse);
    } catch (error) {
      if (!(error instanceof SMTPAuthenticationError)) throw error;
      if (!causes.includes(error)) causes.push(error);
      // A temporary failure says nothing of the password: another try would only show it once more.
      if (error.temporary || connection.end !== undefined) break;
      if (renewal.permits(error)) tries.unshift(mechanism);
      // What the server says of the token holds for it in the other mechanism, too.
      else if (isToken(credentials) && error.serverError !== undefined) break;
    }
  }
  throw allFailed(causes);
}

/** Runs one mechanism, on offer or not. */
export function runMechanism(
  context: AuthContext,
  mechanism: Mechanism,
  initialResponse: InitialResponse,
): Promise<Reply> {
  const { conversation } = context;
  const { tls } = conversation.live().peer;
  const offered = conversation.introduction.ehlo === undefined ? undefined : offeredBy(conversation);
  return runExchange(context, mechanismExchange(mechanism, { host: conversation.host, tls, offered }, initialResponse));
}

/** Runs an exchange, unless it would show a secret to the network. */
export function runExchange({ conversation, allowInsecureAuth }: AuthContext, exchange: AuthExchange): Promise<Reply> {
  const connection = conversation.live();
  if (exchange.clearText) checkClearText(exchange.name, connection.peer, allowInsecureAuth);
  return authenticate(connection, exchange);
}

/**
 * Makes calls that overlap share one: the first begins it, those that come before its end get the same promise. For the
 * token function of several connections that authenticate at once.
 */
export function singleFlight<T>(call: () => Promise<T>): () => Promise<T> {
  let flight: Promise<T> | undefined;
  return () => {
    flight ??= (async () => call())().finally(() => {
      flight = undefined;
    });
    return flight;
  };
}

/** The statuses by which servers say that a token is not, or no longer, good (RFC 6750 3.1; XOAUTH2 has those of HTTP). */
const EXPIRED: ReadonlySet<string> = new Set(["invalid_token", "401", "400"]);

/** One more try with a fresh token, once. */
class Renewal {
  /** Undefined: there is nobody to ask for a fresh token; false: not yet. */
  #renewed: boolean | undefined;
  #last: string | undefined;
  #refusal: SMTPAuthenticationError | undefined;

  /** The credentials with a token function that does not give the refused token again. */
  watch(credentials: TokenCredentials): TokenCredentials {
    const { token } = credentials;
    if (typeof token !== "function") return credentials;
    this.#renewed = false;
    const fresh = async (): Promise<string> => {
      const given = await token();
      const refusal = this.#refusal;
      this.#refusal = undefined;
      if (refusal !== undefined && given === this.#last) throw refusal;
      this.#last = given;
      return given;
    };
    return { ...credentials, token: fresh };
  }

  /** Whether the refusal is one that a fresh token may change; true once. */
  permits(error: SMTPAuthenticationError): boolean {
    const expired = EXPIRED.has(error.serverError?.["status"] ?? "");
    if (this.#renewed !== false || !expired) return false;
    this.#renewed = true;
    this.#refusal = error;
    return true;
  }
}

function mechanismsOf(credentials: Credentials, renewal: Renewal): ReadonlyMap<string, Mechanism> {
  if (typeof credentials !== "object" || credentials === null) throw new TypeError("credentials must be an object");
  if ("start" in credentials) return new Map([[credentials.name.toUpperCase(), credentials]]);
  if (isToken(credentials)) return made(tokenMechanisms, renewal.watch(credentials));
  const ours = made(passwordMechanisms, credentials);
  if ((credentials.authzid ?? "") !== "") for (const name of WITHOUT_AUTHZID) ours.delete(name);
  return ours;
}

/** Mechanisms that cannot say as whom to act. */
const WITHOUT_AUTHZID = ["CRAM-MD5", "LOGIN"];

function isToken(credentials: Credentials): credentials is TokenCredentials {
  return "token" in credentials && credentials.token !== undefined;
}

function made<C>(makers: ReadonlyMap<string, (credentials: C) => Mechanism>, credentials: C): Map<string, Mechanism> {
  return new Map([...makers].map(([name, make]) => [name, make(credentials)]));
}

function offeredBy({ introduction }: Conversation): readonly string[] {
  return words(introduction.features["auth"] ?? "").map((name) => name.toUpperCase());
}

/** What both sides can do on this connection, in order. */
function mechanismsFor(
  { conversation, allowInsecureAuth }: AuthContext,
  ours: ReadonlyMap<string, Mechanism>,
  mechanisms: readonly string[] | undefined,
): Mechanism[] {
  const offered = conversation.introduction.features["auth"];
  if (offered === undefined) {
    throw new SMTPNotSupportedError("SMTP AUTH extension not supported by server", { capability: "AUTH" });
  }
  const names = chooseMechanisms(words(offered), ours.keys(), mechanisms);
  const both = names.map((name) => ours.get(name)).filter((mechanism) => mechanism !== undefined);
  if (both.length === 0) {
    throw new SMTPException(`no suitable authentication method found: the server offers ${offered || "none"}`);
  }
  const { peer } = conversation.live();
  const bindable = channelBinding(peer.tls) !== undefined;
  const insecure = peer.tls === undefined && !peer.loopback && !allowInsecureAuth;
  const usable = both.filter(
    ({ name, clearText }) => !(insecure && clearText) && (bindable || !name.endsWith("-PLUS")),
  );
  // Where nothing is left, the mechanism itself says what it lacks.
  return usable.length > 0 ? usable : both;
}

function allFailed(causes: readonly SMTPAuthenticationError[]): SMTPException {
  const [last] = causes.slice(-1);
  if (last === undefined) return new SMTPException("no suitable authentication method found");
  const { smtp_code: code, smtp_error: message, reply, temporary, serverError } = last;
  const cause = causes.length > 1 ? new AggregateError(causes, `each mechanism failed: ${textsOf(causes)}`) : undefined;
  return authenticationError({ code, message }, { reply, temporary, causes, cause, serverError });
}

/** Bun prints the message of an AggregateError that is a cause, and not its errors. */
function textsOf(errors: readonly Error[]): string {
  return errors.map(({ message }) => message).join("; ");
}
