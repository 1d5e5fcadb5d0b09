/** Masks the credentials in a recorded dialogue: those of AUTH, and those that the server echoes. */
import { decodeBase64 } from "../core/base64.ts";
import { MASK } from "./transcript.ts";

/** The beginning of a command, as opposed to a response to a challenge. */
const VERB = /^(?:EHLO|HELO|LHLO|STARTTLS|AUTH|MAIL|RCPT|DATA|BDAT|RSET|NOOP|QUIT|VRFY|EXPN|HELP)\b/i;

/** Follows one session; pass it each line, in order. */
export class AuthMask {
  readonly #secrets = new Set<string>();
  /** The state of AUTH: its line was sent, or the server waits for a response, which is a secret. */
  #state: "begun" | "challenged" | undefined;
  /** A client that does not wait for replies may send its secrets after a refusal. */
  #authenticates = false;
  /** SCRAM's challenges are enough to guess the password without the server (RFC 5802 9). */
  #hidesChallenges = false;

  /** Returns a client's line without its secrets. */
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

  /** Returns a server's line without the secrets that the client has sent. */
  server(line: string): string {
    const challenge = this.#state !== undefined && line.startsWith("334");
    if (this.#state !== undefined) this.#state = challenge ? "challenged" : undefined;
    if (challenge && this.#hidesChallenges) return `334 ${MASK}`;
    let shown = line;
    // The longest first: a short one may be a part of another, whose rest would remain.
    for (const secret of [...this.#secrets].sort((a, b) => b.length - a.length)) shown = shown.replaceAll(secret, MASK);
    return shown;
  }

  /** A response, and its parts: user and password between NULs, a token after its scheme. */
  #keepSecret(response: string): void {
    const bytes = decodeBase64(response);
    const text = bytes === undefined ? "" : new TextDecoder().decode(bytes);
    const parts = [...text.split(/[\x00\x01]/), ...text.split(/[\x00\x01 =]/)];
    for (const secret of [response, ...parts]) if (secret.length >= 4) this.#secrets.add(secret);
  }
}
