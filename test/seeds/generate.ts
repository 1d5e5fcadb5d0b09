/** Generates the scenario of a seed. */
import { Random } from "./random.ts";
import type {
  Action,
  Block,
  BodyPlan,
  FaultKind,
  Faults,
  Front,
  Login,
  PoolPlan,
  Scenario,
  ServerPlan,
  Stage,
  Weather,
} from "./scenario.ts";
import type { ClockFaults } from "./virtual-time.ts";

/** The main subject of a scenario. */
type Theme = "calm" | "faults" | "outage" | "login" | "overload" | "shutdown" | "everything";

/** Makes the scenario of a seed. */
export function generate(seed: number): Scenario {
  const random = new Random(seed);
  const theme = random.pick<Theme>("calm", "faults", "faults", "outage", "login", "overload", "shutdown", "everything");
  // The period over which the caller's actions are spread: from one moment to many round trips and pauses.
  const span = random.pick(0, 5, 50, 500, 5_000, 30_000);
  const actions = actionsOf(random, theme, span);
  return {
    seed,
    pool: poolOf(random, theme),
    server: serverOf(random, theme),
    fronts: is(theme, "outage", "login", "everything") || random.chance(0.2) ? frontsOf(random, theme, span) : [],
    faults: is(theme, "faults", "everything") || random.chance(0.3) ? faultsOf(random, theme) : [],
    clock: clockOf(random),
    blocks: random.chance(0.1) ? blocksOf(random, span) : [],
    actions,
    probes: random.pick(1, 1, 2),
    goodAt: span * random.between(0.3, 1.5) + random.pick(0, 100, 1_000, 1_000, 10_000),
  };
}

function is(theme: Theme, ...themes: readonly Theme[]): boolean {
  return themes.includes(theme);
}

function poolOf(random: Random, theme: Theme): PoolPlan {
  const login = loginOf(random, theme);
  return {
    protocol: random.chance(0.15) ? "lmtp" : "smtp",
    maxConnections: random.pick(1, 1, 2, 2, 3, 4),
    maxMessages: random.chance(0.3) ? 1 + random.int(4) : undefined,
    maxQueue: random.chance(0.2) ? 1 + random.int(4) : undefined,
    idleTimeout: random.chance(0.5) ? random.pick(0.01, 0.1, 1, 10) : undefined,
    maxLifetime: random.chance(0.15) ? random.pick(0.05, 0.5, 5, 60) : undefined,
    reconnectFor: random.chance(0.6) ? random.pick(0, 0.5, 2, 10) : undefined,
    rateLimit: random.chance(theme === "calm" ? 0.5 : 0.15)
      ? { messages: 1 + random.int(4), seconds: random.pick(0.01, 0.1, 1, 10) }
      : undefined,
    pipelining: random.pick<PoolPlan["pipelining"]>(undefined, undefined, undefined, true, false, "eager"),
    chunking: random.pick(undefined, undefined, true, false),
    timeout: random.chance(0.7) ? random.pick(0.5, 2, 10) : undefined,
    total: random.chance(0.12) ? random.pick(0.05, 0.5, 5, 60) : undefined,
    login,
  };
}

function loginOf(random: Random, theme: Theme): Login {
  if (theme === "login") {
    return random.pick("password", "password", "password", "wrong", "wrong", "token", "stale token", "failing token");
  }
  return random.chance(0.25) ? random.pick("password", "password", "token") : "none";
}

function serverOf(random: Random, theme: Theme): ServerPlan {
  const overload = theme === "overload";
  const latency = random.pick(0, 0.1, 1, 20, 100);
  return {
    pipelining: random.chance(0.7),
    chunking: random.chance(0.4),
    mechanisms: random.pick(["PLAIN", "LOGIN", "XOAUTH2"], ["LOGIN", "XOAUTH2"], ["CRAM-MD5", "XOAUTH2", "PLAIN"]),
    mailMax: random.chance(0.08) ? 1 + random.int(3) : undefined,
    rcptMax: random.chance(0.08) ? 1 + random.int(3) : undefined,
    maxConnections: random.chance(overload ? 0.6 : 0.05) ? 1 + random.int(2) : Number.POSITIVE_INFINITY,
    maxMessages: random.chance(overload ? 0.4 : 0.1) ? 1 + random.int(4) : Number.POSITIVE_INFINITY,
    // A server that works waits longer than the round trips of a client that works.
    idleTimeout: Math.max(random.pick(300_000, 300_000, 10_000, 1_000, 100), 20 * latency),
    latency: [latency * random.float(), latency],
    chunkSize: random.pick(65_536, 65_536, 65_536, 65_536, 40, 11),
    highWaterMark: random.pick(65_536, 65_536, 65_536, 200),
  };
}

const WEATHERS: readonly [Weather, ...Weather[]] = [
  "refused",
  "refused",
  "unknown host",
  "temporarily unknown host",
  "connect hangs",
  "slow connect",
  "greeting hangs",
  "reset",
  "421 greeting",
  "451 greeting",
  "554 greeting",
  "421 EHLO",
  "451 EHLO",
  "closed at EHLO",
  "dead at MAIL",
  "dead at MAIL",
];

const LOGIN_WEATHERS: readonly [Weather, ...Weather[]] = [
  "454 AUTH",
  "535 AUTH",
  "535 AUTH",
  "closed at AUTH",
  "554 greeting",
  "refused",
  "accepted",
];

function frontsOf(random: Random, theme: Theme, span: number): Front[] {
  const fronts: Front[] = [];
  let at = random.chance(0.7) ? 0 : random.between(0, span);
  const last = random.pick(100, 1_000, 10_000);
  for (let left = 1 + random.int(3); left > 0; left--) {
    const weather = theme === "login" ? random.pick(...LOGIN_WEATHERS) : random.pick(...WEATHERS);
    fronts.push({ at, weather, probability: random.pick(1, 1, 0.5, 0.2) });
    at += random.between(0, Math.max(span, last) / 2);
    if (random.chance(0.5)) fronts.push({ at, weather: "accepted", probability: 1 });
    at += random.between(0, Math.max(span, last) / 4);
  }
  return fronts;
}

const KINDS: readonly FaultKind[] = [
  "4yz",
  "5yz",
  "throttle",
  "421",
  "drop before",
  "drop after",
  "stall",
  "freeze",
  "slow",
  "garbage",
  "cut",
  "stray",
];

const STAGES: readonly Stage[] = [
  "greeting",
  "EHLO",
  "AUTH",
  "MAIL",
  "RCPT",
  "DATA",
  "content",
  "BDAT",
  "end",
  "RSET",
  "NOOP",
  "QUIT",
  "idle",
];

function faultsOf(random: Random, theme: Theme): Faults[] {
  const sets: Faults[] = [];
  for (let left = random.pick(1, 1, 2, 3); left > 0; left--) {
    // One kind of fault at one point repeatedly, or any fault anywhere.
    const single = random.chance(0.5);
    sets.push({
      probability: single ? random.pick(1, 0.5, 0.2) : random.pick(0.02, 0.05, 0.1, 0.2),
      kinds:
        theme === "overload" ? ["throttle", "421", "4yz"] : single ? some(random, KINDS, 1) : some(random, KINDS, 6),
      stages: single ? some(random, STAGES, 1) : some(random, STAGES, 9),
    });
  }
  return sets;
}

function some<T>(random: Random, all: readonly T[], count: number): T[] {
  const left = [...all];
  return Array.from({ length: count }, () => left.splice(random.int(left.length), 1)).flat();
}

function clockOf(random: Random): ClockFaults {
  return {
    early: random.pick(0, 0, 1),
    late: random.pick(0, 0, 0, 15),
    creep: random.pick(0, 0, 0.001),
  };
}

function blocksOf(random: Random, span: number): Block[] {
  return Array.from({ length: 1 + random.int(3) }, () => ({
    at: random.between(0, Math.max(span, 100)),
    ms: random.pick(5, 100, 2_000, 70_000),
  }));
}

function actionsOf(random: Random, theme: Theme, span: number): Action[] {
  const actions: Action[] = [];
  const moment = (): { at: number; turns: number } => ({
    at: random.chance(0.3) ? 0 : random.between(0, span),
    turns: random.chance(0.3) ? random.int(40) : 0,
  });
  const messages = random.pick(1, 1, 1, 2, 2, 2, 3, 3, 4, 7);
  for (let id = 0; id < messages; id++) actions.push(...messageOf(random, theme, moment(), span, id));
  if (random.chance(is(theme, "login", "shutdown") ? 0.3 : 0.1)) {
    const signal = random.chance(0.3);
    const id = messages;
    const { at, turns } = moment();
    actions.push({ at, turns, does: "check", id, signal });
    if (signal) actions.push({ at: at + random.between(0, Math.max(span / 4, 50)), turns, does: "abort", id });
  }
  if (random.chance(0.15)) actions.push({ ...moment(), does: "drain" });
  if (random.chance(theme === "shutdown" ? 0.7 : 0.1)) actions.push({ ...moment(), does: "close" });
  if (random.chance(theme === "shutdown" ? 0.25 : 0.03)) actions.push({ ...moment(), does: "abort all" });
  return actions.sort((one, other) => one.at - other.at);
}

function messageOf(
  random: Random,
  theme: Theme,
  when: { at: number; turns: number },
  span: number,
  id: number,
): Action[] {
  const body = bodyOf(random);
  // Only the caller can end a call whose own source hangs.
  const isEndless = body.hangs !== undefined;
  const signal = isEndless || random.chance(theme === "shutdown" ? 0.4 : 0.15);
  const send: Action = {
    ...when,
    does: "send",
    id,
    recipients: random.pick(1, 1, 1, 2, 3),
    body,
    method: random.chance(0.3) ? "deliver" : "sendmail",
    signal,
    ready: random.chance(0.3),
    insists: random.chance(0.2),
  };
  if (!signal || (random.chance(0.3) && !isEndless)) return [send];
  const delay = random.pick(0, random.between(0, 5), random.between(0, 500), random.between(0, Math.max(span, 10)));
  return [send, { at: when.at + delay, turns: random.int(60), does: "abort", id }];
}

function bodyOf(random: Random): BodyPlan {
  const kind = random.pick<BodyPlan["kind"]>(
    "text",
    "text",
    "text",
    "bytes",
    "iterable",
    "async",
    "stream",
    "message",
    "prepared",
  );
  const lines = random.pick(1, 2, 4, 30);
  const pause = random.chance(0.5) ? 0 : random.pick(0.1, 10, 400);
  if (kind === "text" || kind === "bytes" || kind === "message") return { kind, lines, pause: 0 };
  const fails = random.chance(0.08) ? random.int(3) : undefined;
  const hangs = kind !== "iterable" && random.chance(0.06) ? random.int(3) : undefined;
  return { kind, lines, pause, fails, hangs };
}
