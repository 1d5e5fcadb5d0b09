/** The CRAM-MD5 mechanism (RFC 2195): proves the password by a keyed hash of the server's challenge. */
import { hex } from "../core/bytes.ts";
import { checkCredential } from "./credential.ts";
import { hmacMd5 } from "./md5.ts";
import type { Mechanism, PasswordCredentials } from "./mechanism.ts";

/**
 * CRAM-MD5 from credentials, which are used as they are, in UTF-8. The password is not sent, but an eavesdropper can
 * try passwords against the hash, and the server does not prove that it knows the password.
 *
 * @throws TypeError if a credential is not a string, or contains NUL or a lone surrogate. @throws RangeError if it
 * contains another control character.
 */
export function cramMd5(credentials: PasswordCredentials): Mechanism {
  const user = checkCredential(credentials.user, "user");
  const password = checkCredential(credentials.password, "password");
  return {
    name: "CRAM-MD5",
    clearText: false,
    serverFirst: true,
    *start() {
      const encoder = new TextEncoder();
      const challenge = yield new Uint8Array();
      yield encoder.encode(cramMd5Response(user, password, challenge));
    },
  };
}

/** The response to a challenge: the user and the hash, in hexadecimal. */
export function cramMd5Response(user: string, password: string, challenge: Uint8Array): string {
  const digest = hmacMd5(new TextEncoder().encode(password), challenge);
  return `${user} ${hex(digest)}`;
}
