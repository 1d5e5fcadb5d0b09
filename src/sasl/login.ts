/** The LOGIN mechanism (draft-murchison-sasl-login): obsolete, but some servers offer nothing else. */
import type { Mechanism, PasswordCredentials } from "./mechanism.ts";
import { prepareCredential } from "./saslprep.ts";

/**
 * LOGIN from credentials, which are prepared by SASLprep. The first question is answered with the user and the second
 * with the password, whatever the server calls them.
 *
 * @throws TypeError if a credential is not a string or holds NUL. @throws RangeError if SASLprep prohibits it.
 */
export function login(credentials: PasswordCredentials): Mechanism {
  const user = prepareCredential(credentials.user, "user");
  const password = prepareCredential(credentials.password, "password");
  return {
    name: "LOGIN",
    clearText: true,
    serverFirst: true,
    *start() {
      const encoder = new TextEncoder();
      yield new Uint8Array();
      yield encoder.encode(user);
      yield encoder.encode(password);
    },
  };
}
