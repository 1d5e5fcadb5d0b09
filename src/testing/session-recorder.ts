/** Turns the bytes of one session into the entries of a transcript: lines, in order, without credentials. */
import { concat } from "../core/bytes.ts";
import { AuthMask } from "./auth-mask.ts";
import { type Entry, escapeOctets, formatEntry } from "./transcript.ts";

/** How a session is recorded. */
export type SessionRecording = {
  /** Milliseconds since the recording began. */
  readonly now: () => number;
  /** Whether notes tell the times, and the kind of TLS. */
  readonly times: boolean;
  /** The most octets that are kept of each message. */
  readonly maxContent: number;
  /** Receives each line as it is recorded, and its time. */
  readonly onLine: (line: string, at: number) => void;
};

type Side = "client" | "server";

/** Records one session. */
export class SessionRecorder {
  readonly #how: SessionRecording;
  readonly #entries: Entry[] = [];
  readonly #pending: Record<Side, Uint8Array> = { client: new Uint8Array(0), server: new Uint8Array(0) };
  readonly #mask = new AuthMask();
  readonly #content: Content;
  #ended = false;
  /** Whether the next entry is the first of a piece that was written or read at once. */
  #begins = true;

  constructor(endpoint: string, how: SessionRecording) {
    this.#how = how;
    this.#content = new Content(how.maxContent);
    this.#push({ does: "connect", endpoint });
  }

  get transcript(): string {
    return `${this.#entries.map(formatEntry).join("\n")}\n`;
  }

  /** The session speaks TLS from now on. */
  secured(kind?: string): void {
    this.#begins = true;
    this.#push({ does: "tls" });
    if (this.#how.times && kind !== undefined) this.#push({ does: "note", text: kind });
  }

  /** Takes what one side sent; null: it ended its side. */
  sent(side: Side, chunk: Uint8Array | null): void {
    this.#begins = true;
    if (chunk === null) {
      if (!this.#ended) this.#push({ does: "end" });
      this.#ended = true;
      return;
    }
    // What the client left without a line end, as the end of a chunk may be, came before this.
    if (side === "server") this.#flush("client");
    const whole = concat([this.#pending[side], chunk.slice()]);
    let at = 0;
    for (let length = this.#unit(side, whole); length > 0; length = this.#unit(side, whole.subarray(at))) {
      this.#add(side, whole.subarray(at, at + length));
      at += length;
    }
    this.#pending[side] = whole.subarray(at);
  }

  /** How many octets at the beginning belong together: a line, or the rest of a chunk of BDAT; 0 if more has to come. */
  #unit(side: Side, bytes: Uint8Array): number {
    const most = side === "client" ? this.#content.chunk : 0;
    const line = bytes.subarray(0, most === 0 ? bytes.length : most).indexOf(10) + 1;
    if (line > 0 || most === 0) return line;
    return bytes.length >= most ? most : 0;
  }

  #flush(side: Side): void {
    const rest = this.#pending[side];
    this.#pending[side] = new Uint8Array(0);
    if (rest.length > 0) this.#add(side, rest);
  }

  #add(does: Side, bytes: Uint8Array): void {
    const ended = bytes.at(-2) === 13 && bytes.at(-1) === 10;
    const text = escapeOctets(ended ? bytes.subarray(0, -2) : bytes);
    if (does === "server") {
      this.#tellSkipped();
      this.#content.reply(text);
      this.#push({ does, text: this.#mask.server(text), ended });
      return;
    }
    const part = this.#content.take(text, bytes.length);
    if (part === "more") return;
    if (part !== "content") this.#tellSkipped();
    this.#push({ does, text: part === "command" ? this.#mask.client(text) : text, ended });
  }

  #tellSkipped(): void {
    const { skipped } = this.#content;
    this.#content.skipped = 0;
    if (skipped > 0) this.#push({ does: "note", text: `${skipped} more octets` });
  }

  #push(entry: Entry): void {
    const at = this.#how.now();
    if (this.#begins && this.#how.times) this.#entries.push({ does: "time", at });
    this.#begins = false;
    this.#entries.push(entry);
    this.#how.onLine(formatEntry(entry), at);
  }
}

/** Knows which of the client's octets are a message. */
class Content {
  /** How many octets of a chunk of BDAT are still to come. */
  chunk = 0;
  /** How many octets of the message were left out. */
  skipped = 0;
  readonly #most: number;
  #kept = 0;
  #data: "asked" | "content" | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes a reply of the server's. */
  reply(line: string): void {
    if (this.#data === "asked") this.#data = line.startsWith("354") ? "content" : undefined;
  }

  /** Takes what the client sent: a command, content to be kept, "more" content than that, or the end of it. */
  take(text: string, octets: number): "command" | "content" | "more" | "end" {
    if (this.chunk > 0) {
      this.chunk -= octets;
      return this.#keep(octets);
    }
    if (this.#data === "content") {
      if (text !== ".") return this.#keep(octets);
      this.#data = undefined;
      this.#kept = 0;
      return "end";
    }
    if (/^MAIL /i.test(text)) this.#kept = 0;
    if (/^DATA *$/i.test(text)) this.#data = "asked";
    const [, size = "0"] = /^BDAT (\d{1,15})(?: LAST)?$/i.exec(text) ?? [];
    this.chunk = Number(size);
    return "command";
  }

  #keep(octets: number): "content" | "more" {
    this.#kept += octets;
    if (this.#kept <= this.#most) return "content";
    this.skipped += octets;
    return "more";
  }
}
