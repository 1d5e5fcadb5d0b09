/** The server's side of SCRAM (RFC 5802), by node:crypto: independent of the tested code. */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";

/** The server's data about a user, and its deviations. */
export type ScramAccount = {
  readonly hash: "SHA-1" | "SHA-256" | "SHA-512";
  readonly password: string;
  readonly iterations?: number;
  readonly salt?: Buffer;
  readonly nonce?: string;
  /** The bytes of the channel binding, if the client announces one. */
  readonly binding?: Uint8Array;
};

/** One exchange; its last message reports a fault of the client as `e=`. */
export class ScramServer {
  /** The client's GS2 header, and its name in escaped form. */
  header = "";
  name = "";
  readonly #account: ScramAccount;
  #bare = "";
  #first = "";
  #nonce = "";

  constructor(account: ScramAccount) {
    this.#account = account;
  }

  /** The answer to the client's first message. */
  readonly first = (message: string): string => {
    const [, header = "", bare = "", name = "", nonce = ""] =
      /^((?:n|y|p=[a-z-]+),(?:a=[^,]+)?,)(n=([^,]*),r=([^,]+))$/.exec(message) ?? [];
    if (header === "") throw new Error(`not a client's first message: ${message}`);
    const { salt = Buffer.from("some salt"), iterations = 4096, nonce: own = "3rfcNHYJY1ZVvWVs7j" } = this.#account;
    this.header = header;
    this.name = name;
    this.#bare = bare;
    this.#nonce = nonce + own;
    this.#first = `r=${this.#nonce},s=${salt.toString("base64")},i=${iterations}`;
    return this.#first;
  };

  /** The answer to the client's last message. */
  readonly final = (message: string): string => {
    const { hash, password, salt = Buffer.from("some salt"), iterations = 4096, binding } = this.#account;
    const digest = hash.replace("-", "").toLowerCase();
    const hmac = (key: Buffer, text: string): Buffer => createHmac(digest, key).update(text).digest();
    const [, withoutProof = "", bound = "", nonce, proof = ""] = /^(c=([^,]+),r=([^,]+)),p=(.+)$/.exec(message) ?? [];
    if (nonce !== this.#nonce) return "e=other-error";
    const expected = Buffer.concat([Buffer.from(this.header), binding ?? new Uint8Array()]);
    if (bound !== expected.toString("base64")) return "e=channel-bindings-dont-match";
    const length = createHash(digest).digest().length;
    const salted = pbkdf2Sync(password, salt, iterations, length, digest);
    const authMessage = `${this.#bare},${this.#first},${withoutProof}`;
    const clientKey = hmac(salted, "Client Key");
    const signature = hmac(createHash(digest).update(clientKey).digest(), authMessage);
    const right = Buffer.from(clientKey.map((octet, i) => octet ^ (signature[i] ?? 0)));
    const given = Buffer.from(proof, "base64");
    if (given.length !== right.length || !timingSafeEqual(given, right)) return "e=invalid-proof";
    return `v=${hmac(hmac(salted, "Server Key"), authMessage).toString("base64")}`;
  };
}
