/** Keeps credentials out of a recorded dialogue: what AUTH carries, and what the server repeats of it. */
import { decodeBase64 } from "../core/base64.ts";
import { MASK } from "./transcript.ts";

/** What begins a command, and no response to a challenge. */
const VERB = /^(?:EHLO|HELO|LHLO|STARTTLS|AUTH|MAIL|RCPT|DATA|BDAT|RSET|NOOP|QUIT|VRFY|EXPN|HELP)\b/i;

/** Follows one session; each line has to be shown to it, in order. */
export class AuthMask {
  readonly #secrets = new Set<string>();
  /** Where AUTH stands: its line was sent; the server waits for a response, which is a secret. */
  #state: "begun" | "challenged" | undefined;
  /** A client that does not wait for replies, or does not read them, says its secrets after a refusal, too. */
  #authenticates = false;
  /** SCRAM's challenges are enough to guess the password without the server (RFC 5802 9). */
  #hidesChallenges = false;

  /** A client's line without its secrets. */
  client(line: string): string {
    if (this.#state === "challenged") {
      this.#state = "begun";
      this.#keepSecret(line);
      return line === "*" ? line : MASK;
    }
    const [, command, mechanism = "", initial] = /^(\s*AUTH\s+(\S+))(?:\s+(.*))?$/i.exec(line) ?? [];
    if (command === undefined) return this.#authenticates && !VERB.test(line) ? this.#masked(line) : line;
    this.#state = "begun";
    this.#authenticates = true;
    this.#hidesChallenges = /^SCRAM-/i.test(mechanism);
    return initial === undefined || initial === "" ? line : `${command} ${this.#masked(initial)}`;
  }

  #masked(secret: string): string {
    this.#keepSecret(secret);
    return MASK;
  }

  /** A server's line without the secrets that the client has sent. */
  server(line: string): string {
    const challenge = this.#state !== undefined && line.startsWith("334");
    if (this.#state !== undefined) this.#state = challenge ? "challenged" : undefined;
    if (challenge && this.#hidesChallenges) return `334 ${MASK}`;
    let shown = line;
    // The longest first: a short one may be a part of another, whose rest would show.
    for (const secret of [...this.#secrets].sort((a, b) => b.length - a.length)) shown = shown.replaceAll(secret, MASK);
    return shown;
  }

  /** A response, and what is in it: user and password between NULs, a token behind its scheme. */
  #keepSecret(response: string): void {
    const bytes = decodeBase64(response);
    const text = bytes === undefined ? "" : new TextDecoder().decode(bytes);
    const parts = [...text.split(/[\x00\x01]/), ...text.split(/[\x00\x01 =]/)];
    for (const secret of [response, ...parts]) if (secret.length >= 4) this.#secrets.add(secret);
  }
}
