/** The dialogue of a scripted server as data, and a connection that plays it and records the client. */
import type { TlsOptions } from "node:tls";
import type { Pair } from "./certificates.ts";
import type { Ending, Wire } from "./scripted-wire.ts";

/**
 * One step of a server. A string is a reply, to which CRLF is added; bytes are sent as they are; a list is executed in
 * order.
 */
export type Act = string | Uint8Array | Step | readonly Act[];

/** A step other than a reply; made by the functions below. */
export type Step =
  | { readonly does: "expect"; readonly line: string | RegExp }
  | { readonly does: "body" }
  | { readonly does: "take"; readonly octets: number }
  | { readonly does: "delay"; readonly seconds: number }
  | { readonly does: "drip"; readonly text: string; readonly seconds: number }
  | { readonly does: "pieces"; readonly text: string; readonly cuts: readonly number[] }
  | { readonly does: "inOrder"; readonly acts: readonly Act[] }
  | { readonly does: "call"; readonly callback: () => void | Promise<void> }
  | { readonly does: "tls"; readonly pair: Pair; readonly options: TlsOptions }
  | { readonly does: "converse"; readonly answers: Answers }
  | { readonly does: "close" | "reset" | "halfClose" | "stall" | "freeze" };

/**
 * The answers of a server to each verb. "." stands for the end of the message, by DATA or by BDAT LAST, "BDAT" for
 * any other chunk, "chunk" for a step between a BDAT line and its bytes, "334" for a line that answers a challenge,
 * "cancel" for the line that cancels, "*" for any other verb. Default: the answers of a friendly server.
 */
export type Answers = { readonly [verb: string]: Act };

/** Waits for a line that begins with a text (in any case) or matches. Any other line fails the test. */
export const expectLine = (line: string | RegExp): Step => ({ does: "expect", line });
/** Waits for the rest of a message, to its final dot. */
export const body = (): Step => ({ does: "body" });
/** Waits for so many more bytes. */
export const take = (octets: number): Step => ({ does: "take", octets });
/** Does nothing for a time. */
export const delay = (seconds: number): Step => ({ does: "delay", seconds });
/** Sends a reply byte by byte, with a pause after each. */
export const drip = (text: string, seconds = 0): Step => ({ does: "drip", text, seconds });
/** Sends a reply cut at these offsets, a packet each. */
export const pieces = (text: string, ...cuts: number[]): Step => ({ does: "pieces", text, cuts });
/** Executes the first step the first time, then the second, and so on; the last one from then on. */
export const inOrder = (...acts: Act[]): Step => ({ does: "inOrder", acts });
/** Calls back into the test. */
export const callback = (callback: () => void | Promise<void>): Step => ({ does: "call", callback });
/** Uses TLS from here on. */
export const startTls = (pair: Pair, options: TlsOptions = {}): Step => ({ does: "tls", pair, options });
/** Answers all commands, until the client disconnects or an answer ends the connection. */
export const converse = (answers: Answers = {}): Step => ({ does: "converse", answers });
/** Closes the connection (FIN), after everything is sent. */
export const close: Step = { does: "close" };
/** Drops the connection (RST). */
export const reset: Step = { does: "reset" };
/** Ends the server's side and goes on reading. */
export const halfClose: Step = { does: "halfClose" };
/** Sends nothing more, but reads. */
export const stall: Step = { does: "stall" };
/** Sends nothing more and does not read, so that the client's buffers fill up. */
export const freeze: Step = { does: "freeze" };
/** Bytes without a line end. */
export const raw = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A whole friendly server, except for these answers. */
export const server = (answers: Answers = {}, greeting: Act = "220 scripted.test ESMTP"): Act => [
  greeting,
  converse(answers),
];

/** The answer to EHLO with these extensions. */
export const ehlo = (...extensions: string[]): string =>
  ["scripted.test", ...extensions]
    .map((line, index) => `250${index < extensions.length ? "-" : " "}${line}`)
    .join("\r\n");

const FRIENDLY: Answers = {
  EHLO: ehlo("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"),
  LHLO: ehlo("PIPELINING", "8BITMIME"),
  HELO: "250 scripted.test",
  MAIL: "250 2.1.0 sender ok",
  RCPT: "250 2.1.5 recipient ok",
  DATA: "354 go ahead",
  chunk: [],
  BDAT: "250 2.0.0 octets received",
  ".": "250 2.0.0 queued",
  RSET: "250 2.0.0 reset",
  NOOP: "250 2.0.0 ok",
  QUIT: ["221 2.0.0 bye", close],
  "334": "535 5.7.8 no",
  cancel: "501 5.0.0 cancelled",
  "*": "502 5.5.1 unknown command",
};

/** Thrown at the end of the script for this connection; later lines of the client are still recorded. */
class Over extends Error {}

/** One for all, since a stack takes longer to make than most dialogues to play. */
const OVER = new Over();

/** One connection: plays the dialogue, and remembers. */
export class Conversation {
  /** The lines that the client sent, messages left out; "(TLS)" marks where TLS began. */
  readonly lines: string[] = [];
  /** The messages, as they were on the wire: with their final dot, or all chunks together. */
  readonly bodies: string[] = [];
  /** The number of accepted messages. */
  taken = 0;
  /** The verbs that other commands followed before their reply: those that the client pipelined. */
  readonly pipelined: string[] = [];
  /** How the client ended the connection. */
  ended: Ending | undefined;
  /** Deviations from the script. */
  readonly problems: string[] = [];
  #wire: Wire;
  readonly #acceptTls: (wire: Wire, pair: Pair, options: TlsOptions) => Promise<Wire | undefined>;
  readonly #counts = new Map<Step, number>();
  #pending: Uint8Array = new Uint8Array(0);
  #received: Uint8Array[] = [];
  #spoken = "";
  #lastCode = "";
  /** The chunks of a message so far. */
  #chunks = "";
  /** The first reply code since the message ended. */
  #verdict: string | undefined;
  #free: () => void = () => {};
  readonly #clientDone = new Promise<void>((resolve) => {
    this.#free = resolve;
  });

  constructor(wire: Wire, tls: (wire: Wire, pair: Pair, options: TlsOptions) => Promise<Wire | undefined>) {
    this.#wire = wire;
    this.#acceptTls = tls;
  }

  /** All received bytes, without or within TLS. */
  get received(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#received));
  }

  /** The same as text, one character for each byte. */
  get text(): string {
    return Buffer.concat(this.#received).toString("latin1");
  }

  /** Plays the dialogue to its end, then waits for the client's. */
  async play(dialogue: Act): Promise<void> {
    try {
      await this.#do(dialogue);
    } catch (error) {
      if (!(error instanceof Over)) this.problems.push(String(error));
    }
    const rest = [this.#pending];
    while (this.ended === undefined) {
      this.#pending = new Uint8Array(0);
      await this.#more();
      rest.push(this.#pending);
    }
    const unread = latin1(Buffer.concat(rest));
    if (unread !== "") this.lines.push(...unread.split("\r\n"));
    this.#wire.halfClose();
    this.#wire.destroy();
  }

  /** The calls of the test are over: a server that did not read reads again, to notice the client's end. */
  clientIsDone(): void {
    this.#free();
  }

  /** Drops a client that does not disconnect. */
  abandon(): void {
    this.#free();
    this.ended ??= "reset";
    this.#wire.reset();
    this.#wire.destroy();
  }

  async #do(act: Act): Promise<void> {
    if (typeof act === "string") return this.#say(raw(`${act}\r\n`));
    if (act instanceof Uint8Array) return this.#say(act);
    if (isList(act)) {
      for (const one of act) await this.#do(one);
      return;
    }
    return this.#step(act);
  }

  async #step(step: Step): Promise<void> {
    switch (step.does) {
      case "expect":
        return this.#expect(step.line);
      case "body":
        return this.#body();
      case "take":
        return this.#take(step.octets);
      case "delay":
        return pause(step.seconds);
      case "drip":
        for (const octet of raw(step.text)) {
          await this.#say(Uint8Array.of(octet));
          await pause(step.seconds);
        }
        return;
      case "pieces":
        return this.#pieces(raw(`${step.text}\r\n`), step.cuts);
      case "inOrder":
        return this.#inOrder(step, step.acts);
      case "call":
        return step.callback();
      case "tls":
        return this.#startTls(step.pair, step.options);
      case "converse":
        return this.#converse(step.answers);
      case "freeze":
        await this.#clientDone;
        throw OVER;
      case "reset":
        this.#wire.reset();
        throw OVER;
      case "close":
      case "halfClose":
        this.#wire.halfClose();
        throw OVER;
      case "stall":
        throw OVER;
    }
  }

  #say(octets: Uint8Array): Promise<void> {
    const lines = (this.#spoken + latin1(octets)).split("\n");
    this.#spoken = lines.pop() ?? "";
    for (const line of lines) this.#said(/^(\d{3})(?!-)/.exec(line)?.[1]);
    return this.#wire.write(octets);
  }

  #said(code: string | undefined): void {
    if (code === undefined) return;
    this.#lastCode = code;
    this.#verdict ??= code;
  }

  async #pieces(octets: Uint8Array, cuts: readonly number[]): Promise<void> {
    let from = 0;
    for (const cut of [...cuts, octets.length]) {
      await this.#say(octets.subarray(from, cut));
      from = cut;
      await pause(0.003);
    }
  }

  async #inOrder(step: Step, acts: readonly Act[]): Promise<void> {
    const count = this.#counts.get(step) ?? 0;
    this.#counts.set(step, count + 1);
    await this.#do(acts[Math.min(count, acts.length - 1)] ?? []);
  }

  async #expect(wanted: string | RegExp): Promise<void> {
    const line = await this.#line();
    const matches =
      typeof wanted === "string" ? line.toUpperCase().startsWith(wanted.toUpperCase()) : wanted.test(line);
    if (matches) return;
    this.problems.push(`expected ${String(wanted)}, but the client said ${JSON.stringify(line)}`);
    this.#wire.halfClose();
    throw OVER;
  }

  async #converse(answers: Answers): Promise<void> {
    const answer = (verb: string): Promise<void> =>
      this.#do(answers[verb] ?? FRIENDLY[verb] ?? answers["*"] ?? FRIENDLY["*"] ?? []);
    let asked = false;
    for (;;) {
      const line = await this.#line();
      const verb: string = asked && this.#lastCode === "334" ? (line === "*" ? "cancel" : "334") : verbOf(line);
      if (this.#pending.length > 0 && verb !== "BDAT") this.pipelined.push(verb);
      asked = verb === "AUTH" || verb === "334";
      if (verb === "RSET") this.#chunks = "";
      if (verb === "BDAT") {
        await this.#chunk(line, answer);
        continue;
      }
      await answer(verb);
      if (verb !== "DATA" || this.#lastCode !== "354") continue;
      await this.#body();
      await this.#verdictOn(answer);
    }
  }

  async #chunk(line: string, answer: (verb: string) => Promise<void>): Promise<void> {
    const [, octets = "", last] = /^BDAT (\d+)( LAST)?$/i.exec(line) ?? [];
    if (octets === "") this.problems.push(`no BDAT: ${JSON.stringify(line)}`);
    await answer("chunk");
    while (this.#pending.length < Number(octets)) await this.#moreOrOver();
    this.#chunks += latin1(this.#cut(Number(octets)));
    if (this.#pending.length > 0) this.pipelined.push("BDAT");
    if (last === undefined) return answer("BDAT");
    this.bodies.push(this.#chunks);
    this.#chunks = "";
    await this.#verdictOn(answer);
  }

  async #verdictOn(answer: (verb: string) => Promise<void>): Promise<void> {
    this.#verdict = undefined;
    try {
      await answer(".");
    } finally {
      if (this.#saidYes()) this.taken++;
    }
  }

  #saidYes(): boolean {
    return this.#verdict?.startsWith("2") === true;
  }

  async #startTls(pair: Pair, options: TlsOptions): Promise<void> {
    const secure = await this.#acceptTls(this.#wire, pair, options);
    if (secure === undefined) {
      this.ended = "reset";
      throw OVER;
    }
    this.#wire = secure;
    this.lines.push("(TLS)");
  }

  async #line(): Promise<string> {
    const line = await this.#until(raw("\n"));
    const text = new TextDecoder().decode(line).replace(/\r?\n$/, "");
    this.lines.push(text);
    return text;
  }

  async #body(): Promise<void> {
    while (this.#pending.length < 3) await this.#moreOrOver();
    const empty = latin1(this.#pending.subarray(0, 3)) === ".\r\n";
    this.bodies.push(latin1(empty ? this.#cut(3) : await this.#until(raw("\r\n.\r\n"))));
  }

  async #take(octets: number): Promise<void> {
    while (this.#pending.length < octets) await this.#moreOrOver();
    this.#cut(octets);
  }

  async #until(end: Uint8Array): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (;;) {
      const { buffer, byteOffset, byteLength } = this.#pending;
      const at = Buffer.from(buffer, byteOffset, byteLength).indexOf(end);
      if (at >= 0) return Buffer.concat([...parts, this.#cut(at + end.length)]);
      const whole = Math.max(0, this.#pending.length - end.length);
      parts.push(this.#cut(whole));
      await this.#moreOrOver();
    }
  }

  #cut(length: number): Uint8Array {
    const head = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return head;
  }

  async #moreOrOver(): Promise<void> {
    if (this.ended !== undefined) throw OVER;
    await this.#more();
  }

  async #more(): Promise<void> {
    const octets = await this.#wire.read();
    if (typeof octets === "string") {
      this.ended ??= octets;
      return;
    }
    this.#received.push(octets);
    this.#pending = this.#pending.length === 0 ? octets : Buffer.concat([this.#pending, octets]);
  }
}

function isList(act: Step | readonly Act[]): act is readonly Act[] {
  return Array.isArray(act);
}

function verbOf(line: string): string {
  return (line.split(" ", 1)[0] ?? "").toUpperCase();
}

function latin1(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString("latin1");
}

function pause(seconds: number): Promise<void> {
  return seconds === 0
    ? new Promise((resolve) => setImmediate(resolve))
    : new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
