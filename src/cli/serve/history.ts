/** The last sessions and messages of a server, and the listeners for new ones. */
import type { TestMessage } from "../../testing/index.ts";

/** A session. */
export type SessionRecord = {
  readonly id: number;
  readonly began: Date;
  readonly client: string;
  /** Undefined while it lasts. */
  ended: Date | undefined;
  /** The dialogue so far. */
  readonly transcript: () => string;
};

/** A message that was accepted. */
export type MessageRecord = { readonly id: number; readonly came: Date; readonly message: TestMessage };

/** A change of a session or a message. */
export type HistoryEvent =
  | { readonly kind: "session"; readonly session: SessionRecord }
  | { readonly kind: "message"; readonly message: MessageRecord };

/** Remembers the last sessions and messages. */
export class History {
  readonly #most: number;
  readonly #sessions = new Map<number, SessionRecord>();
  readonly #messages = new Map<number, MessageRecord>();
  readonly #listeners = new Set<(event: HistoryEvent) => void>();
  #count = 0;

  /** @param most - how many of each are kept */
  constructor(most: number) {
    this.#most = most;
  }

  /** The sessions, the oldest first. */
  get sessions(): readonly SessionRecord[] {
    return [...this.#sessions.values()];
  }

  /** The messages, the oldest first. */
  get messages(): readonly MessageRecord[] {
    return [...this.#messages.values()];
  }

  session(id: number): SessionRecord | undefined {
    return this.#sessions.get(id);
  }

  message(id: number): MessageRecord | undefined {
    return this.#messages.get(id);
  }

  /** Records a session, or a change of it. */
  addSession(session: SessionRecord): void {
    this.#sessions.set(session.id, session);
    forgetOldest(this.#sessions, this.#most);
    this.#tell({ kind: "session", session });
  }

  /** Records a message. */
  addMessage(message: TestMessage): MessageRecord {
    this.#count += 1;
    const record = { id: this.#count, came: new Date(), message };
    this.#messages.set(record.id, record);
    forgetOldest(this.#messages, this.#most);
    this.#tell({ kind: "message", message: record });
    return record;
  }

  /** Adds a listener for all changes; returns a function that removes it. */
  listen(listener: (event: HistoryEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(event: HistoryEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function forgetOldest(map: Map<number, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
