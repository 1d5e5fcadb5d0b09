/** Checks the pool's guarantees after each turn. */
import { type PoolStats, SMTPServerDisconnected, SMTPTimeoutError } from "../../src/index.ts";
import { AbortReason, type Call, type Caller, type CallerObserver } from "./caller.ts";
import type { MessageKey } from "./ledger.ts";
import type { ClientConnection, Network, Observer } from "./network.ts";
import type { Scenario } from "./scenario.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** A broken guarantee. */
export type Violation = { readonly rule: string; readonly detail: string };

/** A check at the end of a turn, after everything in it has happened. */
type TurnCheck = () => void;

/** Watches one play. */
export class Watch implements Observer, CallerObserver {
  readonly violations: Violation[] = [];
  readonly note: ((text: string) => void) | undefined;
  readonly #scenario: Scenario;
  readonly #time: VirtualTime;
  readonly #stats: () => PoolStats;
  readonly #checks: TurnCheck[] = [];
  #caller: Caller | undefined;
  #network: Network | undefined;
  /** Whether several connections may log in at the same time, as far as that is visible from outside. */
  #mayLogInTogether = false;
  /** True from a permanent refusal until the next call: nothing may be tried. */
  #isRefused = false;
  #checksMade = 0;
  readonly #began: number[] = [];

  constructor(
    scenario: Scenario,
    time: VirtualTime,
    stats: () => PoolStats,
    note: ((text: string) => void) | undefined,
  ) {
    this.#scenario = scenario;
    this.#time = time;
    this.#stats = stats;
    this.note = note;
  }

  /** Sets the watched caller and network. */
  follow(caller: Caller, network: Network): void {
    this.#caller = caller;
    this.#network = network;
  }

  fail(rule: string, detail: string): void {
    this.violations.push({ rule, detail: `${this.#time.now.toFixed(3)} ms: ${detail}` });
  }

  /** Called at the end of a turn, when everything has happened that needs no time. */
  turnEnded(): void {
    for (const check of this.#checks.splice(0)) check();
    const stats = this.#stats();
    this.#checkStats(stats);
    this.#checkHold();
    this.#checkIdleness();
  }

  // The network.

  connecting(connection: ClientConnection): void {
    const { maxConnections, login } = this.#scenario.pool;
    const open = this.#open.size;
    if (open > maxConnections + this.#checksMade) {
      this.fail("no more connections than allowed", `${open} of ${maxConnections}, ${this.#checksMade} by check()`);
    }
    const isNew = this.#sends.some((call) => call.outcome === "waiting" && isPrepared(call));
    if (this.#isRefused && !isNew)
      this.fail("a refusal for good stops", `#${connection.number} connects without a new call`);
    if (login === "none" || this.#mayLogInTogether) return;
    this.#checks.push(() => {
      const signingOn = [...this.#open].filter(isSigningOn).map(({ number }) => `#${number}`);
      if (signingOn.length < 2) return;
      this.fail("one connection signs on until a login has succeeded", signingOn.join(", "));
    });
  }

  refused({ number, refusal }: ClientConnection): void {
    this.#mayLogInTogether = false;
    if ([...this.#open].some(({ isUsable }) => isUsable)) return;
    // A call at the same time may have come after it.
    this.#isRefused = !this.#sends.some(({ madeAt }) => madeAt === this.#time.now);
    this.#checks.push(() => {
      const waiting = this.#sends.filter((call) => call.outcome === "waiting" && !isPrepared(call));
      if (!this.#isRefused || waiting.length === 0) return;
      this.fail("a refusal for good rejects what waits", `#${number} ${refusal}: ${keysOf(waiting)} wait on`);
    });
  }

  released(connection: ClientConnection): void {
    if (connection.successes > 1 || connection.logins > 2) {
      const { number, logins, successes } = connection;
      this.fail("no more logins than connections", `#${number}: ${logins} tries, ${successes} successes`);
    }
  }

  began(connection: ClientConnection, key: MessageKey): void {
    const call = this.#caller?.call(key);
    if (call === undefined) return this.fail("nothing is sent that nobody sends", key);
    const isFirst = call.begun.length === 0;
    const isNewHere = call.begun.every((one) => one.connection !== connection);
    call.begun.push({ connection, at: this.#time.now });
    if (call.outcome !== "waiting") this.fail("nothing is sent for a call that is settled", key);
    if (isNewHere) this.#beganMessage(call, connection);
    // If the server reads slowly, the beginning of a message is noticed late.
    const isSeenAtOnce = this.#scenario.server.highWaterMark > 1_000;
    if (isFirst && isSeenAtOnce) this.#checks.push(() => this.#checkOrder(call));
  }

  // The caller.

  called({ kind }: Call): void {
    this.#isRefused = false;
    if (kind === "check") this.#checksMade++;
  }

  settled(call: Call): void {
    if (call.wasReady && String(call.error).includes("queue of the pool is full")) {
      this.fail("ready() keeps a place", call.key);
    }
    if (isEndedByCaller(call) && this.#caller?.isAborted === false)
      this.#checks.push(() => this.#checkNeighbours(call));
  }

  drained(before: readonly Call[]): void {
    this.#checks.push(() => this.#allSettled("drain() waits for all messages", before));
  }

  closed(): void {
    this.#checks.push(() => {
      this.#allSettled("close() waits for all messages", this.#caller?.calls ?? []);
      const open = [...this.#open];
      if (open.length > 0) this.fail("close() leaves no connection", open.map(({ number }) => `#${number}`).join(" "));
      const timers = [...this.#time.timers].map(({ ms, owner }) => `${owner}: ${ms} ms`);
      if (timers.length > 0) this.fail("close() leaves no timer", timers.join(", "));
    });
  }

  abortedAll(): void {
    const before = [...(this.#caller?.calls ?? [])];
    this.#checks.push(() => this.#allSettled("an abort of the pool rejects everything at once", before));
  }

  aborted(call: Call): void {
    this.#checks.push(() => {
      if (call.outcome === "waiting") this.fail("an abort settles a call at once", call.key);
    });
  }

  loggedIn(): void {
    this.#mayLogInTogether = true;
  }

  get #open(): ReadonlySet<ClientConnection> {
    return this.#network?.open ?? new Set();
  }

  get #sends(): readonly Call[] {
    return (this.#caller?.calls ?? []).filter(({ kind }) => kind === "send");
  }

  #allSettled(rule: string, calls: readonly Call[]): void {
    for (const { kind, key, outcome } of calls) if (kind === "send" && outcome === "waiting") this.fail(rule, key);
  }

  #beganMessage(call: Call, connection: ClientConnection): void {
    const connections = new Set(call.begun.map((begun) => begun.connection));
    if (connections.size > 2) this.fail("a message goes a second time at most", call.key);
    const { maxMessages, rateLimit } = this.#scenario.pool;
    if (++connection.messages > (maxMessages ?? Number.POSITIVE_INFINITY)) {
      this.fail("a connection carries maxMessages at most", `#${connection.number}: ${connection.messages}`);
    }
    if (rateLimit === undefined || this.#scenario.server.highWaterMark < 1_000) return;
    this.#began.push(this.#time.now);
    const first = this.#began.at(-1 - rateLimit.messages);
    // The clock may creep between the beginning of a message and its first byte, which is not the pool's fault.
    if (first === undefined || this.#time.now - first >= rateLimit.seconds * 1000 - 0.05) return;
    const { messages, seconds } = rateLimit;
    const taken = (this.#time.now - first).toFixed(3);
    this.fail("the rate is never exceeded", `${messages + 1} in ${taken} ms, ${messages} in ${seconds} s are allowed`);
  }

  /** A message from an earlier call that could always be sent must have begun as well. */
  #checkOrder(call: Call): void {
    // A message on a dead connection waits for a new one, while later messages use other connections.
    if (this.#stats().retried > 0 || [...this.#open].some(({ isResetting }) => isResetting)) return;
    for (const earlier of this.#caller?.calls ?? []) {
      if (earlier === call) return;
      if (earlier.kind !== "send" || earlier.outcome !== "waiting" || earlier.begun.length > 0) continue;
      if (isPrepared(earlier)) continue;
      this.fail("messages begin in the order of the calls", `${call.key} before ${earlier.key}`);
    }
  }

  /** The end of a call by the caller or its deadline fails no other message. */
  #checkNeighbours(ended: Call): void {
    const connection = ended.begun.at(-1)?.connection;
    for (const call of this.#sends) {
      const isHurt = call.error instanceof SMTPServerDisconnected && !isEndedByCaller(call);
      if (!isHurt || call.settledAt !== ended.settledAt || call.begun.at(-1)?.connection !== connection) continue;
      if (connection !== undefined) this.fail("an abort fails no other message", `${ended.key} ends ${call.key}`);
    }
  }

  #checkStats({ connections, connecting, idle, active, limit, queued, sending, sent }: PoolStats): void {
    const { maxConnections } = this.#scenario.pool;
    const isWrong =
      connections + connecting > maxConnections || idle + active !== connections || limit < 1 || limit > maxConnections;
    const { waiting = new Set<Call>(), delivered = 0 } = this.#caller ?? {};
    let unsettled = 0;
    for (const { kind } of waiting) if (kind === "send") unsettled++;
    if (isWrong || active < 0 || queued + sending !== unsettled || sent !== delivered) {
      const stats = JSON.stringify(this.#stats());
      this.fail("stats are true", `${stats}, ${unsettled} calls wait, ${delivered} are delivered`);
    }
  }

  /** Idle connections are closed after `idleTimeout`; its timer may be late, and the event loop busy. */
  #checkIdleness(): void {
    const { blocks, clock, pool } = this.#scenario;
    const slack = 5 + clock.late + blocks.reduce((sum, { ms }) => sum + ms, 0);
    const since = this.#time.now - (pool.idleTimeout ?? 60) * 1000 - slack;
    for (const { isResetting, isUsable, number, passedAt } of this.#open) {
      if (!isUsable || isResetting || passedAt >= since || this.#isBusy(number)) continue;
      this.fail("an idle connection is closed in time", `#${number} is idle since ${passedAt.toFixed(3)} ms`);
    }
  }

  #isBusy(number: number): boolean {
    for (const { begun } of this.#caller?.waiting ?? []) {
      if (begun.some(({ connection }) => connection.number === number)) return true;
    }
    return false;
  }

  /** Whether the process lives as long as a call waits, and no longer. */
  #checkHold(): void {
    const waiting = this.#caller?.waiting ?? new Set<Call>();
    const isQuiet = waiting.size === 0 && this.#caller?.isClosing === false && all(this.#open, isIdle);
    const needsHold = waiting.size > 0 && !this.#scenario.pool.login.includes("token") && all(waiting, isInMemory);
    if (!isQuiet && !needsHold) return;
    const timers = [...this.#time.timers].filter(({ held, owner }) => held && owner === "client");
    const held = [...this.#open].filter(({ stream }) => stream === undefined || stream.held);
    if (isQuiet && timers.length + held.length > 0) {
      const what = [...timers.map(({ ms }) => `a timer of ${ms} ms`), ...held.map(({ number }) => `#${number}`)];
      this.fail("an idle pool keeps no process alive", what.join(", "));
    }
    if (needsHold && timers.length + held.length === 0) {
      this.fail("the process lives while a call waits", keysOf([...waiting]));
    }
  }
}

function all<T>(set: ReadonlySet<T>, condition: (one: T) => boolean): boolean {
  for (const one of set) if (!condition(one)) return false;
  return true;
}

function isIdle({ isUsable }: ClientConnection): boolean {
  return isUsable;
}

/** True if the call's message is still being prepared. */
function isPrepared({ send }: Call): boolean {
  return send?.body.kind === "prepared";
}

function keysOf(calls: readonly Call[]): string {
  return calls.map(({ key }) => key).join(", ");
}

/** True if the caller's signal or the pool's total timeout ended the call. */
function isEndedByCaller({ error }: Call): boolean {
  return error instanceof AbortReason || (error instanceof SMTPTimeoutError && error.phase === "total");
}

function isSigningOn({ releasedAt, isUsable, saidQuit, successes }: ClientConnection): boolean {
  return releasedAt === undefined && !isUsable && !saidQuit && successes === 0;
}

/** True if nothing of the caller keeps the process alive. */
function isInMemory({ send }: Call): boolean {
  return send === undefined || ["text", "bytes", "message", "iterable"].includes(send.body.kind);
}
