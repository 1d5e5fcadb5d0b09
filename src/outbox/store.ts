/** The stores that the workers of an outbox share beside the queue: tickets, budgets, and the list of held messages. */
import type { TicketStore } from "./ticket.ts";

/** How much mail goes somewhere, by all workers together. */
export type Budget = {
  /** The most messages in `seconds`. Default: no limit. */
  messages?: number | undefined;
  /** Default: 1. */
  seconds?: number | undefined;
  /** The most messages that are on their way at a time. Default: no limit. */
  concurrent?: number | undefined;
};

/** A message that asks for its place in a budget. */
export type Request = {
  readonly budget: Budget;
  /** Seconds after which its place is free again, whatever became of the worker. */
  readonly lease: number;
  /** True if its time was reserved before, and has come. */
  readonly reserved: boolean;
};

/**
 * "admitted": it may go, and `leave` frees its place. "reserved": its time is kept, and comes in `wait` seconds. "busy":
 * as many as may are on their way. "wait": nothing goes there for `wait` seconds.
 */
export type Admission = {
  readonly state: "admitted" | "reserved" | "busy" | "wait";
  /** Seconds. */
  readonly wait: number;
};

/** Counts what all workers send. Each method is atomic. */
export interface BudgetStore {
  /** Asks for a place. */
  enter(key: string, token: string, request: Request): Promise<Admission>;
  /** Keeps a place for `lease` more seconds; a store without it frees the places of dead workers later. */
  renew?(key: string, token: string, lease: number): Promise<void>;
  /** Frees the place. */
  leave(key: string, token: string): Promise<void>;
  /** Lets nothing go there for so many seconds. */
  pause(key: string, seconds: number): Promise<void>;
}

/** A message whose outcome is unknown. */
export type HeldMessage = {
  readonly id: string;
  readonly messageId: string;
  /** "in-flight": another attempt has passed the point of no return and may still answer. "lost": its connection died. */
  readonly reason: "in-flight" | "lost";
  /** Milliseconds since 1970. */
  readonly since: number;
};

/** Lists the messages that are held. It informs people: no decision depends on it. */
export interface HeldStore {
  add(held: HeldMessage): Promise<void>;
  remove(id: string): Promise<void>;
  list(): Promise<HeldMessage[]>;
}

/** The three together. */
export type OutboxStore = {
  readonly tickets: TicketStore;
  readonly budgets: BudgetStore;
  readonly held: HeldStore;
};
