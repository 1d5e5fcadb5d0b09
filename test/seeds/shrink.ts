/** Makes a failing scenario smaller: removes everything that the failure does not need. */
import type { Action, BodyPlan, PoolPlan, Scenario, ServerPlan } from "./scenario.ts";

/** Whether a scenario still fails in the same way. */
export type StillFails = (scenario: Scenario) => Promise<boolean>;

/** The maximum number of scenarios to try. */
const MOST_TRIES = 1_500;

/** The smallest scenario that still fails, found by removing one thing after the other. */
export async function shrink(scenario: Scenario, stillFails: StillFails): Promise<Scenario> {
  let smallest = scenario;
  let tries = 0;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const simpler of simplerThan(smallest)) {
      if (tries++ >= MOST_TRIES) return smallest;
      if (!(await stillFails(simpler))) continue;
      smallest = simpler;
      isSmaller = true;
      break;
    }
  }
  return smallest;
}

/** The scenarios that lack one thing, or have a simpler one in its place; the greatest simplifications come first. */
function* simplerThan(scenario: Scenario): Generator<Scenario> {
  const { actions, blocks, clock, faults, fronts, pool, server } = scenario;
  for (const message of actions.filter(({ does }) => does === "send")) {
    yield { ...scenario, actions: actions.filter((action) => !concerns(action, message)) };
  }
  for (const fewer of without(actions)) yield { ...scenario, actions: fewer };
  for (const fewer of without(faults)) yield { ...scenario, faults: fewer };
  for (const fewer of without(fronts)) yield { ...scenario, fronts: fewer };
  for (const fewer of without(blocks)) yield { ...scenario, blocks: fewer };
  if (clock.early + clock.late + clock.creep > 0) yield { ...scenario, clock: { early: 0, late: 0, creep: 0 } };
  if (scenario.probes > 0) yield { ...scenario, probes: scenario.probes - 1 };
  for (const simpler of simplerPools(pool)) yield { ...scenario, pool: simpler };
  for (const simpler of simplerServers(server)) yield { ...scenario, server: simpler };
  for (const [index, set] of faults.entries()) {
    for (const kinds of without(set.kinds)) yield { ...scenario, faults: faults.with(index, { ...set, kinds }) };
    for (const stages of without(set.stages)) yield { ...scenario, faults: faults.with(index, { ...set, stages }) };
  }
  for (const [index, action] of actions.entries()) {
    for (const simpler of simplerActions(action)) yield { ...scenario, actions: actions.with(index, simpler) };
  }
}

function concerns(action: Action, message: Action): boolean {
  return "id" in action && "id" in message && action.id === message.id;
}

function without<T>(all: readonly T[]): T[][] {
  return all.map((_, left) => all.filter((_, index) => index !== left));
}

function* simplerPools(pool: PoolPlan): Generator<PoolPlan> {
  if (pool.protocol === "lmtp") yield { ...pool, protocol: "smtp" };
  if (pool.login !== "none") yield { ...pool, login: "none" };
  if (pool.maxConnections > 1) yield { ...pool, maxConnections: pool.maxConnections - 1 };
  for (const name of OPTIONAL) if (pool[name] !== undefined) yield { ...pool, [name]: undefined };
}

const OPTIONAL = [
  "maxMessages",
  "maxQueue",
  "idleTimeout",
  "maxLifetime",
  "reconnectFor",
  "rateLimit",
  "pipelining",
  "chunking",
  "timeout",
  "total",
] as const;

function* simplerServers(server: ServerPlan): Generator<ServerPlan> {
  const simple: Partial<ServerPlan> = {
    mailMax: undefined,
    rcptMax: undefined,
    maxConnections: Number.POSITIVE_INFINITY,
    maxMessages: Number.POSITIVE_INFINITY,
    idleTimeout: 300_000,
    chunkSize: 65_536,
    highWaterMark: 65_536,
    chunking: false,
    pipelining: false,
  };
  for (const [name, value] of Object.entries(simple)) {
    if (Reflect.get(server, name) !== value) yield { ...server, [name]: value };
  }
  if (server.latency[0] !== 1 || server.latency[1] !== 1) yield { ...server, latency: [1, 1] };
}

const SIMPLE_BODY: BodyPlan = { kind: "text", lines: 1, pause: 0 };

function* simplerActions(action: Action): Generator<Action> {
  if (action.turns > 0) yield { ...action, turns: 0 };
  if (action.does !== "send") return;
  const { body, insists, method, ready, recipients, signal } = action;
  if (body.kind !== "text" || body.lines > 1) yield { ...action, body: SIMPLE_BODY };
  if (body.fails !== undefined) yield { ...action, body: { ...body, fails: undefined } };
  if (recipients > 1) yield { ...action, recipients: 1 };
  if (method !== "sendmail") yield { ...action, method: "sendmail" };
  if (ready) yield { ...action, ready: false };
  if (insists) yield { ...action, insists: false };
  if (signal && body.hangs === undefined) yield { ...action, signal: false };
}
