/** The budgets of destinations and tenants, which all workers share: whether a message may go now. */

import { checkNames } from "./checks.ts";
import type { OutboxMessage } from "./message.ts";
import type { Budget, BudgetStore } from "./store.ts";

/** How much mail goes to a destination, and for a tenant; undefined: as much as comes. */
export type BudgetRules = {
  destination?: ((destination: string) => Budget | undefined) | undefined;
  tenant?: ((tenant: string) => Budget | undefined) | undefined;
};

/** Whether a message may go; if not, when to ask again, and what it has paid for already. */
export type Place = {
  readonly admitted: boolean;
  /** Seconds. */
  readonly wait: number;
  readonly paid: readonly string[];
  /** The budgets in which it has a place, which `leave` frees. */
  readonly taken: readonly string[];
};

/** Seconds after which the place of a worker that died is free again: short, since a worker that lives renews it. */
const LEASE = 120;

/** The same where the store cannot renew a place: longer than nearly all attempts. */
const LONG_LEASE = 1800;

/** Asks for the places that a message needs. */
export class Places {
  readonly #store: BudgetStore;
  readonly #rules: BudgetRules;
  readonly #random: () => number;

  constructor(store: BudgetStore, rules: BudgetRules, random: () => number = Math.random) {
    this.#store = store;
    this.#rules = rules;
    this.#random = random;
  }

  /** Asks all budgets of a message, and gives back what it got where one has no room. */
  async enter(message: OutboxMessage, token: string): Promise<Place> {
    const paid: string[] = [...message.state.paid];
    const entered: string[] = [];
    const lease = this.#store.renew === undefined ? LONG_LEASE : LEASE;
    try {
      for (const [key, budget] of this.#budgets(message)) {
        const { state, wait } = await this.#store.enter(key, token, { budget, lease, reserved: paid.includes(key) });
        if (state === "admitted" || state === "reserved") paid.push(key);
        if (state !== "admitted") {
          await this.leave(entered, token);
          return { admitted: false, wait: this.#wait(state, wait, message), paid: [...new Set(paid)], taken: [] };
        }
        if (budget.concurrent !== undefined) entered.push(key);
      }
    } catch (error) {
      await this.leave(entered, token).catch(() => {});
      throw error;
    }
    return { admitted: true, wait: 0, paid, taken: entered };
  }

  /** Renews places during an attempt; the returned function stops it. */
  keep(taken: readonly string[], token: string): () => void {
    if (taken.length === 0 || this.#store.renew === undefined) return () => {};
    const renew = async (key: string): Promise<void> => {
      try {
        await this.#store.renew?.(key, token, LEASE);
      } catch {
        // The next time comes before the lease ends.
      }
    };
    const timer = setInterval(() => taken.forEach((key) => void renew(key)), LEASE * 333);
    return () => clearInterval(timer);
  }

  /** Frees places. */
  async leave(taken: readonly string[], token: string): Promise<void> {
    await Promise.all(taken.map((key) => this.#store.leave(key, token)));
  }

  /** Lets nothing go to a destination for so many seconds. */
  async pause(destination: string, seconds: number): Promise<void> {
    await this.#store.pause(`destination:${destination}`, seconds);
  }

  #budgets({ destination, tenant }: OutboxMessage): [key: string, budget: Budget][] {
    const ofDestination = checkBudget(this.#rules.destination?.(destination) ?? {}, "destination");
    const rule = tenant === undefined ? undefined : this.#rules.tenant?.(tenant);
    const ofTenant = rule === undefined ? undefined : checkBudget(rule, "tenant");
    const all: [string, Budget][] = [[`destination:${destination}`, ofDestination]];
    return ofTenant === undefined ? all : [[`tenant:${tenant}`, ofTenant], ...all];
  }

  /** A reserved time is kept; the others spread, so that they do not all ask at once. */
  #wait(state: string, wait: number, { state: { deferred } }: OutboxMessage): number {
    if (state === "reserved") return wait;
    const spread = this.#random() * Math.min(60, 2 ** Math.min(deferred, 6));
    return state === "busy" ? 0.5 + spread : wait + spread;
  }
}

/** Seconds for which a budget can count. */
const LONGEST = 86_400;

/** Checks what a rule returned: a wrong number would let everything go, or nothing. */
function checkBudget(budget: Budget, rule: keyof BudgetRules): Budget {
  const where = `the budget of options.budgets.${rule}`;
  checkNames(budget, ["messages", "seconds", "concurrent"], where);
  const { messages, seconds = 1, concurrent } = budget;
  for (const [name, value] of Object.entries({ messages, concurrent })) {
    if (value === undefined || (Number.isSafeInteger(value) && value > 0)) continue;
    throw new RangeError(`${name} in ${where} must be a whole number above 0`);
  }
  if (typeof seconds !== "number" || !(seconds > 0 && seconds <= LONGEST)) {
    throw new RangeError(`seconds in ${where} must be a number above 0 and at most ${LONGEST}`);
  }
  return budget;
}
