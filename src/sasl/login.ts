/** The LOGIN mechanism (draft-murchison-sasl-login): obsolete, but some servers offer nothing else. */
import { checkCredential } from "./credential.ts";
import type { Mechanism, PasswordCredentials } from "./mechanism.ts";

/**
 * LOGIN from credentials, which are sent as they are, in UTF-8. The answer to the first challenge is the user, the
 * answer to the second the password, whatever the challenges say.
 *
 * @throws TypeError if a credential is not a string, or contains NUL or a lone surrogate. @throws RangeError if it
 * contains another control character.
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
