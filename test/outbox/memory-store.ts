/** A store in memory, and a queue of one message, each step of which goes through a hook. */
import type { Conclusion } from "../../src/outbox/conclusion.ts";
import type { OutboxStore, Ticket, TicketAnswer } from "../../src/outbox/index.ts";
import { type OutboxMessage, readMessage } from "../../src/outbox/message.ts";

/** Runs a step: completely, partly or not at all. */
export type Step = <T>(name: string, effect: () => Promise<T>) => Promise<T>;

const asItIs: Step = (_, effect) => effect();

type Entry = Ticket & { readonly awaited: boolean };

/** The state that all workers share. */
export class MemoryTickets {
  readonly entries: Map<string, Entry> = new Map();
  readonly held: Map<string, string> = new Map();
  now = 1_000_000;

  /** A worker's view of the store. */
  store(step: Step = asItIs): OutboxStore {
    const { entries, held } = this;
    return {
      tickets: {
        read: (key) => step("tickets.read", async () => ({ ticket: entries.get(key), now: this.now })),
        take: (key, token, { notAfter, over }) =>
          step("tickets.take", async () => {
            const found = entries.get(key);
            if (found?.token === token) return "taken";
            if (found !== undefined && (found.token !== over || found.answer?.outcome === "delivered"))
              return "refused";
            if (this.now > notAfter) return "late";
            entries.set(key, { token, at: this.now, answer: undefined, awaited: false });
            return "taken";
          }),
        answer: (key, token, answer) => step("tickets.answer", async () => this.#change(key, token, answer)),
        giveBack: (key, token) => step("tickets.giveBack", async () => this.#change(key, token, undefined)),
        await: (key) =>
          step("tickets.await", async () => {
            const found = entries.get(key);
            if (found === undefined || found.answer?.outcome === "delivered") return false;
            entries.set(key, { ...found, awaited: true });
            return true;
          }),
        forget: (key) => step("tickets.forget", async () => void entries.delete(key)),
      },
      budgets: {
        enter: () => step("budgets.enter", async () => ({ state: "admitted", wait: 0 })),
        leave: () => step("budgets.leave", async () => {}),
        pause: () => step("budgets.pause", async () => {}),
      },
      held: {
        add: ({ id, reason }) => step("held.add", async () => void held.set(id, reason)),
        remove: (id) => step("held.remove", async () => void held.delete(id)),
        list: async () => [...held].map(([id]) => ({ id, messageId: "", reason: "lost", since: 0 })),
      },
    };
  }

  #change(key: string, token: string, answer: TicketAnswer | undefined): { changed: boolean; awaited: boolean } {
    const found = this.entries.get(key);
    if (found?.token !== token) return { changed: false, awaited: false };
    if (answer === undefined) this.entries.delete(key);
    else this.entries.set(key, { ...found, answer });
    return { changed: true, awaited: found.awaited };
  }
}

/** A queue with one message. A worker that has lost its lock changes nothing. */
export class OneMessageQueue {
  #data: string;
  #lock = 0;
  /** The outcome of the message; undefined while it waits. */
  ended: "done" | "give-up" | undefined;
  /** The last effective conclusion. */
  action: Conclusion["action"] | undefined;

  constructor(message: OutboxMessage) {
    this.#data = JSON.stringify(message);
  }

  get message(): OutboxMessage {
    return readMessage(JSON.parse(this.#data));
  }

  /** Returns the message with a new lock, even if another worker has it. */
  fetch(): { message: OutboxMessage; lock: number } {
    this.#lock++;
    return { message: this.message, lock: this.#lock };
  }

  /** Applies a worker's conclusion. */
  conclude(lock: number, message: OutboxMessage, { state, action }: Conclusion): void {
    if (lock !== this.#lock || this.ended !== undefined) return;
    this.#data = JSON.stringify({ ...message, state });
    this.action = action;
    if (action === "done" || action === "give-up") this.ended = action;
  }
}
