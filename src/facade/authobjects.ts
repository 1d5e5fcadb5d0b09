/** Python's `auth_plain`, `auth_login` and `auth_cram_md5`: authobjects that take user and password from the instance. */
import { utf8 } from "../core/bytes.ts";
import { hmacMd5 } from "../sasl/md5.ts";

/** Where an authobject finds its credentials. */
export type Credentials = { readonly user: string | undefined; readonly password: string | undefined };

/** PLAIN (RFC 4616): one message, whatever the challenge. */
export function authPlain({ user = "", password = "" }: Credentials): string {
  return `\0${user}\0${password}`;
}

/** CRAM-MD5 (RFC 2195): it has no initial response. */
export function authCramMd5(
  challenge: Uint8Array | undefined,
  { user = "", password = "" }: Credentials,
): string | undefined {
  if (challenge === undefined) return undefined;
  const digest = hmacMd5(utf8(password), challenge);
  return `${user} ${[...digest].map((octet) => octet.toString(16).padStart(2, "0")).join("")}`;
}

/** LOGIN: the first question is for the user, each later one for the password, whatever their texts. */
export class LoginAnswers {
  #asked = 0;

  /** A new exchange begins. */
  reset(): void {
    this.#asked = 0;
  }

  /** The answer to the next question. */
  next({ user = "", password = "" }: Credentials): string {
    return this.#asked++ === 0 ? user : password;
  }
}
