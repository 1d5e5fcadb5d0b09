/** `login()`: one user and password, the mechanisms of both sides, strongest first (RFC 4954). */
import { checkClearText } from "../client/authenticate.ts";
import { mechanismExchange } from "../client/exchanges.ts";
import type { Session } from "../client/session.ts";
import { kindOf } from "../core/bytes.ts";
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

/** What `login()` needs to know besides. */
export type LoginContext = {
  readonly host: string;
  readonly allowInsecureAuth: boolean;
};

/**
 * Checks the options of `auth()` and `login()`.
 * @throws {TypeError} naming the option
 */
export function checkAuthOptions(options: LoginOptions): void {
  const { initial_response_ok: initial }: LoginOptions = checkObject(options, "options");
  if (initial === undefined || typeof initial === "boolean") return;
  throw new TypeError(`initial_response_ok must be a boolean, not ${kindOf(initial)}`);
}

/** Logs in; the exceptions are those of `SMTP.login`. */
export function login(
  session: Session,
  credentials: PasswordCredentials,
  options: LoginOptions,
  context: LoginContext,
): Promise<Reply> {
  const ours = new Map([...passwordMechanisms].map(([name, make]) => [name, make(credentials)]));
  chooseMechanisms([], ours.keys(), options.mechanisms);
  return session.login(async (run) => {
    const causes: SMTPAuthenticationError[] = [];
    for (const mechanism of mechanismsFor(session, ours, options, context)) {
      const initial = options.initial_response_ok === false ? "never" : "allowed";
      const { host } = context;
      try {
        return await run(mechanismExchange(mechanism, { host, tls: session.peer?.tls }, initial));
      } catch (error) {
        if (!(error instanceof SMTPAuthenticationError)) throw error;
        causes.push(error);
        // A temporary failure says nothing of the password: another try would only show it once more.
        if (error.temporary || !session.connected) break;
      }
    }
    throw allFailed(causes);
  });
}

function mechanismsFor(
  session: Session,
  ours: ReadonlyMap<string, Mechanism>,
  options: LoginOptions,
  context: LoginContext,
): readonly Mechanism[] {
  const offered = session.introduction.features["auth"];
  if (offered === undefined) {
    throw new SMTPNotSupportedError("SMTP AUTH extension not supported by server", { capability: "AUTH" });
  }
  const names = chooseMechanisms(words(offered), ours.keys(), options.mechanisms);
  const both = names.map((name) => ours.get(name)).filter((mechanism) => mechanism !== undefined);
  const [weakest] = both.slice(-1);
  if (weakest === undefined) {
    throw new SMTPException(`no suitable authentication method found: the server offers ${offered || "none"}`);
  }
  const { peer } = session;
  const hidden = both.filter((mechanism) => !mechanism.clearText);
  if (hidden.length > 0 && peer?.tls === undefined && peer?.loopback !== true && !context.allowInsecureAuth)
    return hidden;
  if (peer !== undefined && weakest.clearText) checkClearText(weakest.name, peer, context.allowInsecureAuth);
  return both;
}

function allFailed(causes: readonly SMTPAuthenticationError[]): SMTPException {
  const [last] = causes.slice(-1);
  if (last === undefined) return new SMTPException("no suitable authentication method found");
  const { smtp_code, smtp_error, reply, temporary } = last;
  const cause = causes.length > 1 ? new AggregateError(causes, "each mechanism failed") : undefined;
  return new SMTPAuthenticationError(smtp_code, smtp_error, { reply, temporary, causes, cause });
}
