/** The ANONYMOUS mechanism (RFC 4505): no identity, but a trace that the server may log. */
import { utf8 } from "../core/bytes.ts";
import type { Mechanism } from "./mechanism.ts";
import { isProhibited } from "./saslprep.ts";

/** The trace of an anonymous client. */
export type AnonymousCredentials = {
  /** An address or a word without `@`, of up to 255 characters, which proves nothing. Default: none. */
  readonly trace?: string | undefined;
};

/**
 * ANONYMOUS.
 *
 * @throws TypeError if the trace is not a string. @throws RangeError if it is too long or has characters that RFC 4505
 * 3 prohibits.
 */
export function anonymous(credentials: AnonymousCredentials = {}): Mechanism {
  const { trace = "" } = credentials;
  if (typeof trace !== "string") throw new TypeError("trace must be a string");
  if ([...trace].length > 255 || isProhibited(trace)) {
    throw new RangeError("trace must be at most 255 characters, without control characters and the like (RFC 4505 3)");
  }
  return {
    name: "ANONYMOUS",
    clearText: false,
    ignoresChallenges: true,
    *start() {
      yield utf8(trace);
    },
  };
}
