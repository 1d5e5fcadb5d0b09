/** One message of the caller: its body, its call, and its outcome. */
import { type Delivery, type Refused, type Reply, type SMTP, SMTPException } from "../../src/index.ts";
import type { BodyKind } from "./configurations.ts";

/** The outcome of a call. */
export type Outcome =
  | { readonly delivered: true; readonly refused: Refused; readonly delivery: Delivery | undefined }
  | { readonly delivered: false; readonly error: unknown };

/** The error of a failing source. */
export class SourceFailed extends Error {}

/** The reason of an abort. */
export class Aborted extends Error {}

/** A stream of chunks that the exploration controls. */
export class DrivenSource implements AsyncIterable<string> {
  given = 0;
  /** How it ended by itself. */
  ended: "whole" | "failed" | undefined;
  /** The number of calls of `return()`. */
  returned = 0;
  /** Violations of the rules for readers of an iterator. */
  readonly faults: string[] = [];
  readonly #chunks: readonly string[];
  #asked: { resolve(result: IteratorResult<string>): void; reject(error: unknown): void } | undefined;
  #opened = false;

  constructor(chunks: readonly string[]) {
    this.#chunks = chunks;
  }

  /** Its possible actions now. */
  get choices(): string[] {
    if (this.#asked === undefined) return [];
    return [this.given < this.#chunks.length ? "give" : "end", "fail"];
  }

  /** True once a reader has begun to read it, or has released it. */
  get opened(): boolean {
    return this.#opened;
  }

  /** True while a chunk is awaited. */
  get isAwaited(): boolean {
    return this.#asked !== undefined;
  }

  /** Performs one of the choices. */
  act(choice: string): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (choice === "give") return asked?.resolve({ done: false, value: this.#chunks[this.given++] ?? "" });
    this.ended = choice === "end" ? "whole" : "failed";
    if (choice === "end") asked?.resolve({ done: true, value: undefined });
    else asked?.reject(new SourceFailed("the source failed"));
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    if (this.#opened) this.faults.push("a source is read twice");
    this.#opened = true;
    return {
      next: () => {
        if (this.#asked !== undefined) this.faults.push("a source is asked while it is being asked");
        if (this.ended !== undefined || this.returned > 0) this.faults.push("a source is asked after its end");
        return new Promise((resolve, reject) => {
          this.#asked = { resolve, reject };
        });
      },
      return: () => {
        this.returned++;
        this.#asked = undefined;
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  toString(): string {
    return `${this.#opened} ${this.given} ${this.isAwaited} ${this.ended} ${this.returned}`;
  }
}

/** The settings of a message. */
export type MessageSettings = {
  readonly id: 1 | 2;
  readonly recipients: number;
  readonly body: BodyKind;
  readonly chunks: 1 | 2;
};

/** One message. The first one is sent by `sendmail`, the second one by `deliver`. */
export class MessageCall {
  readonly id: 1 | 2;
  readonly from: string;
  readonly to: readonly string[];
  readonly source: DrivenSource | undefined;
  called = false;
  aborted = false;
  outcome: Outcome | undefined;
  readonly signal: AbortSignal;
  readonly #settings: MessageSettings;
  readonly #controller = new AbortController();
  readonly #reason = new Aborted("the caller wants no more");
  #listeners = 0;

  constructor(settings: MessageSettings) {
    const { id, recipients, body } = settings;
    this.#settings = settings;
    this.id = id;
    this.from = `m${id}@client.test`;
    this.to = ["x", "y"].slice(0, recipients).map((name) => `${name}${id}@server.test`);
    this.source = body === "driven" ? new DrivenSource(this.#chunks) : undefined;
    this.signal = this.#countedSignal();
  }

  /** The content that the server must receive; by DATA with doubled dots. */
  contentBy(verb: "DATA" | "BDAT"): string {
    const text = `${this.#text}\r\n`;
    return verb === "DATA" ? text.replace(/^\./gm, "..") : text;
  }

  /** The number of listeners that the library has left on the signal. */
  get listeners(): number {
    return this.aborted ? 0 : this.#listeners;
  }

  /** True while the promise of the call is pending. */
  get isPending(): boolean {
    return this.called && this.outcome === undefined;
  }

  /** Makes the call; `settle` receives its outcome. */
  call(smtp: SMTP, settle: (outcome: Outcome) => void): void {
    this.called = true;
    const { from, to, signal } = this;
    const body = this.#body();
    const failed = (error: unknown): void => settle({ delivered: false, error });
    if (this.id === 1) {
      const delivered = (refused: Refused): void => settle({ delivered: true, refused, delivery: undefined });
      smtp.sendmail(from, [...to], body, [], [], { signal }).then(delivered, failed);
    } else {
      const delivered = (delivery: Delivery): void => settle({ delivered: true, refused: delivery.refused, delivery });
      smtp.deliver({ from, to: [...to], body, signal }).then(delivered, failed);
    }
  }

  /** Fires the call's signal. */
  abort(): void {
    this.aborted = true;
    this.#controller.abort(this.#reason);
  }

  /** Whether an error is the reason of the signal. */
  isReason(error: unknown): boolean {
    return error === this.#reason;
  }

  toString(): string {
    const { called, aborted, outcome, source } = this;
    return `${called} ${aborted} ${outcome ? shownOutcome(outcome) : "pending"} ${source}`;
  }

  get #text(): string {
    return `Id: ${this.id}\r\n\r\n.dot\r\nlast`;
  }

  get #chunks(): readonly string[] {
    const text = this.#text;
    const cut = text.indexOf(".dot");
    return this.#settings.chunks === 1 ? [text] : [text.slice(0, cut), text.slice(cut)];
  }

  #body(): string | AsyncIterable<string> {
    if (this.source) return this.source;
    return this.#settings.body === "string" ? this.#text : ready(this.#chunks);
  }

  #countedSignal(): AbortSignal {
    const { signal } = this.#controller;
    const { addEventListener, removeEventListener } = signal;
    return Object.assign(signal, {
      addEventListener: (...args: Parameters<typeof addEventListener>) => {
        this.#listeners++;
        addEventListener.apply(signal, args);
      },
      removeEventListener: (...args: Parameters<typeof removeEventListener>) => {
        this.#listeners--;
        removeEventListener.apply(signal, args);
      },
    });
  }
}

async function* ready(chunks: readonly string[]): AsyncGenerator<string> {
  yield* chunks;
}

/** All details of an outcome, except the prose. */
export function shownOutcome(outcome: Outcome): string {
  if (outcome.delivered) return `delivered, refused ${shownRefused(outcome.refused)}`;
  return shownError(outcome.error);
}

/** All details of an error, except the prose. */
export function shownError(error: unknown): string {
  if (!(error instanceof SMTPException)) return String(error);
  const field = (name: string): unknown => Reflect.get(error, name);
  const recipients = field("recipients");
  const refused = typeof recipients === "object" && recipients !== null ? shownRefused(recipients) : "";
  const parts = [error.name, field("smtp_code"), field("smtp_error"), error.delivery, error.temporary, field("phase")];
  return [...parts.map((part) => part ?? "-"), refused].join(" ");
}

function shownRefused(refused: object): string {
  return Object.entries(refused)
    .map(([address, reply]: [string, Reply]) => `${address}: ${reply[0]} ${reply[1]}`)
    .join(", ");
}
