/** Bearer tokens of OAuth 2.0: OAUTHBEARER (RFC 7628) and its predecessor, Google's XOAUTH2. */
import { decodeText, utf8 } from "../core/bytes.ts";
import { noteTokenFailure } from "../core/token-failure.ts";
import { SMTPAuthenticationError, SMTPException } from "../errors.ts";
import { checkCredential } from "./credential.ts";
import type { Mechanism, ServerError } from "./mechanism.ts";
import { escapeName } from "./scram-messages.ts";

/** A user, a bearer token, and the further fields of OAUTHBEARER. */
export type TokenCredentials = {
  /** The user of the mailbox, usually an address. */
  readonly user: string;
  /** The token, or a function that returns one: it is called when a token is needed, and once more after a refusal. */
  readonly token: string | (() => Promise<string>);
};

/** A user and a bearer token, and the other fields of OAUTHBEARER. */
export type OAuthBearerCredentials = TokenCredentials & {
  /** The server's name. Default: the host connected to. */
  readonly host?: string | undefined;
  /** The port connected to, for servers that require it. */
  readonly port?: number | undefined;
};

/**
 * OAUTHBEARER. After a refusal, the exception's `serverError` has the server's reason (RFC 7628 3.2.2), as `status`,
 * `scope` and `openid-configuration`.
 *
 * User and token are sent as they are, in UTF-8. An exchange throws `SMTPException` before anything is sent if the
 * token function fails or returns no token; its error is the `cause`.
 * @throws TypeError if a credential has the wrong type, or contains NUL or a lone surrogate. @throws RangeError if it
 * holds control characters.
 */
export function oauthbearer(credentials: OAuthBearerCredentials): Mechanism {
  const user = checkCredential(credentials.user, "user");
  const host = checkCredential(credentials.host ?? "", "host");
  const { port } = credentials;
  if (port !== undefined && !Number.isInteger(port)) throw new TypeError("port must be a whole number");
  return bearer("OAUTHBEARER", credentials, "\x01", (token, context) => {
    const name = host || context.host;
    const where = `${name === "" ? "" : `host=${name}\x01`}${port === undefined ? "" : `port=${port}\x01`}`;
    return `n,${user === "" ? "" : `a=${escapeName(user)}`},\x01${where}auth=Bearer ${token}\x01\x01`;
  });
}

/**
 * XOAUTH2, for Google and Microsoft. After a refusal, the exception's `serverError` has the server's reason, as
 * `status`, `schemes` and `scope`. The exceptions are those of `oauthbearer`.
 *
 * @example
 * ```ts
 * import { SMTP } from "smtplib";
 * import { xoauth2 } from "smtplib/sasl";
 *
 * const smtp = await SMTP.connect("mail.example.com", 587);
 * try {
 *   await smtp.starttls();
 *   const token = async () => "a-fresh-token";
 *   await smtp.auth("XOAUTH2", xoauth2({ user: "user", token }));
 * } finally {
 *   await smtp.quit();
 * }
 * ```
 */
export function xoauth2(credentials: TokenCredentials): Mechanism {
  const user = checkCredential(credentials.user, "user");
  return bearer("XOAUTH2", credentials, "", (token) => `user=${user}\x01auth=Bearer ${token}\x01\x01`);
}

type TokenFunction = () => Promise<string>;

/** The constructors of mechanisms with a token function, to make them again with another function. */
const remakes = new WeakMap<Mechanism, (wrap: (token: TokenFunction) => TokenFunction) => Mechanism>();

/** Returns the mechanism with its token function wrapped; unchanged, if it has none. */
export function wrapToken(mechanism: Mechanism, wrap: (token: TokenFunction) => TokenFunction): Mechanism {
  return remakes.get(mechanism)?.(wrap) ?? mechanism;
}

function bearer(
  name: string,
  { token }: TokenCredentials,
  /** The response to the server's error, after which it refuses (RFC 7628 3.2.3). */
  dummy: string,
  message: (token: string, context: { readonly host: string }) => string,
): Mechanism {
  if (typeof token !== "string" && typeof token !== "function") {
    throw new TypeError("token must be a string or a function that gives a promise of one");
  }
  if (typeof token === "string") checkToken(token);
  const mechanism: Mechanism = {
    name,
    clearText: true,
    ignoresChallenges: true,
    explain: explainJson,
    *start(context) {
      const given = typeof token === "string" ? Promise.resolve(token) : tokenFrom(token);
      yield given.then((text) => utf8(message(text, context)));
      yield utf8(dummy);
    },
  };
  if (typeof token === "function") {
    remakes.set(mechanism, (wrap) => bearer(name, { user: "", token: wrap(token) }, dummy, message));
  }
  return mechanism;
}

/** Calls the function. Its failure is not a refusal by the server, and makes the login fail as well. */
async function tokenFrom(token: TokenFunction): Promise<string> {
  try {
    return checkToken(await token());
  } catch (error) {
    // A refusal by the server arrives here if the function returns the refused token again.
    if (error instanceof SMTPAuthenticationError) throw error;
    if (error instanceof SMTPException) throw noteTokenFailure(error);
    const why = error instanceof Error ? error.message : String(error);
    throw noteTokenFailure(new SMTPException(`the token function failed: ${why}`, { cause: error }));
  }
}

/** RFC 6750 2.1 allows letters, digits and `-._~+/=`; any visible character is accepted here. Errors do not show it. */
export function checkToken(token: unknown, argument = "token"): string {
  if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new TypeError(`${argument} must be a string of visible ASCII characters`);
}

/** The fields of the server's JSON, all as strings; undefined if it is not an object. */
function explainJson(challenge: Uint8Array): ServerError | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(decodeText(challenge));
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
  const fields = Object.entries(parsed).map(([name, value]) => [name, asText(value)]);
  return Object.assign(Object.create(null), Object.fromEntries(fields));
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
