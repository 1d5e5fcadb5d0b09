/** The interface between a SASL mechanism and the client that runs it (RFC 4422, RFC 4954). Types only. */
import type { TlsInfo } from "../byte-stream.ts";

/** The session, as a mechanism sees it. */
export type MechanismContext = {
  /** The host that the caller named. */
  readonly host: string;
  /** The TLS session; undefined without TLS. */
  readonly tls: TlsInfo | undefined;
  /** The mechanisms that the server offers, in upper case; undefined if they are not known, as before EHLO. */
  readonly offered?: readonly string[] | undefined;
};

/**
 * The server's reason for a refusal, in the mechanism's own terms: `status` is the mechanism's code (`invalid_token` in
 * OAUTHBEARER, `401` in XOAUTH2, `invalid-proof` in SCRAM); other fields are those that the server sent with it.
 */
export type ServerError = Readonly<Record<string, string>>;

/**
 * One way to authenticate, with the credentials already in it: `plain({ user, password })`.
 * It does no I/O. `start()` begins an exchange, any number of times, and its caller does this:
 *
 * 1. `next()` once. The yielded value is the *initial response*: it is sent with AUTH, as `=` if it is empty. If the
 *    line would be too long, it answers the first challenge, whose content the mechanism then never sees.
 *    A mechanism whose `serverFirst` is true has no initial response: it yields an empty array, which is discarded,
 *    and AUTH is sent alone.
 * 2. `next(challenge)` for each further 334, with the decoded challenge. The yielded value is the response to it; an
 *    empty array is an empty line. If the generator returns instead, the exchange is cancelled.
 * 3. `next(empty array)` once after the 235, which carries no data. The mechanism throws if it does not accept the
 *    success, as SCRAM does if the server has not proved that it knows the password: the login has failed, and the
 *    caller drops the connection. Normally the generator returns; anything it yields here is ignored.
 *
 * A yielded promise is awaited and its value is the response. The generator is resumed with the next challenge, never
 * with that value. If the generator throws or the promise rejects, the exchange is cancelled (`*`, RFC 4954 4) and the
 * error is the reason that is reported. In all cases `return()` is called last.
 *
 * @example
 * ```ts
 * const external: Mechanism = {
 *   name: "EXTERNAL",
 *   clearText: false,
 *   *start() {
 *     yield new Uint8Array();
 *   },
 * };
 * ```
 */
export interface Mechanism {
  /** The name in AUTH, in upper case. */
  readonly name: string;
  /** True if the responses reveal the secret to a reader of the connection: refused without TLS. */
  readonly clearText: boolean;
  /** True if the server speaks first, as in CRAM-MD5 and LOGIN. Default: false. */
  readonly serverFirst?: boolean | undefined;
  /**
   * True if no response depends on a challenge. A challenge that is not base64, such as `334 Username:`, is then
   * answered anyway; otherwise it cancels the exchange (RFC 4954 4). Default: false.
   */
  readonly ignoresChallenges?: boolean | undefined;
  /**
   * Returns the reason in the last challenge if the server refused the exchange after it; undefined if there is none.
   * It becomes the `serverError` of the exception.
   */
  explain?(challenge: Uint8Array): ServerError | undefined;
  /** Begins an exchange: yields responses, is resumed with challenges, throws to cancel. */
  start(context: MechanismContext): Generator<Uint8Array | Promise<Uint8Array>, void, Uint8Array>;
}

/** A user's name and password. */
export type PasswordCredentials = {
  /** The authentication identity. */
  readonly user: string;
  /** Its password. */
  readonly password: string;
};

/** A user's name and password, and the identity to act as. */
export type AuthorizingCredentials = PasswordCredentials & {
  /** The identity to act as, if it is not that of `user`. */
  readonly authzid?: string | undefined;
};
