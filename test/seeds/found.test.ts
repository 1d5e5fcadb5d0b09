/**
 * Scenarios in which the pool once broke a guarantee: the smallest ones, as `scripts/seeds.mjs` has shrunk them.
 *
 * @isolated Their clock replaces the globals: timers of another file must not see it.
 */
import { expect, it } from "vitest";
import { play, prepare } from "./play.ts";
import type { Action, Scenario } from "./scenario.ts";

it("a single try outlasts a 421 of a server that counts a connection that has just ended", async () => {
  const { trace, violations } = await played({
    seed: 21_025,
    pool: { ...POOL, maxConnections: 2, reconnectFor: 0 },
    server: { ...SERVER, maxConnections: 1, maxMessages: 1 },
    actions: [send(0, 3_223.886_818_159_371_6, "text", 1), send(1, 4_561.633_430_421_352, "iterable", 2)],
    probes: 2,
  });
  expect(violations).toEqual([]);
  expect(trace.filter((line) => line.endsWith(": ok"))).toHaveLength(4);
  // The line arrives in pieces of eleven bytes.
  expect(trace.filter((line) => line.includes('S: "421 4.7.0 t'))).toHaveLength(2);
});

it("a message has the whole of reconnectFor, whatever failed before it came and was not followed by a delivery", async () => {
  const { trace, violations } = await played({
    seed: 89_355,
    pool: { ...POOL, maxConnections: 2, reconnectFor: 10, timeout: 0.5 },
    server: { ...SERVER, pipelining: false, maxConnections: 1, latency: [1, 1], chunkSize: 40 },
    fronts: [
      { at: 0, weather: "reset", probability: 1 },
      { at: 423.580_803_442_746_4, weather: "accepted", probability: 1 },
    ],
    faults: [{ probability: 1, kinds: ["stray"], stages: ["content"] }],
    actions: [send(0, 120.143_378_269_858_66, "text", 1, true)],
    probes: 2,
    goodAt: 10_724.440_565_612_167,
  });
  expect(violations).toEqual([]);
  expect(trace.filter((line) => line.endsWith(": ok"))).toHaveLength(2);
});

const POOL: Scenario["pool"] = {
  protocol: "smtp",
  maxConnections: 1,
  maxMessages: undefined,
  maxQueue: undefined,
  idleTimeout: undefined,
  maxLifetime: undefined,
  reconnectFor: undefined,
  rateLimit: undefined,
  pipelining: undefined,
  chunking: undefined,
  timeout: undefined,
  total: undefined,
  login: "none",
};

const SERVER: Scenario["server"] = {
  pipelining: true,
  chunking: false,
  mechanisms: ["LOGIN"],
  mailMax: undefined,
  rcptMax: undefined,
  maxConnections: Number.POSITIVE_INFINITY,
  maxMessages: Number.POSITIVE_INFINITY,
  idleTimeout: 300_000,
  latency: [0.034_750_343_835_912_65, 0.1],
  chunkSize: 11,
  highWaterMark: 65_536,
};

function send(id: number, at: number, kind: "text" | "iterable", lines: number, insists = false): Action {
  const body = { kind, lines, pause: 0, fails: undefined, hangs: undefined };
  return {
    at,
    turns: 0,
    does: "send",
    id,
    recipients: 1,
    body,
    method: "sendmail",
    signal: false,
    ready: false,
    insists,
  };
}

function played(
  scenario: Pick<Scenario, "seed" | "pool" | "server" | "actions" | "probes"> & Partial<Scenario>,
): ReturnType<typeof play> {
  const clock = { early: 0, late: 0, creep: 0 };
  const restore = prepare();
  return play({ fronts: [], faults: [], blocks: [], clock, goodAt: 38_215.908_814_221_61, ...scenario }, true).finally(
    restore,
  );
}
