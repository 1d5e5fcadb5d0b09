/** The budgets of destinations and tenants, which all workers share: whether a message may go now. */
import { checkObject } from "../facade/options.ts";
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
};

/** Seconds after which the place of a worker that died is free again. */
const LEASE = 1800;

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
    for (const [key, budget] of this.#budgets(message)) {
      const request = { budget, lease: LEASE, reserved: paid.includes(key) };
      const { state, wait } = await this.#store.enter(key, token, request);
      if (state === "admitted" || state === "reserved") paid.push(key);
      if (state === "admitted") {
        entered.push(key);
        continue;
      }
      await Promise.all(entered.map((one) => this.#store.leave(one, token)));
      return { admitted: false, wait: this.#wait(state, wait, message), paid: [...new Set(paid)] };
    }
    return { admitted: true, wait: 0, paid };
  }

  /** Frees its places. */
  async leave(message: OutboxMessage, token: string): Promise<void> {
    const limited = this.#budgets(message).filter(([, { concurrent }]) => concurrent !== undefined);
    await Promise.all(limited.map(([key]) => this.#store.leave(key, token)));
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

/** Checks what a rule returned: a wrong number would let everything go, or nothing. */
function checkBudget(budget: Budget, rule: keyof BudgetRules): Budget {
  const where = `the budget of options.budgets.${rule}`;
  checkObject(budget, where);
  const { messages, seconds, concurrent } = budget;
  for (const [name, value] of Object.entries({ messages, seconds, concurrent })) {
    if (value === undefined || (typeof value === "number" && value > 0)) continue;
    throw new RangeError(`${name} in ${where} must be a number above 0`);
  }
  return budget;
}
