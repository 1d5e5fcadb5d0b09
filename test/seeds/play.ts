/** Plays a scenario from its first action to the end of the pool, on a virtual clock. */
import {
  type PoolOptions,
  SMTPException,
  SMTPPool,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import { Caller } from "./caller.ts";
import { Ledger } from "./ledger.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import type { Action, PoolPlan, Scenario } from "./scenario.ts";
import { tokenFunction } from "./token.ts";
import { judgeCalls } from "./verdicts.ts";
import { installClock, settleMicrotasks, standardFinally, useTime, VirtualTime } from "./virtual-time.ts";
import { type Violation, Watch } from "./watch.ts";

/** The result of a play. */
export type Outcome = {
  readonly violations: readonly Violation[];
  /** The events, line by line, if they were requested. */
  readonly trace: readonly string[];
  readonly turns: number;
  readonly calls: number;
  readonly delivered: number;
  readonly connections: number;
  /** Milliseconds of virtual time. */
  readonly lasted: number;
};

/** More turns than any scenario needs. */
const MOST_TURNS = 20_000;

/** Milliseconds after which nothing may wait any more: several times the longest default timeouts. */
const MOST_TIME = 4 * 3_600_000;

/** Milliseconds after which the server certainly works, whatever happened before. */
const CALM = 1_234;

/** Milliseconds that a message may need once the server works and nothing else is in progress. */
const PROBE_TIME = 300_000;

/** Unhandled rejections since the last check. */
const unhandled: unknown[] = [];

/**
 * Prepares the process for scenarios by installing their clock; returns a function that restores the original state.
 */
export function prepare(): () => void {
  const remember = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", remember);
  const ends = [installClock(), standardFinally()];
  return () => {
    for (const end of ends) end();
    process.off("unhandledRejection", remember);
  };
}

/** Plays a scenario in a prepared process. */
export async function play(scenario: Scenario, traces = false): Promise<Outcome> {
  return new Stage(scenario, traces).play();
}

class Stage {
  readonly #scenario: Scenario;
  readonly #time: VirtualTime;
  readonly #ledger = new Ledger();
  readonly #watch: Watch;
  readonly #network: Network;
  readonly #caller: Caller;
  readonly #trace: string[] = [];
  #actionsLeft: number;
  #turns = 0;

  constructor(scenario: Scenario, traces: boolean) {
    const { seed, clock, actions } = scenario;
    this.#scenario = scenario;
    this.#actionsLeft = actions.length;
    this.#time = new VirtualTime(new Random(seed, 3), clock);
    useTime(this.#time);
    const note = (text: string): void => void this.#trace.push(`${this.#time.now.toFixed(3).padStart(12)} ms  ${text}`);
    const abortAll = new AbortController();
    this.#watch = new Watch(scenario, this.#time, () => pool.stats, traces ? note : undefined);
    this.#network = new Network(scenario, this.#time, this.#ledger, this.#watch);
    const pool = new SMTPPool(optionsOf(scenario, this.#time, this.#network, abortAll.signal));
    this.#caller = new Caller(pool, abortAll, this.#time, this.#watch);
    this.#watch.follow(this.#caller, this.#network);
  }

  async play(): Promise<Outcome> {
    this.#schedule();
    await this.#scenes();
    // An unhandled rejection is reported after its turn.
    await settleMicrotasks();
    for (const reason of unhandled.splice(0)) this.#watch.fail("no rejection is left unhandled", String(reason));
    const { calls } = this.#caller;
    const { connections } = this.#network;
    judgeCalls(this.#scenario, calls, connections, this.#ledger, (...why) => this.#watch.fail(...why));
    return {
      violations: this.#watch.violations,
      trace: this.#trace,
      turns: this.#turns,
      calls: calls.length,
      delivered: calls.filter(({ outcome }) => outcome === "ok").length,
      connections: connections.length,
      lasted: this.#time.now,
    };
  }

  #schedule(): void {
    for (const action of this.#scenario.actions) this.#time.at(action.at, () => void this.#perform(action));
    for (const { at, ms } of this.#scenario.blocks) {
      this.#time.at(at, () => {
        if (this.#time.now >= this.#scenario.goodAt) return;
        this.#watch.note?.(`the event loop is busy for ${ms} ms`);
        this.#time.now += ms;
      });
    }
    this.#time.at(this.#scenario.goodAt, () => {
      this.#watch.note?.("the server works from here on");
      this.#network.recover();
    });
    this.#time.at(this.#scenario.goodAt + CALM, () => {});
  }

  async #perform(action: Action): Promise<void> {
    for (let turns = action.turns; turns > 0; turns--) await undefined;
    this.#actionsLeft--;
    this.#caller.perform(action);
  }

  /** The caller's actions; then messages to a working server; then the end. */
  async #scenes(): Promise<void> {
    const { goodAt } = this.#scenario;
    const isOver = (): boolean => this.#actionsLeft === 0 && this.#time.now >= goodAt + CALM && this.#caller.isSettled;
    if (!(await this.#until(isOver, MOST_TIME, "every call settles"))) return;
    if (!this.#caller.isClosing && !this.#caller.isAborted && !(await this.#probe())) return;
    if (!this.#caller.isClosing) this.#caller.close();
    await this.#until(() => this.#caller.isClosed, PROBE_TIME, "close() resolves");
  }

  /** Nothing starves: a working server gets a message, whatever happened before. */
  async #probe(): Promise<boolean> {
    // With reconnectFor 0, the pool tries one connection: the server must have noticed the end of the dropped ones.
    const until = this.#time.now + CALM;
    this.#time.at(until, () => {});
    if (!(await this.#until(() => this.#time.now >= until, 2 * CALM, "time goes on"))) return false;
    const before = this.#caller.calls.length;
    const logins = this.#logins;
    this.#watch.note?.("two messages that nothing may go wrong with");
    this.#caller.probe(1_000, Math.min(this.#scenario.probes, this.#scenario.pool.maxQueue ?? 2));
    const rate = (this.#scenario.pool.rateLimit?.seconds ?? 0) * 1000;
    const settles = await this.#until(() => this.#caller.isSettled, PROBE_TIME + 2 * rate, "nothing starves");
    if (!settles) return false;
    const isWrong = this.#scenario.pool.login === "wrong";
    for (const { key, outcome, error } of this.#caller.calls.slice(before)) {
      if (isOutOfTime(error) || this.#isLostInFlight(error)) continue;
      if (isWrong ? !isRefusedLogin(error) : outcome !== "ok") {
        this.#watch.fail("nothing starves", `${key} with a server that works: ${outcome}, ${String(error)}`);
      }
    }
    const more = this.#logins - logins;
    if (isWrong && more !== 1 && this.#scenario.pool.total === undefined) {
      this.#watch.fail("a wrong password costs one login", `${more} connections tried it`);
    }
    return true;
  }

  /** In one flight the content is sent with the envelope: a message on a lost connection cannot be sent again. */
  #isLostInFlight(error: unknown): boolean {
    const { pool } = this.#scenario;
    return pool.pipelining === "eager" && error instanceof SMTPServerDisconnected;
  }

  /** The number of connections that have tried to log in. */
  get #logins(): number {
    return this.#network.connections.filter(({ logins }) => logins > 0).length;
  }

  /** Lets time pass until a condition is met; false if it is not met within `ms`. */
  async #until(condition: () => boolean, ms: number, rule: string): Promise<boolean> {
    const deadline = this.#time.now + ms;
    for (;;) {
      await settleMicrotasks();
      this.#watch.turnEnded();
      if (condition()) return true;
      if (this.#watch.violations.length > 0) return false;
      if (this.#time.now > deadline || ++this.#turns > MOST_TURNS || !this.#time.step()) break;
    }
    const waiting = this.#caller.calls.filter(({ outcome }) => outcome === "waiting").map(({ key }) => key);
    const why =
      this.#turns > MOST_TURNS ? "it goes on for ever" : this.#time.now > deadline ? "in time" : "nothing is to come";
    this.#watch.fail(rule, `${why}; ${waiting.join(", ") || "nothing"} waits`);
    return false;
  }
}

function optionsOf(scenario: Scenario, time: VirtualTime, network: Network, signal: AbortSignal): PoolOptions {
  const { login, total, timeout, ...pool } = scenario.pool;
  return {
    ...pool,
    host: "mail.test",
    transport: network.transport,
    starttls: "never",
    signal,
    timeout,
    timeouts: total === undefined ? {} : { total },
    auth: authOf(login, scenario, time),
  };
}

function authOf(login: PoolPlan["login"], scenario: Scenario, time: VirtualTime): PoolOptions["auth"] {
  if (login === "none") return undefined;
  if (login === "password" || login === "wrong")
    return { user: "user", password: login === "wrong" ? "not-this" : "right-one" };
  return { user: "user", token: tokenFunction(scenario, time) };
}

/** The scenario's own limit may be shorter than the time that a message needs. */
function isOutOfTime(error: unknown): boolean {
  return error instanceof SMTPTimeoutError && error.phase === "total";
}

function isRefusedLogin(error: unknown): boolean {
  return error instanceof SMTPException && error.name === "SMTPAuthenticationError" && error.delivery === "not-sent";
}
