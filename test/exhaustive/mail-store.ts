/** A server's state that results from its replies: the open transaction, and the accepted messages. */
import { type Item, ServerTransaction } from "./command-reader.ts";

/** A message that the server accepted, or may have accepted, for one recipient. */
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
  /** LMTP: the number of accepted recipients whose final reply was sent. */
  readonly verdicts: number;
};

/** Records commands and replies in a ledger. */
export class MailStore {
  /** The accepted messages, once for each recipient. */
  readonly taken: Taken[] = [];
  /** True once a BDAT was answered by 2yz. */
  bdatAccepted = false;
  /** The codes of the replies to the greeting, EHLO and HELO. */
  introduction = "";
  readonly #lmtp: boolean;
  /** Messages whose end was answered by something that is not a verdict. */
  readonly #perhaps: Taken[] = [];
  #open: Open | undefined;

  constructor(lmtp: boolean) {
    this.#lmtp = lmtp;
  }

  /** True if the transaction has no accepted recipient. */
  get nobody(): boolean {
    return this.#open === undefined || this.#open.accepted.length === 0;
  }

  /** The reply code of a server that accepts the message. */
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

  /** In LMTP, the recipient that the next reply to the end concerns. */
  get nextVerdictFor(): string | undefined {
    return this.#lmtp ? this.#open?.accepted[this.#open.verdicts] : undefined;
  }

  /** Records the reply to a command; returns false if another reply to the same command must follow. */
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

  /** Records an answer that is no reply: the server may have executed the command. */
  answeredOddly(item: Item): void {
    const { verb, octets = "" } = item;
    if (verb === ".") this.#perhaps.push(...this.#copies("DATA", octets));
    else if (verb === "LAST") this.#perhaps.push(...this.#copies("BDAT", octets));
    else this.answered(copyOf(item), this.rightCode(item));
  }

  /** The messages that the server may have accepted, or may still accept from the received commands. */
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

  /** The message for the recipients without a verdict. */
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

/** Copies an item, so that an answer to the copy leaves the original unanswered. */
function copyOf(item: Item): Item {
  const transaction = item.transaction && new ServerTransaction(item.transaction.from);
  return { ...item, transaction, ...(item.rcpt && { rcpt: { ...item.rcpt } }) };
}

const NONE: Open = { from: "", accepted: [], content: "", refusedChunk: false, verdicts: 0 };
