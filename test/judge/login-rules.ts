/** The rules of authentication (RFC 4954). */
import { authOf } from "./command-line.ts";
import type { Fail, Features } from "./transcript.ts";

/** Mechanisms that reveal the password or a token. */
const SHOWS_SECRET = new Set(["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"]);
/** Mechanisms in which the server speaks first. */
const SERVER_FIRST = new Set(["CRAM-MD5", "DIGEST-MD5"]);

/** Judges AUTH on one connection. */
export class LoginRules {
  /** The next line answers a challenge. */
  challenged = false;
  /** The caller chose the mechanism, which the server need not offer. */
  chosen = false;
  clearTextAllowed: boolean;
  readonly #fail: Fail;
  #authenticated = false;
  #last = { mechanism: "", bare: false };
  /** Mechanisms whose AUTH was refused without an initial response. */
  readonly #refusedBare = new Set<string>();

  constructor(clearTextAllowed: boolean, fail: Fail) {
    this.clearTextAllowed = clearTextAllowed;
    this.#fail = fail;
  }

  /** Takes AUTH. */
  command(line: string, features: Features, now: { readonly tls: boolean; readonly inTransaction: boolean }): void {
    const { mechanism, initial } = authOf(line);
    const offered = features.get("AUTH")?.split(" ") ?? [];
    if (!this.chosen && !offered.includes(mechanism)) {
      this.#fail("RFC 4954 3: AUTH has a mechanism that is offered", `${mechanism} of ${offered.join(" ")}`);
    }
    if (this.#authenticated && !this.chosen) this.#fail("RFC 4954 4: no AUTH after a successful one", mechanism);
    if (now.inTransaction) this.#fail("RFC 4954 4: no AUTH during a transaction", mechanism);
    if (SHOWS_SECRET.has(mechanism) && !now.tls && !this.clearTextAllowed) {
      this.#fail("RFC 4954 9: no password in clear", mechanism);
    }
    if (initial !== undefined) this.#initial(mechanism, initial, line.length + 2);
    this.#last = { mechanism, bare: initial === undefined };
  }

  #initial(mechanism: string, initial: string, length: number): void {
    if (SERVER_FIRST.has(mechanism) && initial !== "") {
      this.#fail("RFC 4954 4: no initial response where the server speaks first", mechanism);
    }
    // If the server refused the command alone, the initial response has to be sent with it.
    if (length > 512 && !this.#refusedBare.has(mechanism)) {
      this.#fail("RFC 4954 4: no initial response in a command of more than 512 octets", `${mechanism}, ${length}`);
    }
  }

  /** Takes a reply to AUTH, or to a response. */
  answer(code: number): void {
    this.challenged = code === 334;
    if (code === 235) this.#authenticated = true;
    if (code >= 400 && this.#last.bare) this.#refusedBare.add(this.#last.mechanism);
  }

  /** RFC 3207 4.2: forgets the session before TLS. */
  forget(): void {
    this.#authenticated = false;
    this.challenged = false;
  }
}
