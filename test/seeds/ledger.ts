/** What the server took, by message and recipient: what every claim of the client's is held against. */

/** A message as its name tells it: the number of the call, and how often the caller has sent it before. */
export type MessageKey = string;

/** What became of one message on the server. */
export class LedgerEntry {
  /** How often it was taken, by recipient. */
  readonly taken = new Map<string, number>();
  /** What each recipient was refused with last, at RCPT or, in LMTP, after the content. */
  readonly refusals = new Map<string, number>();
  /** All that its transactions were refused with, at any command. */
  readonly codes = new Set<number>();
  /** The content of each time that it came in whole. */
  readonly contents: string[] = [];
  /** True if it came by a connection whose replies no longer answered its commands one by one. */
  outOfStep = false;

  /** True if it was taken for anybody. */
  get isTaken(): boolean {
    return this.taken.size > 0;
  }
}

/** The entries of a server. */
export class Ledger {
  readonly #entries = new Map<MessageKey, LedgerEntry>();

  entry(key: MessageKey): LedgerEntry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = new LedgerEntry();
      this.#entries.set(key, entry);
    }
    return entry;
  }
}

/** The sender that names a message. */
export function senderOf(key: MessageKey): string {
  return `m${key}@a.test`;
}

/** The message that a sender names. */
export function keyOf(sender: string): MessageKey | undefined {
  return /^m([\d.]+)@a\.test$/.exec(sender)?.[1];
}

/** The recipients of a message. */
export function recipientsOf(key: MessageKey, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `r${index}.m${key}@b.test`);
}
