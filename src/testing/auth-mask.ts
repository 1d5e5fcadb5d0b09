/** Keeps credentials out of a recorded dialogue: what AUTH carries, and what the server repeats of it. */
import { decodeBase64 } from "../core/base64.ts";
import { MASK } from "./transcript.ts";

/** Follows one session; each line has to be shown to it, in order. */
export class AuthMask {
  readonly #secrets = new Set<string>();
  /** Where AUTH stands: its line was sent; the server waits for a response, which is a secret. */
  #state: "begun" | "challenged" | undefined;
  /** SCRAM's challenges are enough to guess the password without the server (RFC 5802 9). */
  #hidesChallenges = false;

  /** A client's line without its secrets. */
  client(line: string): string {
    if (this.#state === "challenged") {
      this.#state = "begun";
      this.#keepSecret(line);
      return line === "*" ? line : MASK;
    }
    const [, command, mechanism = "", initial] = /^(AUTH (\S+))(?: (.*))?$/i.exec(line) ?? [];
    if (command === undefined) return line;
    this.#state = "begun";
    this.#hidesChallenges = /^SCRAM-/i.test(mechanism);
    if (initial === undefined) return line;
    this.#keepSecret(initial);
    return `${command} ${MASK}`;
  }

  /** A server's line without the secrets that the client has sent. */
  server(line: string): string {
    const challenge = this.#state !== undefined && line.startsWith("334");
    if (this.#state !== undefined) this.#state = challenge ? "challenged" : undefined;
    if (challenge && this.#hidesChallenges) return `334 ${MASK}`;
    let shown = line;
    for (const secret of this.#secrets) shown = shown.replaceAll(secret, MASK);
    return shown;
  }

  /** A response, and what is in it: user and password between NULs, a token behind its scheme. */
  #keepSecret(response: string): void {
    const bytes = decodeBase64(response);
    const parts = bytes === undefined ? [] : new TextDecoder().decode(bytes).split(/[\x00\x01 =]/);
    for (const secret of [response, ...parts]) if (secret.length >= 4) this.#secrets.add(secret);
  }
}
