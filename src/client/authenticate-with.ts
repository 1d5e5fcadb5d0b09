/**
 * Authenticates a session with the caller's password, bearer token or mechanism. Tries the mechanisms that the server
 * offers, strongest first, and continues with the next after a refusal (RFC 4954).
 */
import { offers, words } from "../core/features.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPAuthenticationError, SMTPException, SMTPNotSupportedError } from "../errors.ts";
import { channelBinding } from "../sasl/channel-binding.ts";
import { chooseMechanisms, passwordMechanisms, tokenMechanisms } from "../sasl/choose.ts";
import type { AuthorizingCredentials, Mechanism } from "../sasl/mechanism.ts";
import { type TokenCredentials, wrapToken } from "../sasl/oauth.ts";
import {
  type AuthExchange,
  authenticate,
  authenticationError,
  checkClearText,
  namesCredentials,
  OF_THE_MECHANISM,
  UnusableChallengeError,
} from "./authenticate.ts";
import { type InitialResponse, mechanismExchange } from "./exchanges.ts";
import { missingAfter } from "./hello-refused.ts";
import type { Session } from "./session.ts";

/** Everything that a session can authenticate with. */
export type Credentials = AuthorizingCredentials | TokenCredentials | Mechanism;

/** The session, and the options of its login. */
export type AuthContext = {
  readonly session: Session;
  readonly allowInsecureAuth: boolean;
};

/** Options of an authentication. */
export type AuthenticateOptions = {
  /** Restricts and orders the mechanisms. */
  readonly mechanisms?: readonly string[] | undefined;
  /** Whether AUTH may carry an initial response. Default: "allowed". */
  readonly initialResponse?: InitialResponse | undefined;
};

/**
 * Authenticates; sends EHLO first if needed. Call it within a turn of the session (`Client.exclusively`).
 *
 * A password uses SCRAM, CRAM-MD5, PLAIN or LOGIN; a token OAUTHBEARER or XOAUTH2. If the server reports an expired
 * token, or refuses it without a reason, a token function is called once more. The server must offer a `Mechanism`.
 *
 * @throws {TypeError} or {RangeError} for invalid credentials or `mechanisms`, before a byte is sent
 * @throws {SMTPNotSupportedError} if the server lacks a required extension, or the network could read a secret
 * @throws {SMTPAuthenticationError} if the server refuses all of them; `causes` has an error for each try
 * @throws {SMTPException} if there is no common mechanism, or the server violates the mechanism's rules
 */
export async function authenticateWith(
  context: AuthContext,
  credentials: Credentials,
  { mechanisms, initialResponse = "allowed" }: AuthenticateOptions = {},
): Promise<Reply> {
  const renewal = new Renewal();
  const ours = mechanismsOf(credentials, renewal);
  chooseMechanisms([], ours.keys(), mechanisms);
  await context.session.helloIfNeeded();
  const mechanismsToTry = mechanismsFor(context, ours, mechanisms);
  const outcome = await tryInOrder(context, mechanismsToTry, renewal, initialResponse);
  if ("reply" in outcome) return outcome.reply;
  throw allFailed(outcome.causes);
}

/**
 * Runs one mechanism, offered or not; after a refusal once more, if its token function returns another token.
 * @throws {SMTPAuthenticationError} if the server refuses; {SMTPException} or the mechanism's own error, if that fails
 */
export async function runMechanism(
  context: AuthContext,
  mechanism: Mechanism,
  initialResponse: InitialResponse,
): Promise<Reply> {
  const renewal = new Renewal();
  const outcome = await tryInOrder(context, [renewal.watchMechanism(mechanism)], renewal, initialResponse);
  if ("reply" in outcome) return outcome.reply;
  const [only, ...more] = outcome.causes;
  throw only !== undefined && more.length === 0 ? only : allFailed(outcome.causes);
}

type Outcome = { readonly reply: Reply } | { readonly causes: readonly SMTPException[] };

/** Tries the mechanisms until one succeeds, or another try is pointless. */
async function tryInOrder(
  context: AuthContext,
  mechanisms: readonly Mechanism[],
  renewal: Renewal,
  initialResponse: InitialResponse,
): Promise<Outcome> {
  let tries = [...mechanisms];
  const causes: SMTPException[] = [];
  for (let mechanism = tries.shift(); mechanism !== undefined; mechanism = tries.shift()) {
    const connection = context.session.requireConnection();
    try {
      return { reply: await tryMechanism(context, mechanism, initialResponse) };
    } catch (error) {
      // The reason of an abort, and errors of the caller's own mechanism, stay unchanged.
      if (!(error instanceof SMTPException)) throw error;
      if (!causes.includes(error)) causes.push(error);
      if (connection.end !== undefined || !anotherMayDo(error)) break;
      if (renewal.permits(error)) tries.unshift(mechanism);
      // The server's reason for refusing the token applies to the other mechanism, too.
      else if (renewal.hasToken && saysWhy(error)) break;
      // That would send the refused password again in clear text, and cost another failed login.
      else if (isWrongPassword(error)) tries = tries.filter(({ name }) => !sendSamePassword(name, mechanism?.name));
    }
  }
  return { causes };
}

function tryMechanism(context: AuthContext, mechanism: Mechanism, initialResponse: InitialResponse): Promise<Reply> {
  const { session } = context;
  const { tls } = session.requireConnection().peer;
  const offered = session.serverInfo.ehlo === undefined ? undefined : offeredBy(session);
  return runExchange(context, mechanismExchange(mechanism, { host: session.host, tls, offered }, initialResponse));
}

/** A temporary failure does not concern the credentials: another try would only reveal them once more. */
function anotherMayDo(error: SMTPException): boolean {
  if (error instanceof UnusableChallengeError) return true;
  return error instanceof SMTPAuthenticationError && !error.temporary;
}

function saysWhy(error: SMTPException): boolean {
  return error instanceof SMTPAuthenticationError && error.serverError !== undefined;
}

function isWrongPassword(error: SMTPException): boolean {
  if (!(error instanceof SMTPAuthenticationError)) return false;
  const { smtp_code: code, reply } = error;
  return namesCredentials({ code, enhancedCode: reply?.enhancedCode });
}

function sendSamePassword(one: string, other: string | undefined): boolean {
  return [one, other?.toUpperCase()].every((name) => name === "PLAIN" || name === "LOGIN");
}

/** Runs an exchange, unless it would reveal a secret to the network. */
export function runExchange({ session, allowInsecureAuth }: AuthContext, exchange: AuthExchange): Promise<Reply> {
  const connection = session.requireConnection();
  if (exchange.clearText) checkClearText(exchange.name, connection.peer, allowInsecureAuth);
  return authenticate(connection, exchange);
}

/**
 * Makes overlapping calls share one: the first starts it, and calls before its end get the same promise. Meant for the
 * token function of several connections that authenticate at the same time.
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

/** The statuses by which servers report an invalid or expired token (RFC 6750 3.1; XOAUTH2 uses those of HTTP). */
const EXPIRED: ReadonlySet<string> = new Set(["invalid_token", "401", "400"]);

/** Permits one more try with a fresh token. Calls the token function at most twice: the mechanisms share a token. */
class Renewal {
  /** True if the credentials are a token. */
  hasToken = false;
  /** Undefined: no function provides a fresh token; false: it was not called yet. */
  #renewed: boolean | undefined;
  #last: string | undefined;
  #refusal: SMTPAuthenticationError | undefined;

  /** Returns the credentials with a token function that never returns the refused token again. */
  watch(credentials: TokenCredentials): TokenCredentials {
    this.hasToken = true;
    const { token } = credentials;
    return typeof token === "function" ? { ...credentials, token: this.#watched(token) } : credentials;
  }

  /** Does the same for a mechanism that has a token function; returns any other unchanged. */
  watchMechanism(mechanism: Mechanism): Mechanism {
    return wrapToken(mechanism, (token) => this.#watched(token));
  }

  /** Whether a fresh token may change the refusal; true once. */
  permits(error: SMTPException): boolean {
    if (this.#renewed !== false || !(error instanceof SMTPAuthenticationError) || !mayHaveExpired(error)) return false;
    this.#renewed = true;
    this.#refusal = error;
    return true;
  }

  #watched(token: () => Promise<string>): () => Promise<string> {
    this.#renewed = false;
    return async () => {
      const refusal = this.#refusal;
      if (this.#last !== undefined && refusal === undefined) return this.#last;
      this.#refusal = undefined;
      const given = await token();
      if (refusal !== undefined && given === this.#last) throw refusal;
      this.#last = given;
      return given;
    };
  }
}

/** True if the server reports that the token has expired, or refuses it without a reason. */
function mayHaveExpired(error: SMTPAuthenticationError): boolean {
  const { serverError } = error;
  return serverError === undefined ? isWrongPassword(error) : EXPIRED.has(serverError["status"] ?? "");
}

function mechanismsOf(credentials: Credentials, renewal: Renewal): ReadonlyMap<string, Mechanism> {
  if (typeof credentials !== "object" || credentials === null) throw new TypeError("credentials must be an object");
  if ("start" in credentials) return new Map([[credentials.name.toUpperCase(), renewal.watchMechanism(credentials)]]);
  if (isToken(credentials)) return made(tokenMechanisms, renewal.watch(credentials));
  const ours = made(passwordMechanisms, credentials);
  if ((credentials.authzid ?? "") !== "") for (const name of WITHOUT_AUTHZID) ours.delete(name);
  return ours;
}

/** Mechanisms that cannot send an authorization identity. */
const WITHOUT_AUTHZID = ["CRAM-MD5", "LOGIN"];

function isToken(credentials: Credentials): credentials is TokenCredentials {
  return "token" in credentials && credentials.token !== undefined;
}

function made<C>(makers: ReadonlyMap<string, (credentials: C) => Mechanism>, credentials: C): Map<string, Mechanism> {
  return new Map([...makers].map(([name, make]) => [name, make(credentials)]));
}

function offeredBy({ serverInfo }: Session): readonly string[] {
  return words(serverInfo.features["auth"] ?? "").map((name) => name.toUpperCase());
}

function authNotOffered(session: Session): SMTPNotSupportedError {
  const behindTls =
    session.requireConnection().peer.tls === undefined && offers(session.serverInfo.features, "STARTTLS");
  const hint = behindTls
    ? ": many servers offer it in an encrypted session only, so call starttls() first (in a pool, set the option starttls)"
    : "";
  const missing = new SMTPNotSupportedError("SMTP AUTH extension not supported by server", {
    capability: "AUTH",
    hint,
  });
  return missingAfter(session.serverInfo.refusedHello, missing);
}

/** The mechanisms that both sides can use on this connection, in order. */
function mechanismsFor(
  { session, allowInsecureAuth }: AuthContext,
  ours: ReadonlyMap<string, Mechanism>,
  mechanisms: readonly string[] | undefined,
): Mechanism[] {
  const offered = session.serverInfo.features["auth"];
  if (offered === undefined) {
    throw authNotOffered(session);
  }
  const names = chooseMechanisms(words(offered), ours.keys(), mechanisms);
  const both = names.map((name) => ours.get(name)).filter((mechanism) => mechanism !== undefined);
  if (both.length === 0) {
    throw new SMTPException(`no suitable authentication method found: the server offers ${offered || "none"}`);
  }
  const { peer } = session.requireConnection();
  const bindable = channelBinding(peer.tls) !== undefined;
  const insecure = peer.tls === undefined && !peer.loopback && !allowInsecureAuth;
  const usable = both.filter(
    ({ name, clearText }) => !(insecure && clearText) && (bindable || !name.endsWith("-PLUS")),
  );
  // If none is usable, the mechanism itself reports what is missing.
  return usable.length > 0 ? usable : both;
}

/** Reports the refusal of the credentials, or else the most informative one; the others are its causes. */
function allFailed(causes: readonly SMTPException[]): SMTPException {
  const refusals = causes.filter((cause) => cause instanceof SMTPAuthenticationError);
  const refusal: SMTPAuthenticationError | undefined =
    refusals.find(isWrongPassword) ?? refusals.find(({ smtp_code }) => !OF_THE_MECHANISM.has(smtp_code)) ?? refusals[0];
  const telling: SMTPException | undefined = refusal ?? causes[0];
  if (telling === undefined) return new SMTPException("no suitable authentication method found");
  const cause =
    causes.length > 1 ? new AggregateError(causes, `each mechanism failed: ${textsOf(causes)}`) : telling.cause;
  if (refusal === undefined) {
    if (causes.length === 1) return telling;
    return new SMTPException(telling.message, { temporary: telling.temporary, cause });
  }
  const { smtp_code: code, smtp_error: message, reply, temporary, serverError } = refusal;
  return authenticationError({ code, message }, { reply, temporary, causes, cause, serverError });
}

/** Bun prints the message of an AggregateError that is a cause, but not its errors. */
function textsOf(errors: readonly Error[]): string {
  return errors.map(({ message }) => message).join("; ");
}
