/** Reads the client's bytes (RFC 5321 4.1, RFC 3030 2). It shares no code with the client or the judge. */

/** One mail transaction as received, and the replies to it. */
export class ServerTransaction {
  readonly from: string;
  mail: number | undefined;
  /** The recipients in order, with the replies to them; undefined: not answered yet. */
  readonly rcpt: { readonly address: string; code: number | undefined }[] = [];
  data: number | undefined;
  readonly chunks: number[] = [];
  /** The replies to the end; in LMTP one for each accepted recipient. */
  readonly final: number[] = [];
  /** A reply to the content before its end. */
  early: number | undefined;
  endReceived = false;

  constructor(from: string) {
    this.from = from;
  }

  toString(): string {
    const rcpt = this.rcpt.map(({ code }) => code ?? "-").join();
    const { from, mail = "-", data = "-", chunks, final, early = "-", endReceived } = this;
    return `${from} ${mail} ${rcpt} ${data} ${chunks} ${final} ${early} ${endReceived}`;
  }
}

/** An unanswered command, or the end of a content: its verb is "." or, for the last chunk, "LAST". */
export type Item = {
  readonly verb: string;
  /** The text of the reply contains it, which reveals a reply that is credited to another command. */
  readonly label: string;
  readonly transaction: ServerTransaction | undefined;
  /** The recipient of RCPT. */
  readonly rcpt?: ServerTransaction["rcpt"][number];
  /** The content sent by DATA, or the bytes of a chunk. */
  readonly octets?: string;
};

const OF_TRANSACTION = /^(MAIL|DATA|BDAT|LAST|\.)$/;

/** Splits a stream of bytes into commands and contents. */
export class CommandReader {
  /** The items to answer, in order. */
  readonly queue: Item[] = [{ verb: "greeting", label: "greeting", transaction: undefined }];
  readonly transactions: ServerTransaction[] = [];
  #input = "";
  /** Whether a content or a command follows DATA depends on the reply to it. */
  #reads: "commands" | "nothing" | "content" = "commands";

  /** True between 354 and the end of the content. */
  get inContent(): boolean {
    return this.#reads === "content";
  }

  /** The transaction of the last command. */
  get transaction(): ServerTransaction | undefined {
    return this.transactions.at(-1);
  }

  /** Adds bytes, as latin1. */
  push(octets: string): void {
    this.#input += octets;
    let more = true;
    while (more && this.#reads !== "nothing") more = this.inContent ? this.#content() : this.#command();
  }

  /** Called when DATA is answered. */
  dataAnswered(code: number): void {
    this.#reads = code === 354 ? "content" : "commands";
    this.push("");
  }

  toString(): string {
    const queue = this.queue.map(({ label, octets = "" }) => `${label} ${octets.length}`).join();
    return `${this.#reads} ${this.#input} ${queue}`;
  }

  #content(): boolean {
    const end = this.#input.startsWith(".\r\n") ? 0 : this.#input.indexOf("\r\n.\r\n") + 2;
    if (end === 1) return false;
    const octets = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + 3);
    this.#reads = "commands";
    this.#push(".", { octets });
    return true;
  }

  #command(): boolean {
    const end = this.#input.indexOf("\r\n") + 2;
    if (end < 2) return false;
    const line = this.#input.slice(0, end - 2);
    const [, octets = "", last] = /^BDAT (\d+)( LAST)?$/.exec(line) ?? [];
    const next = end + Number(octets);
    if (this.#input.length < next) return false;
    const chunk = this.#input.slice(end, next);
    this.#input = this.#input.slice(next);
    this.#take(line, last === undefined ? "BDAT" : "LAST", chunk);
    return true;
  }

  #take(line: string, chunkVerb: string, octets: string): void {
    const [verb = ""] = line.toUpperCase().split(/[ :]/, 1);
    const [, address = ""] = /<(.*?)>/.exec(line) ?? [];
    if (verb === "BDAT") return this.#push(chunkVerb, { octets });
    if (verb === "MAIL") this.transactions.push(new ServerTransaction(address));
    if (verb === "DATA") this.#reads = "nothing";
    if (verb !== "RCPT") return this.#push(verb, {});
    const rcpt = { address, code: undefined };
    this.transaction?.rcpt.push(rcpt);
    this.queue.push({ verb, label: `RCPT ${address}`, transaction: this.transaction, rcpt });
  }

  #push(verb: string, more: Pick<Item, "octets">): void {
    const { transaction } = this;
    if (transaction && /^(LAST|\.)$/.test(verb)) transaction.endReceived = true;
    const label = OF_TRANSACTION.test(verb) ? `${verb} ${transaction?.from}` : verb;
    this.queue.push({ verb, label, transaction, ...more });
  }
}
