/** Turns the bytes of one session into the entries of a transcript: lines, in order, without credentials. */
import { concat } from "../core/bytes.ts";
import { AuthMask } from "./auth-mask.ts";
import { ContentTracker } from "./content-tracker.ts";
import { type Entry, escapeOctets, formatEntry } from "./transcript.ts";

/** Options of a recording of a session. */
export type SessionRecording = {
  /** Milliseconds since the recording began. */
  readonly now: () => number;
  /** Whether notes have the times and the kind of TLS. */
  readonly times: boolean;
  /** The most bytes that are kept of each message. */
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
  readonly #content = new ContentTracker();
  /** The bytes of the message that were kept, and that were left out. */
  #kept = 0;
  #skipped = 0;
  #ended = false;
  /** Whether the next entry is the first of a piece that was written or read together. */
  #begins = true;

  constructor(endpoint: string, how: SessionRecording) {
    this.#how = how;
    this.#push({ does: "connect", endpoint });
  }

  get transcript(): string {
    return `${this.#entries.map(formatEntry).join("\n")}\n`;
  }

  /** Notes that the session uses TLS from now on. */
  secured(kind?: string): void {
    this.#begins = true;
    this.#push({ does: "tls" });
    if (this.#how.times && kind !== undefined) this.#push({ does: "note", text: kind });
  }

  /** Takes the bytes that one side sent; null: it ended its side. */
  sent(side: Side, chunk: Uint8Array | null): void {
    this.#begins = true;
    if (chunk === null) {
      if (!this.#ended) this.#push({ does: "end" });
      this.#ended = true;
      return;
    }
    // A rest of the client without a line end, such as the end of a chunk, came before this.
    if (side === "server") this.#flush("client");
    const whole = concat([this.#pending[side], chunk.slice()]);
    let at = 0;
    for (let length = this.#unit(side, whole); length > 0; length = this.#unit(side, whole.subarray(at))) {
      this.#add(side, whole.subarray(at, at + length));
      at += length;
    }
    this.#pending[side] = whole.subarray(at);
  }

  /** The length of the first unit in bytes: a line, or the rest of a chunk of BDAT; 0 if it is incomplete. */
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
    if (part === "content" && !this.#keeps(bytes.length)) return;
    if (part !== "content") this.#tellSkipped();
    if (part === "end" || (part === "command" && /^MAIL /i.test(text))) this.#kept = 0;
    this.#push({ does, text: part === "command" ? this.#mask.client(text) : text, ended });
  }

  /** Whether so many more bytes of the message are kept. */
  #keeps(octets: number): boolean {
    this.#kept += octets;
    if (this.#kept <= this.#how.maxContent) return true;
    this.#skipped += octets;
    return false;
  }

  #tellSkipped(): void {
    if (this.#skipped > 0) this.#push({ does: "note", text: `${this.#skipped} more octets` });
    this.#skipped = 0;
  }

  #push(entry: Entry): void {
    const at = this.#how.now();
    if (this.#begins && this.#how.times) this.#entries.push({ does: "time", at });
    this.#begins = false;
    this.#entries.push(entry);
    this.#how.onLine(formatEntry(entry), at);
  }
}
