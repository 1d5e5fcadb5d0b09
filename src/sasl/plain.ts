/** The PLAIN mechanism (RFC 4616): user and password as they are, in one message. */
import { checkCredential } from "./credential.ts";
import type { AuthorizingCredentials, Mechanism } from "./mechanism.ts";

/** The credentials of PLAIN, and the identity to act as. */
export type PlainCredentials = AuthorizingCredentials;

/**
 * PLAIN from credentials, which are sent as they are, in UTF-8.
 *
 * @throws TypeError if a credential is not a string, or contains NUL or a lone surrogate. @throws RangeError if it
 * contains another control character.
 */
export function plain(credentials: PlainCredentials): Mechanism {
  const authzid = checkCredential(credentials.authzid ?? "", "authzid");
  const user = checkCredential(credentials.user, "user");
  const password = checkCredential(credentials.password, "password");
  return {
    name: "PLAIN",
    clearText: true,
    ignoresChallenges: true,
    *start() {
      yield new TextEncoder().encode(`${authzid}\0${user}\0${password}`);
    },
  };
}
