/** The messages that the server accepted, by recipient: the reference for all claims of the client. */

/**
 * The identity of a message in its addresses: the number of the call, and the number of the caller's earlier attempts.
 */
export type MessageKey = string;

/** The state of one message on the server. */
export class LedgerEntry {
  /** The number of times that it was accepted, by recipient. */
  readonly taken = new Map<string, number>();
  /** The code of each recipient's last refusal, at RCPT or, in LMTP, after the content. */
  readonly refusals = new Map<string, number>();
  /** The codes of all refusals of its transactions, at any command. */
  readonly codes = new Set<number>();
  /** The content of each complete transfer. */
  readonly contents: string[] = [];
  /** True if a connection carried it whose replies no longer answered its commands one by one. */
  outOfStep = false;

  /** True if it was accepted for any recipient. */
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

/** The sender of a message. */
export function senderOf(key: MessageKey): string {
  return `m${key}@a.test`;
}

/** The message of a sender. */
export function keyOf(sender: string): MessageKey | undefined {
  return /^m([\d.]+)@a\.test$/.exec(sender)?.[1];
}

/** The recipients of a message. */
export function recipientsOf(key: MessageKey, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `r${index}.m${key}@b.test`);
}
