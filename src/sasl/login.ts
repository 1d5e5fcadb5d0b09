/** The LOGIN mechanism (draft-murchison-sasl-login): obsolete, but some servers offer nothing else. */
import { checkCredential } from "./credential.ts";
import type { Mechanism, PasswordCredentials } from "./mechanism.ts";

/**
 * LOGIN from credentials, which are sent as they are, in UTF-8. The first question is answered with the user and the second
 * with the password, whatever the server calls them.
 *
 * @throws TypeError if a credential is not a string, or holds NUL or a lone surrogate. @throws RangeError if it holds
 * another control character.
 */
export function login(credentials: PasswordCredentials): Mechanism {
  const user = checkCredential(credentials.user, "user");
  const password = checkCredential(credentials.password, "password");
  return {
    name: "LOGIN",
    clearText: true,
    serverFirst: true,
    ignoresChallenges: true,
    *start() {
      const encoder = new TextEncoder();
      yield new Uint8Array();
      yield encoder.encode(user);
      yield encoder.encode(password);
    },
  };
}
