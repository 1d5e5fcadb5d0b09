/** What a SASL mechanism is to the client that runs it (RFC 4422, RFC 4954). Types only. */
import type { TlsInfo } from "../byte-stream.ts";

/** What a mechanism may know of the session. */
export type MechanismContext = {
  /** The host that the user asked for. */
  readonly host: string;
  /** The TLS session; undefined in clear. */
  readonly tls: TlsInfo | undefined;
  /** The mechanisms that the server offers, in upper case; undefined where that is not known, as before EHLO. */
  readonly offered?: readonly string[] | undefined;
};

/**
 * The server's reason for a refusal, in the mechanism's own terms: `status` is the mechanism's code (`invalid_token` in
 * OAUTHBEARER, `401` in XOAUTH2, `invalid-proof` in SCRAM); other fields are those that came with it.
 */
export type ServerError = Readonly<Record<string, string>>;

/**
 * One way to authenticate, with the credentials already in it: `plain({ user, password })`.
 * It does no I/O. `start()` begins an exchange, any number of times, and whoever runs it does this:
 *
 * 1. `next()` once. What is yielded is the *initial response*: it goes along with AUTH, as `=` if it is empty, or, where
 *    the line would get too long, it answers the first challenge, whose content the mechanism then never sees.
 *    A mechanism whose `serverFirst` is true has no initial response: it yields an empty array, which is thrown away,
 *    and AUTH is sent alone.
 * 2. `next(challenge)` for each 334 from there on, with the decoded challenge. What is yielded is the response to it, and
 *    an empty array is an empty line. If the generator returns instead, it has no answer: the exchange is cancelled.
 * 3. `next(empty array)` once after the 235, which carries no data. The mechanism throws if it does not believe the
 *    success, as SCRAM does while the server has not proved itself: then the login failed and the connection is to be
 *    dropped. It normally returns; anything it yields here is ignored.
 *
 * A yielded promise is awaited and its value is the response. The generator is resumed with the next challenge, never
 * with that value. If the generator throws or the promise rejects, the exchange is cancelled (`*`, RFC 4954 4) and the
 * error is the reason that is reported. However it ends, `return()` is called last.
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
   * True if no response depends on a challenge: one that is not base64, such as `334 Username:`, is answered all the same
   * then, and cancels the exchange otherwise (RFC 4954 4). Default: false.
   */
  readonly ignoresChallenges?: boolean | undefined;
  /**
   * What the last challenge says of the reason, where the server refused the exchange after it; undefined if it says
   * nothing. It becomes the `serverError` of the exception.
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
  /** The identity to act as, where it is not that of `user`. */
  readonly authzid?: string | undefined;
};
