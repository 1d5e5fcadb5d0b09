/** The PLAIN mechanism (RFC 4616): user and password as they are, in one message. */
import type { AuthorizingCredentials, Mechanism } from "./mechanism.ts";
import { prepareCredential } from "./saslprep.ts";

/** Who logs in by PLAIN, and as whom. */
export type PlainCredentials = AuthorizingCredentials;

/**
 * PLAIN from credentials, which are prepared by SASLprep.
 *
 * @throws TypeError if a credential is not a string or holds NUL. @throws RangeError if SASLprep prohibits it.
 */
export function plain(credentials: PlainCredentials): Mechanism {
  const authzid = prepareCredential(credentials.authzid ?? "", "authzid");
  const user = prepareCredential(credentials.user, "user");
  const password = prepareCredential(credentials.password, "password");
  return {
    name: "PLAIN",
    clearText: true,
    *start() {
      yield new TextEncoder().encode(`${authzid}\0${user}\0${password}`);
    },
  };
}
