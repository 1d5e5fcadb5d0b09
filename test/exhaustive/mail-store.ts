/** What a server makes of the commands that it answers: its open transaction, and the messages that it took. */
import { type Item, ServerTransaction } from "./command-reader.ts";

/** A message that the server took, or may have taken, for one recipient. */
export type Taken = {
  readonly by: "DATA" | "BDAT";
  readonly content: string;
  readonly from: string;
  readonly address: string;
};

type Open = {
  readonly from: string;
  readonly accepted: readonly string[];
  /** The chunks of BDAT. */
  readonly content: string;
  readonly refusedChunk: boolean;
  /** LMTP: how many of the accepted recipients have their reply to the end. */
  readonly verdicts: number;
};

/** Commands in, ledger out. */
export class MailStore {
  /** The messages that the server took, once for each recipient. */
  readonly taken: Taken[] = [];
  /** True once a BDAT was answered by 2yz. */
  bdatAccepted = false;
  /** The codes of the replies to the greeting, EHLO and HELO. */
  introduction = "";
  readonly #lmtp: boolean;
  /** Messages whose end was answered by what is no verdict. */
  readonly #perhaps: Taken[] = [];
  #open: Open | undefined;

  constructor(lmtp: boolean) {
    this.#lmtp = lmtp;
  }

  /** True if the transaction has no recipient. */
  get nobody(): boolean {
    return this.#open === undefined || this.#open.accepted.length === 0;
  }

  /** The code of a server that wants the message. */
  rightCode({ verb }: Item): number {
    switch (verb) {
      case "greeting":
        return 220;
      case "MAIL":
        return this.#open === undefined ? 250 : 503;
      case "RCPT":
        return this.#open === undefined ? 503 : 250;
      case "DATA":
        return this.nobody ? 503 : 354;
      case ".":
        return this.nobody ? 554 : 250;
      case "BDAT":
      case "LAST":
        return this.nobody || this.#open?.refusedChunk === true ? 503 : 250;
      case "QUIT":
        return 221;
      default:
        return 250;
    }
  }

  /** The recipient that the next reply to the end is for, in LMTP. */
  get nextVerdictFor(): string | undefined {
    return this.#lmtp ? this.#open?.accepted[this.#open.verdicts] : undefined;
  }

  /** A command was answered; returns false if the same one is to be answered again. */
  answered({ verb, transaction, rcpt, octets = "" }: Item, code: number): boolean {
    const good = code >= 200 && code < 300;
    switch (verb) {
      case "greeting":
      case "EHLO":
      case "LHLO":
      case "HELO":
        this.introduction += `${verb} ${code},`;
        return true;
      case "MAIL":
        if (transaction) this.#mail(transaction, code);
        return true;
      case "RCPT":
        if (rcpt) rcpt.code = code;
        if (good) this.#change(({ accepted }) => ({ accepted: [...accepted, rcpt?.address ?? ""] }));
        return true;
      case "DATA":
        if (transaction) transaction.data = code;
        return true;
      case "BDAT":
        transaction?.chunks.push(code);
        this.bdatAccepted ||= good;
        this.#change(({ content, refusedChunk }) => ({
          content: content + octets,
          refusedChunk: refusedChunk || !good,
        }));
        return true;
      case "LAST":
        this.bdatAccepted ||= good;
        transaction?.final.push(code);
        return this.#verdict("BDAT", octets, code);
      case ".":
        transaction?.final.push(code);
        return this.#verdict("DATA", octets, code);
      case "RSET":
        if (good) this.#open = undefined;
        return true;
      default:
        return true;
    }
  }

  /** A command was answered by something that is no reply: the server may have done what it was told. */
  answeredOddly(item: Item): void {
    const { verb, octets = "" } = item;
    if (verb === ".") this.#perhaps.push(...this.#copies("DATA", octets));
    else if (verb === "LAST") this.#perhaps.push(...this.#copies("BDAT", octets));
    else this.answered(copyOf(item), this.rightCode(item));
  }

  /** What the server may have taken, or may still take of what it has received. */
  mayTake(queue: readonly Item[]): Taken[] {
    const rest = new MailStore(this.#lmtp);
    rest.#open = this.#open;
    for (const item of queue) {
      const copy = copyOf(item);
      while (!rest.answered(copy, rest.rightCode(copy)));
    }
    return [...this.#perhaps, ...rest.taken];
  }

  toString(): string {
    const { from, accepted, content, refusedChunk, verdicts } = this.#open ?? {};
    const perhaps = this.#perhaps.map(({ address }) => address);
    const open = `${from} ${accepted} ${content?.length} ${refusedChunk} ${verdicts}`;
    return `${this.introduction} ${this.bdatAccepted} ${open} ${perhaps}`;
  }

  #mail(transaction: ServerTransaction, code: number): void {
    transaction.mail = code;
    if (code >= 200 && code < 300 && this.#open === undefined) this.#begin(transaction.from);
  }

  #begin(from: string): void {
    this.#open = { from, accepted: [], content: "", refusedChunk: false, verdicts: 0 };
  }

  #change(change: (open: Open) => Partial<Open>): void {
    if (this.#open) this.#open = { ...this.#open, ...change(this.#open) };
  }

  /** The message for those who have no verdict yet. */
  #copies(by: Taken["by"], octets: string): Taken[] {
    const { from, accepted, content, refusedChunk, verdicts } = this.#open ?? NONE;
    if (refusedChunk) return [];
    return accepted.slice(verdicts).map((address) => ({ by, content: content + octets, from, address }));
  }

  #verdict(by: Taken["by"], octets: string, code: number): boolean {
    const copies = this.#copies(by, octets);
    if (code < 300) this.taken.push(...(this.#lmtp ? copies.slice(0, 1) : copies));
    else if (code < 400) this.#perhaps.push(...(this.#lmtp ? copies.slice(0, 1) : copies));
    const over = !this.#lmtp || copies.length < 2;
    if (over) this.#open = undefined;
    else this.#change(({ verdicts }) => ({ verdicts: verdicts + 1 }));
    return over;
  }
}

/** A copy that can be answered without the original counting as answered. */
function copyOf(item: Item): Item {
  const transaction = item.transaction && new ServerTransaction(item.transaction.from);
  return { ...item, transaction, ...(item.rcpt && { rcpt: { ...item.rcpt } }) };
}

const NONE: Open = { from: "", accepted: [], content: "", refusedChunk: false, verdicts: 0 };
