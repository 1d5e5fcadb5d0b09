/** The rules of a session: the greeting, EHLO, STARTTLS and QUIT (RFC 5321, 2033, 3207). */
import type { JudgedReply } from "./replies.ts";
import type { Circumstances, Fail, Features } from "./transcript.ts";

/** Judges the commands of a session, except for its transactions and its login. */
export class SessionRules {
  /** The offer of the last EHLO. */
  features: Features = new Map();
  tls: boolean;
  /** The server has answered QUIT. */
  quitAnswered = false;
  readonly #circumstances: Circumstances;
  readonly #fail: Fail;
  #greeting: number | undefined;
  #introduced = false;
  #awaitsTls = false;
  #awaitsEhlo = false;
  #quit = false;

  constructor(circumstances: Circumstances, fail: Fail) {
    this.#circumstances = circumstances;
    this.#fail = fail;
    this.tls = circumstances.implicitTls === true;
  }

  /** Takes any line of the client. */
  line(line: string): void {
    if (this.#greeting === undefined) this.#fail("RFC 5321 4.3.1: nothing is sent before the greeting", line);
    if (this.#quit) this.#fail("RFC 5321 4.1.1.10: nothing follows QUIT", line);
  }

  /** Takes any write. */
  write(): void {
    if (this.#awaitsTls) this.#fail("RFC 3207 4: nothing is sent between STARTTLS and the handshake", "");
  }

  /** Takes any command. */
  command(verb: string, line: string): void {
    if (this.#greeting !== undefined && this.#greeting >= 300 && verb !== "QUIT") {
      this.#fail("RFC 5321 3.1: nothing but QUIT after a greeting that refuses", line);
    }
    if (this.#awaitsEhlo && !/^(EHLO|LHLO|HELO|QUIT|NOOP|RSET)$/.test(verb)) {
      this.#fail("RFC 3207 4.2: EHLO follows STARTTLS", line);
    }
    this.#ascii(verb, line);
    if (/^[EHL][HEL]LO$/.test(verb) && (verb === "LHLO") !== (this.#circumstances.protocol === "lmtp")) {
      this.#fail("RFC 2033 4.1: LMTP says LHLO, SMTP says EHLO or HELO", line);
    }
    if (verb === "MAIL" && !this.#introduced && !this.#awaitsEhlo) {
      this.#fail("RFC 5321 4.1.1.1: no MAIL before EHLO or HELO", line);
    }
    if (verb === "STARTTLS") this.#startTls(line);
    if (verb === "QUIT") this.#quit = true;
  }

  #ascii(verb: string, line: string): void {
    if (!/[^\x00-\x7f]/.test(line)) return;
    if (/^[EHL][HEL]LO$/.test(verb)) this.#fail("RFC 6531 3.7.1: the name in EHLO is an A-label", line);
    else if (!this.features.has("SMTPUTF8")) {
      this.#fail("RFC 6531 3.4: a command that is not ASCII needs SMTPUTF8", line);
    }
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(line, (one) => one.charCodeAt(0)));
    } catch {
      this.#fail("RFC 6531 3.3: what is not ASCII is UTF-8", line);
    }
  }

  #startTls(line: string): void {
    if (this.tls) this.#fail("RFC 3207 4.2: no STARTTLS under TLS", line);
    if (!this.features.has("STARTTLS")) this.#fail("RFC 5321 4.1.1.1: STARTTLS is sent where it is offered", line);
  }

  /** Takes the reply to a command of the session. */
  answer(verb: string, { code, lines }: JudgedReply): void {
    if (verb === "greeting") this.#greeting = code;
    else if (verb === "STARTTLS") this.#awaitsTls = code === 220;
    else if (verb === "QUIT") this.quitAnswered = true;
    else if (/^[EHL][HEL]LO$/.test(verb)) this.#hello(verb, code < 300, lines);
  }

  #hello(verb: string, good: boolean, lines: readonly string[]): void {
    if (good) {
      this.#introduced = true;
      this.#awaitsEhlo = false;
    } else if (verb === "HELO") return;
    // RFC 5321 2.2.1: HELO, and an EHLO that was refused, offer nothing.
    const keywords = good && verb !== "HELO" ? lines.slice(1) : [];
    this.features = new Map(
      keywords.map((line) => {
        const [keyword = "", ...parameters] = line.trim().split(/[ =]+/);
        return [keyword.toUpperCase(), parameters.join(" ").toUpperCase()];
      }),
    );
  }

  /** Takes the end of a handshake; `unread`: bytes had arrived before it. */
  secured(unread: boolean, isManual: boolean): void {
    // Before the greeting it is implicit TLS, which was not known when the connection was made.
    // The commands of a caller that uses `putcmd` or `send` were not read.
    if (!this.#circumstances.implicitTls && !this.#awaitsTls && this.#greeting !== undefined && !isManual) {
      this.#fail("RFC 3207 4: TLS begins after the 220 to STARTTLS", "");
    }
    if (unread && !isManual) this.#fail("RFC 3207 4.2: nothing in clear survives STARTTLS", "");
    if (this.#awaitsTls) this.#awaitsEhlo = true;
    this.#awaitsTls = false;
    this.tls = true;
    this.features = new Map();
    this.#introduced = false;
  }

  /** Takes the end of a session without a cause. */
  closed(): void {
    if (this.#greeting !== 220) return;
    if (!this.#quit) this.#fail("RFC 5321 4.1.1.10: QUIT before the end of the connection", "");
    else if (!this.quitAnswered) this.#fail("RFC 5321 4.1.1.10: the reply to QUIT is awaited", "");
  }
}
