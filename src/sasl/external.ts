/** The EXTERNAL mechanism (RFC 4422 A): a lower layer has authenticated the client, as TLS does by a certificate. */
import { utf8 } from "../core/bytes.ts";
import { checkCredential } from "./credential.ts";
import type { Mechanism } from "./mechanism.ts";

/** The identity to act as. */
export type ExternalCredentials = {
  /** The identity to act as. Default: the one that the server derives, for example from the client certificate. */
  readonly authzid?: string | undefined;
};

/**
 * EXTERNAL.
 *
 * @throws TypeError if the identity is not a string, or contains NUL or a lone surrogate. @throws RangeError if it
 * contains another control character.
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
