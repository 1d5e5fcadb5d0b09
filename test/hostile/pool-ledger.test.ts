/**
 * The pool's ledger (SECURITY.md, rule 9): whatever servers do, a message is accepted as often as its sender is told.
 */
import assert from "node:assert/strict"; // Vitest's expect() is too slow for the comparisons in so many cases.
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ByteStream, SMTPException, SMTPPool, type Transport } from "../../src/index.ts";
import type { PoolOptions } from "../../src/pool/options.ts";
import { memoryTransport } from "../../transports/memory.ts";
import { withPlainStacks } from "../support/callers.ts";
import { misbehaviour, type Rates, seeded } from "../support/chaos.ts";
import { wrapped } from "../support/scripted-wire.ts";
import { type Entry, FuzzServer, GOOD, turn } from "./fuzz-server.ts";
import { watchForLeaks } from "./scenario.ts";

const RUNS = Number(process.env["SMTPLIB_FUZZ_RUNS"] ?? 100);
const SEED = Number(process.env["SMTPLIB_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const RATES: Rates = { refuse: 0.01, dismiss: 0.003, hangUp: 0.02, stall: 0.002, babble: 0.005, dawdle: 0.1 };

/** A message, and the outcome that its sender got. */
type Sent = { readonly id: number; outcome: "pending" | "ok" | "aborted" | SMTPException };

/** A pool, its server, and the outcomes of its messages. */
class Ledger {
  readonly sent: Sent[] = [];
  readonly pool: SMTPPool;
  readonly server: FuzzServer;
  /** The maximum number of simultaneous connections. */
  most = 0;
  #open = 0;

  constructor(server: FuzzServer, options: PoolOptions) {
    this.server = server;
    const connect = memoryTransport((stream) => server.accept(stream));
    const transport: Transport = async (...where) => this.#counted(await connect(...where));
    this.pool = new SMTPPool({ host: "fuzz.test", transport, timeout: 5, ...options });
  }

  #counted(stream: ByteStream): ByteStream {
    const open = ++this.#open;
    this.most = Math.max(this.most, open);
    let ended = false;
    const end = (): void => {
      if (!ended) this.#open--;
      ended = true;
    };
    return wrapped(stream, {
      abort: (reason) => {
        end();
        stream.abort(reason);
      },
      close: () => {
        end();
        return stream.close();
      },
    });
  }

  /** Sends a message. */
  send(signal?: AbortSignal, recipients = 1): void {
    const sent: Sent = { id: this.sent.length, outcome: "pending" };
    this.sent.push(sent);
    const to = Array.from({ length: recipients }, (_, index) => `to${index}-${sent.id}@lab.test`);
    const told = (outcome: Sent["outcome"]): void => {
      assert.equal(sent.outcome, "pending", "settled once");
      sent.outcome = outcome;
    };
    this.pool.sendmail(`from-${sent.id}@client.test`, to, `Id: ${sent.id}\r\n\r\nhello\r\n`, [], [], { signal }).then(
      () => told("ok"),
      (error: unknown) => told(error instanceof SMTPException ? error : "aborted"),
    );
  }

  /** Lets time pass until a promise is settled; fails if it never is. */
  async pass(until: Promise<unknown>): Promise<void> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    until.then(done, done);
    const patience = Date.now() + 15_000;
    for (let turns = 0; !settled; turns++) {
      await turn();
      if (turns % 30 === 29) await vi.advanceTimersByTimeAsync(500);
      if (Date.now() > patience) throw new Error(`it does not end: ${JSON.stringify(this.pool.stats)}`);
    }
  }

  /** Compares each message's outcome with the server's ledger. */
  judge(): void {
    const entries = new Map<number, Entry[]>();
    for (const entry of this.server.ledger) {
      if (entry.id !== undefined) entries.set(entry.id, [...(entries.get(entry.id) ?? []), entry]);
    }
    assert.deepEqual(this.server.violations, []);
    for (const { id, outcome } of this.sent) {
      const taken = (entries.get(id) ?? []).filter((entry) => entry.taken).length;
      assert.ok(taken <= 1, `message ${id} was taken ${taken} times`);
      if (outcome === "pending") throw new Error(`message ${id} was never settled`);
      if (outcome === "ok") assert.equal(taken, 1, `message ${id}: ok`);
      else if (outcome !== "aborted") {
        assert.notEqual(outcome.delivery, undefined, String(outcome));
        if (outcome.delivery !== "unknown") assert.equal(taken, 0, `message ${id}: ${outcome}`);
      }
    }
  }
}

// Fakes time: a pool waits before it connects to an overloaded server again.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

describe("[pool]", () => {
  watchForLeaks();

  it.each([
    ["in lock-step", false, false, false],
    ["pipelined", true, false, true],
    ["by BDAT", true, true, true],
    ["by BDAT in one flight", true, true, "eager"],
  ] as const)(
    `1,000 messages, %s, each taken as often as its sender is told (seed ${SEED})`,
    async (_, pipelining, chunking, client) => {
      const draw = misbehaviour(seeded(SEED), RATES);
      const server = new FuzzServer({ lmtp: false, pipelining, chunking, behaviours: [], draw });
      const ledger = new Ledger(server, {
        maxConnections: 8,
        maxMessages: 50,
        maxQueue: 20,
        pipelining: client,
        chunking,
      });
      for (let i = 0; i < 1000; i++) {
        await ledger.pass(ledger.pool.ready());
        ledger.send();
      }
      await ledger.pass(ledger.pool.drain());
      const { sent, failed, retried } = ledger.pool.stats;
      await ledger.pass(ledger.pool.close());
      ledger.judge();
      expect(sent + failed).toBe(1000);
      // Enough messages must have failed, and enough must have been sent.
      expect(sent).toBeGreaterThan(client === "eager" ? 50 : 500);
      expect(failed).toBeGreaterThan(10);
      if (client !== "eager") expect(retried).toBeGreaterThan(0);
      expect(ledger.most).toBeLessThanOrEqual(8);
    },
  );

  it(`loses no connection's place, whatever happens, in ${RUNS} cases (seed ${SEED})`, {
    timeout: 30_000 + RUNS * 100,
  }, async () => {
    await withPlainStacks(() => fc.assert(fc.asyncProperty(cases, playCase), { numRuns: RUNS, seed: SEED }));
  });
});

/** A step of a case. */
type Step = { readonly does: "send" | "abort" | "wait" | "turn" | "check"; readonly signal: boolean };

type Case = {
  readonly seed: number;
  readonly faults: number;
  readonly pipelining: boolean;
  readonly chunking: boolean;
  readonly options: PoolOptions;
  readonly steps: readonly Step[];
};

const cases: fc.Arbitrary<Case> = fc.record({
  seed: fc.nat(),
  faults: fc.nat(60),
  pipelining: fc.boolean(),
  chunking: fc.boolean(),
  options: fc.record({
    pipelining: fc.constantFrom<PoolOptions["pipelining"][]>(true, true, "eager", false),
    maxConnections: fc.integer({ min: 1, max: 4 }),
    maxMessages: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    maxLifetime: fc.option(fc.constantFrom(0.5, 2), { nil: undefined }),
    idleTimeout: fc.constantFrom(0.5, 60),
    rateLimit: fc.option(fc.record({ messages: fc.integer({ min: 1, max: 3 }), seconds: fc.constantFrom(0.2, 1) }), {
      nil: undefined,
    }),
    timeouts: fc.record({ total: fc.option(fc.constantFrom(0.5, 5), { nil: undefined }) }),
    auth: fc.option(fc.constant({ user: "user", password: "password" }), { nil: undefined }),
    starttls: fc.constant("never" as const),
  }),
  steps: fc.array(
    fc.record({
      does: fc.constantFrom<Step["does"][]>("send", "send", "send", "send", "abort", "wait", "turn", "turn", "check"),
      signal: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
    }),
    { minLength: 1, maxLength: 30 },
  ),
});

const MANY: Rates = { refuse: 0.05, dismiss: 0.03, hangUp: 0.1, stall: 0.03, babble: 0.03, dawdle: 0.2 };

async function playCase({ seed, faults, pipelining, chunking, options, steps }: Case): Promise<void> {
  let left = faults;
  const draw = misbehaviour(seeded(seed), MANY);
  const server = new FuzzServer({
    lmtp: false,
    pipelining,
    chunking,
    behaviours: [],
    draw: () => (left-- > 0 ? draw() : GOOD),
  });
  const ledger = new Ledger(server, options);
  let controller = new AbortController();
  const checks: Promise<unknown>[] = [];
  for (const { does, signal } of steps) {
    if (does === "send") ledger.send(signal ? controller.signal : undefined);
    else if (does === "check") checks.push(ledger.pool.check({ signal: controller.signal }).catch(() => {}));
    else if (does === "turn") await turn();
    else if (does === "wait") await vi.advanceTimersByTimeAsync(300);
    else {
      controller.abort();
      controller = new AbortController();
    }
  }
  await ledger.pass(Promise.all([ledger.pool.drain(), ...checks]));
  // The server works again: a lost place would be noticed now.
  left = 0;
  await ledger.pass(turn().then(() => vi.advanceTimersByTimeAsync(120_000)));
  const before = ledger.sent.length;
  const { maxConnections = 1 } = options;
  if (options.timeouts?.total === undefined) {
    for (let i = 0; i < maxConnections * 2; i++) ledger.send();
    await ledger.pass(ledger.pool.drain());
    const late = ledger.sent.slice(before).map(({ outcome }) => (outcome === "ok" ? "ok" : String(outcome)));
    expect(late.filter((one) => one !== "ok")).toEqual([]);
  }
  expect(ledger.most).toBeLessThanOrEqual(maxConnections + steps.filter(({ does }) => does === "check").length);
  expect(ledger.pool.stats).toMatchObject({ queued: 0, sending: 0, connecting: 0 });
  await ledger.pass(ledger.pool.close());
  expect(ledger.pool.stats).toMatchObject({ connections: 0, idle: 0, active: 0 });
  await ledger.pass(server.finished());
  ledger.judge();
}
