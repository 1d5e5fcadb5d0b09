/** The EXTERNAL mechanism (RFC 4422 A): what lies below has proved who we are, as a client certificate does in TLS. */
import { utf8 } from "../core/bytes.ts";
import { checkCredential } from "./credential.ts";
import type { Mechanism } from "./mechanism.ts";

/** The identity to act as. */
export type ExternalCredentials = {
  /** The identity to act as. Default: the one that the server derives from, say, the client certificate. */
  readonly authzid?: string | undefined;
};

/**
 * EXTERNAL.
 *
 * @throws TypeError if the identity is not a string, or holds NUL or a lone surrogate. @throws RangeError if it holds
 * another control character.
 */
export function external(credentials: ExternalCredentials = {}): Mechanism {
  const authzid = checkCredential(credentials.authzid ?? "", "authzid");
  return {
    name: "EXTERNAL",
    clearText: false,
    ignoresChallenges: true,
    *start() {
      yield utf8(authzid);
    },
  };
}
