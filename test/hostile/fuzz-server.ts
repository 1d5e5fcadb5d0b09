/** A server in memory whose behaviour is set reply by reply; it keeps a ledger of received and accepted messages. */
import type { MemoryStream } from "../../transports/memory.ts";

/** The server's behaviour in place of one reply. */
export type Behaviour = {
  /** "good": the right reply; null: none; otherwise the bytes of the reply as text. */
  readonly say: "good" | string | null;
  /** Unsolicited text after the reply. */
  readonly extra: string;
  readonly after: "go on" | "close" | "reset" | "halfClose" | "stall" | "freeze";
  /** Turns of the event loop before the reply. */
  readonly wait: number;
  /** Whether it accepts a message even if it does not say so. */
  readonly takes: boolean;
};

/** A message that was received completely, to its final dot or its last chunk. */
export type Entry = {
  /** The number in the message; undefined for an empty one. */
  readonly id: number | undefined;
  readonly body: string;
  readonly by: "DATA" | "BDAT";
  readonly from: string;
  /** The recipients of this transaction. */
  readonly named: readonly string[];
  /** The accepted ones among them. */
  readonly accepted: readonly string[];
  /** Whether the server accepted it for any recipient, by a positive reply or silently. */
  taken: boolean;
  /** False once this connection's replies no longer answer its commands one by one. */
  inStep: boolean;
  /**
   * True if the server kept a transaction that RSET should have ended: messages in flight after it cannot be withdrawn.
   */
  readonly resetRefused: boolean;
};

/** The command that a reply would answer. */
export type Asked = {
  /** The number of the connection. */
  readonly connection: number;
  /** The number of replies on it so far. */
  readonly reply: number;
  /** The command's verb; "" for the greeting, "." for the end of a content. */
  readonly verb: string;
  /** The sender of the transaction, if there is one. */
  readonly from: string | undefined;
};

/** The server's settings. */
export type Plan = {
  readonly lmtp: boolean;
  readonly pipelining: boolean;
  readonly chunking: boolean;
  readonly behaviours: readonly Behaviour[];
  /** Returns further behaviours after those. Default: good ones. */
  readonly draw?: (asked: Asked) => Behaviour;
  /** Receives each entry of the ledger after its verdict; the ledger is not kept then. */
  readonly onEntry?: (entry: Entry) => void;
};

/** The server's end of a connection. */
export type ServerStream = Pick<MemoryStream, "read" | "write" | "end" | "abort" | "close">;

const VERBS =
  /^(EHLO .+|LHLO .+|HELO .+|MAIL FROM:<.*>.*|RCPT TO:<.*>.*|DATA|BDAT \d+( LAST)?|RSET|NOOP|VRFY .*|QUIT|AUTH .*|XRAW)$/s;

/** A whole reply at the start of a text, with the same code in all lines; longer ones exceed the limits. */
const REPLY = /^([2-5]\d\d)(?:-[^\n]{0,4000}\n\1){0,500}(?: [^\n]{0,4000})?\r?\n/;

/** Represents the sender of a message whose MAIL was not accepted. */
export const REFUSED = "refused";

class Over extends Error {}

/** The common state of all connections of one case. */
export class FuzzServer {
  readonly ledger: Entry[] = [];
  /** Actions that the client must never perform. */
  readonly violations: string[] = [];
  /** True if it answered commands that it never read: no client can detect that. */
  answeredAhead = false;
  readonly #plan: Plan;
  #next = 0;
  #accepted = 0;
  readonly #connections = new Set<Promise<void>>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** Accepts a connection. */
  accept(stream: ServerStream): void {
    const connection = new Connection(this, this.#plan, stream, this.#accepted++).run();
    this.#connections.add(connection);
    void connection.finally(() => this.#connections.delete(connection));
  }

  /** The next behaviour; a good one after the end of the plan. */
  next(asked: Asked): Behaviour {
    return this.#plan.behaviours[this.#next++] ?? this.#plan.draw?.(asked) ?? GOOD;
  }

  /** The number of open connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Resolves when the clients have ended all connections. */
  async finished(): Promise<void> {
    await Promise.all(this.#connections);
  }
}

export const GOOD: Behaviour = { say: "good", extra: "", after: "go on", wait: 0, takes: true };

class Connection {
  readonly #server: FuzzServer;
  readonly #plan: Plan;
  readonly #stream: ServerStream;
  readonly #number: number;
  #replies = 0;
  #verb = "";
  #pending = "";
  #ended = false;
  #inStep = true;
  #resetRefused = false;
  #from: string | undefined;
  #named: string[] = [];
  #accepted: string[] = [];
  #chunks = "";
  #refusedChunk = false;

  constructor(server: FuzzServer, plan: Plan, stream: ServerStream, number: number) {
    this.#server = server;
    this.#plan = plan;
    this.#stream = stream;
    this.#number = number;
  }

  async run(): Promise<void> {
    try {
      await this.#answer("220 fuzz");
      for (;;) await this.#command(await this.#until("\r\n"));
    } catch (error) {
      if (!(error instanceof Over)) this.#server.violations.push(String(error));
    }
    while (!this.#ended) await this.#read();
    await this.#stream.close().catch(() => {});
  }

  async #command(line: string): Promise<void> {
    const verb = line.slice(0, 4).toUpperCase();
    this.#verb = verb;
    if (this.#inStep && !VERBS.test(line) && !/^([A-Za-z0-9+/=]*|\*)$/.test(line)) {
      this.#server.violations.push(`no command: ${JSON.stringify(line)}`);
    }
    switch (verb) {
      case "EHLO":
      case "LHLO":
        this.#forget();
        return void (await this.#answer(
          `${["fuzz", ...this.#extensions, "AUTH PLAIN"].map((line) => `250-${line}\r\n`).join("")}250 8BITMIME`,
        ));
      case "MAIL":
        return this.#mail(/<(.*?)>/.exec(line)?.[1] ?? "");
      case "RCPT":
        return this.#rcpt(/<(.*?)>/.exec(line)?.[1] ?? "");
      case "DATA":
        if ((await this.#answer("354 go")) === "354") await this.#message();
        return;
      case "BDAT":
        return this.#chunk(line);
      case "RSET":
        this.#resetRefused = (await this.#answer("250 reset"))?.startsWith("2") !== true;
        if (!this.#resetRefused) this.#forget();
        return;
      case "QUIT":
        await this.#answer("221 bye");
        throw new Over();
      case "AUTH":
        return void (await this.#answer("235 ok"));
      default:
        return void (await this.#answer("250 ok"));
    }
  }

  async #mail(from: string): Promise<void> {
    // RFC 5321 4.1.4; a caller that sends MAIL itself may send it twice.
    const open = this.#from !== undefined;
    if (open && this.#inStep && !this.#resetRefused && !from.startsWith("open@")) {
      this.#server.violations.push(`MAIL in an open transaction: ${from}`);
    }
    const code = await this.#answer("250 sender", from);
    if (code?.startsWith("2") !== true) return;
    // A server whose RSET failed may still have the old recipients: no message may follow.
    if (!this.#resetRefused) this.#forget();
    this.#from = from;
  }

  async #rcpt(to: string): Promise<void> {
    this.#named.push(to);
    if ((await this.#answer("250 recipient"))?.startsWith("2")) this.#accepted.push(to);
  }

  get #extensions(): readonly string[] {
    const { pipelining, chunking } = this.#plan;
    return [...(pipelining ? ["PIPELINING"] : []), ...(chunking ? ["CHUNKING"] : [])];
  }

  /** Reads a chunk. Chunks that the server refuses count as well: the ledger records every whole message. */
  async #chunk(line: string): Promise<void> {
    const [, octets = "0", last] = /^BDAT (\d+)( LAST)?$/.exec(line) ?? [];
    while (this.#pending.length < Number(octets)) await this.#readOrOver();
    // RFC 3030 2: no chunk may follow a refused one, except those that were already sent.
    const chunk = this.#cut(Number(octets));
    this.#chunks += chunk;
    if (last === undefined) {
      const code = await this.#answer("250 chunk");
      if (code?.startsWith("2") !== true) this.#refusedChunk = true;
      return;
    }
    const body = this.#chunks;
    const nobody = this.#accepted.length === 0 || this.#from === undefined || this.#refusedChunk;
    await this.#received(body, "BDAT", nobody ? "503 no" : "250 queued");
  }

  async #message(): Promise<void> {
    while (this.#pending.length < 3) await this.#readOrOver();
    const body = this.#pending.startsWith(".\r\n") ? this.#cut(3) : `${await this.#until("\r\n.\r\n")}\r\n.\r\n`;
    await this.#received(body, "DATA", "250 queued");
  }

  async #received(body: string, by: Entry["by"], good: string): Promise<void> {
    const id = /^Id: (\d+)\r\n/.exec(body)?.[1];
    const entry: Entry = {
      id: id === undefined ? undefined : Number(id),
      body,
      by,
      from: this.#from ?? REFUSED,
      named: this.#named,
      accepted: this.#accepted,
      taken: false,
      inStep: this.#inStep,
      resetRefused: this.#resetRefused,
    };
    if (this.#plan.onEntry === undefined) this.#server.ledger.push(entry);
    const replies = this.#plan.lmtp ? Math.max(1, this.#accepted.length) : 1;
    this.#forget();
    try {
      for (let i = 0; i < (good.startsWith("2") ? replies : 1); i++) await this.#verdict(entry, good);
    } finally {
      this.#plan.onEntry?.(entry);
    }
  }

  async #verdict(entry: Entry, good: string): Promise<void> {
    const behaviour = this.#next(".", entry.from);
    // A message that was refused for all recipients is accepted for none, whatever the reply is.
    const somebody = entry.accepted.length > 0 && entry.from !== REFUSED;
    await this.#behave(behaviour, good, (code) => {
      const inSilence = code === undefined && behaviour.after !== "go on" && behaviour.takes;
      if (inSilence || code?.startsWith("2")) entry.taken = somebody;
      if (code === undefined) entry.inStep = false;
    });
  }

  #forget(): void {
    this.#from = undefined;
    this.#named = [];
    this.#accepted = [];
    this.#chunks = "";
    this.#refusedChunk = false;
  }

  #answer(good: string, from: string | undefined = this.#from): Promise<string | undefined> {
    return this.#behave(this.#next(this.#verb, from), good);
  }

  #next(verb: string, from: string | undefined): Behaviour {
    return this.#server.next({ connection: this.#number, reply: this.#replies++, verb, from });
  }

  /** Replies, and returns the code of the reply. */
  async #behave(
    { say, extra, after, wait }: Behaviour,
    good: string,
    said: (code: string | undefined) => void = () => {},
  ): Promise<string | undefined> {
    for (let i = 0; i < wait; i++) await turn();
    const text = (say === "good" ? `${good}\r\n` : (say ?? "")) + extra;
    const [reply = "", code] = REPLY.exec(text) ?? [];
    if (reply === "" || reply.length < text.length) this.#inStep = false;
    said(code);
    const octets = new TextEncoder().encode(text);
    if (octets.length > 0) void this.#stream.write(octets)?.catch(() => {});
    if (after === "go on") return code;
    if (reply.length < text.length) this.#server.answeredAhead = true;
    if (after === "reset") this.#stream.abort(new Error("reset by the plan"));
    if (after === "close" || after === "halfClose") this.#stream.end();
    throw new Over();
  }

  async #until(end: string): Promise<string> {
    for (;;) {
      const at = this.#pending.indexOf(end);
      if (at >= 0) return this.#cut(at + end.length).slice(0, -end.length);
      await this.#readOrOver();
    }
  }

  #cut(length: number): string {
    const head = this.#pending.slice(0, length);
    this.#pending = this.#pending.slice(length);
    return head;
  }

  async #readOrOver(): Promise<void> {
    if (this.#ended) throw new Over();
    await this.#read();
  }

  async #read(): Promise<void> {
    try {
      const octets = await this.#stream.read();
      if (octets === null) this.#ended = true;
      else this.#pending += Buffer.from(octets).toString("latin1");
    } catch {
      this.#ended = true;
    }
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
