/** Reads what a client writes (RFC 5321 4.1, RFC 3030 2). It shares no code with the client, nor with the judge. */

/** One mail transaction as it came, and what was answered to it. */
export class ServerTransaction {
  readonly from: string;
  mail: number | undefined;
  /** The recipients that were named, in order, and the replies to them; undefined: not answered yet. */
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

/** A command that is not answered yet, or the end of a content: its verb is "." or, for the last chunk, "LAST". */
export type Item = {
  readonly verb: string;
  /** What the text of the reply names, so that a reply that is credited to another command is recognized. */
  readonly label: string;
  readonly transaction: ServerTransaction | undefined;
  /** The recipient of RCPT. */
  readonly rcpt?: ServerTransaction["rcpt"][number];
  /** The content that came by DATA, or the octets of a chunk. */
  readonly octets?: string;
};

const OF_TRANSACTION = /^(MAIL|DATA|BDAT|LAST|\.)$/;

/** Cuts a stream of octets into commands and contents. */
export class CommandReader {
  /** What is to be answered, in order. */
  readonly queue: Item[] = [{ verb: "greeting", label: "greeting", transaction: undefined }];
  readonly transactions: ServerTransaction[] = [];
  #input = "";
  /** What follows DATA is a content or a command, as that is answered. */
  #reads: "commands" | "nothing" | "content" = "commands";

  /** True between 354 and the end of the content. */
  get inContent(): boolean {
    return this.#reads === "content";
  }

  /** The transaction that the last command belongs to. */
  get transaction(): ServerTransaction | undefined {
    return this.transactions.at(-1);
  }

  /** Octets, as latin1. */
  push(octets: string): void {
    this.#input += octets;
    let more = true;
    while (more && this.#reads !== "nothing") more = this.inContent ? this.#content() : this.#command();
  }

  /** DATA was answered. */
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
