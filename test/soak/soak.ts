/**
 * The soak of one runtime: many messages through one pool to servers that misbehave at random, under the judge of the
 * wire. Prints its counts as JSON, and ends by itself if the pool left nothing behind. `scripts/soak.mjs` runs it.
 *
 * The seed determines the misbehaviour for each message, and the pool's random numbers. Which connection carries a
 * message, and which other messages are lost with a connection, depends on the machine.
 */
import { once } from "node:events";
import net from "node:net";
import { type Endpoint, SMTPException, SMTPPool, type Transport } from "../../src/index.ts";
import { defaultTransport } from "../../src/runtime.ts";
import { FuzzServer } from "../hostile/fuzz-server.ts";
import type { Violation } from "../judge/transcript.ts";
import {
  judgeEnvelope,
  reportOfDelivery,
  reportOfError,
  takeViolations,
  watchTransport,
  whatWasSeen,
} from "../judge/watch.ts";
import { misbehaviourByMessage, type Rates, seeded } from "../support/chaos.ts";
import { type Ending, socketWire } from "../support/scripted-wire.ts";

/** The probability of each kind of bad reply. A message gets four replies. */
const RATES: Rates = {
  refuse: 1 / 800,
  dismiss: 1 / 20_000,
  hangUp: 1 / 800,
  stall: 1 / 50_000,
  babble: 1 / 4_000,
  dawdle: 1 / 50,
};

const [messages = 0, connections = 0, seed = 0] = process.argv.slice(2).map(Number);

const OUTCOMES = ["pending", "ok", "rejected", "not-sent", "unknown"] as const;
const outcomes = new Uint8Array(messages);
const taken = new Uint8Array(messages);

// The pool's back-off uses random numbers.
Math.random = seeded(seed);
const draw = misbehaviourByMessage(seed, RATES);
const servers = [
  { pipelining: false, chunking: false },
  { pipelining: true, chunking: false },
  { pipelining: true, chunking: true },
].map(
  (offers) =>
    new FuzzServer({
      ...offers,
      lmtp: false,
      behaviours: [],
      draw,
      onEntry: ({ id, taken: yes }) => {
        if (id !== undefined && yes) taken[id] = (taken[id] ?? 0) + 1;
      },
    }),
);
const sockets = new Set<net.Socket>();
let opened = 0;
const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
  servers[opened++ % servers.length]?.accept(serverStream(socket));
});
listener.listen(0, "127.0.0.1");
await once(listener, "listening");
const address = listener.address();
const port = typeof address === "object" && address !== null ? address.port : 0;

const endpoint: Endpoint = { host: "127.0.0.1", port };
const judged = watchTransport(await defaultTransport({ endpoint, options: {} }));
let clientSockets = 0;
let mostClientSockets = 0;
const transport: Transport = async (where, options) => {
  const stream = await judged(where, options);
  mostClientSockets = Math.max(mostClientSockets, ++clientSockets);
  let open = true;
  const gone = (): void => {
    if (open) clientSockets--;
    open = false;
  };
  const { close, abort } = stream;
  stream.close = () => {
    gone();
    return close.call(stream);
  };
  stream.abort = (reason) => {
    gone();
    abort.call(stream, reason);
  };
  return stream;
};

const pool = new SMTPPool({
  host: "127.0.0.1",
  port,
  transport,
  starttls: "never",
  timeout: 1,
  maxConnections: connections,
  maxMessages: 5_000,
  maxQueue: 500,
});

const began = performance.now();
const broken: Violation[] = [];
const memory: number[] = [];
for (let id = 0; id < messages; id++) {
  await pool.ready();
  void send(id);
  if (id % Math.ceil(messages / 10) === 0) memory.push(megabytes());
}
await pool.drain();
const { sent, failed, retried, limit } = pool.stats;
await pool.close();
const seconds = (performance.now() - began) / 1000;
await Promise.all(servers.map((server) => server.finished()));
listener.close();
while (sockets.size > 0) await new Promise((resolve) => setImmediate(resolve));
memory.push(megabytes());
collectViolations();

const count = (what: (outcome: string | undefined, times: number) => boolean): number => {
  let sum = 0;
  for (let id = 0; id < messages; id++) if (what(OUTCOMES[outcomes[id] ?? 0], taken[id] ?? 0)) sum++;
  return sum;
};
console.log(
  JSON.stringify({
    messages,
    ok: count((outcome) => outcome === "ok"),
    rejected: count((outcome) => outcome === "rejected"),
    notSent: count((outcome) => outcome === "not-sent"),
    unknown: count((outcome) => outcome === "unknown"),
    lost: count((outcome, times) => outcome === "pending" || (outcome === "ok" && times === 0)),
    doubled: count((outcome, times) => times > 1 || ((outcome === "rejected" || outcome === "not-sent") && times > 0)),
    miscounted: Math.abs(messages - sent - failed),
    violations: [...servers.flatMap(({ violations }) => violations), ...broken].slice(0, 5),
    judged: whatWasSeen(),
    retried,
    limit,
    connections: opened,
    mostAtATime: mostClientSockets,
    seconds,
    memory,
    left: { clientSockets, timers: timers() },
  }),
);

async function send(id: number): Promise<void> {
  const from = `from-${id}@client.test`;
  const to = [`to-${id}@lab.test`];
  const body = `Id: ${id}\r\n\r\n${"A line of the message that is as long as most lines are.\r\n".repeat(10)}`;
  try {
    const delivery = await pool.deliver({ from, to, body });
    judgeEnvelope(from, to, reportOfDelivery(delivery));
    settle(id, "ok");
  } catch (error) {
    judgeEnvelope(from, to, reportOfError(error));
    settle(id, (error instanceof SMTPException && error.delivery) || "unknown");
  }
  if (id % 500 === 0) collectViolations();
}

function collectViolations(): void {
  broken.push(...takeViolations());
}

function settle(id: number, outcome: (typeof OUTCOMES)[number]): void {
  // A message that settles twice counts as doubled, too.
  if (outcomes[id] !== 0) taken[id] = 2;
  outcomes[id] = OUTCOMES.indexOf(outcome);
}

/** Only Node reports them; on other runtimes, the process would not end. */
function timers(): number {
  if ("Deno" in globalThis || "Bun" in globalThis) return 0;
  return process.getActiveResourcesInfo().filter((kind) => /Timeout|TCP/.test(kind)).length;
}

/** The heap in use after a garbage collection. */
function megabytes(): number {
  const bun: unknown = Reflect.get(globalThis, "Bun");
  const [owner, args] = typeof bun === "object" && bun !== null ? [bun, [true]] : [globalThis, []];
  const collect: unknown = Reflect.get(owner, "gc");
  if (typeof collect === "function") Reflect.apply(collect, owner, args);
  return process.memoryUsage().heapUsed / 2 ** 20;
}

function serverStream(socket: net.Socket): Parameters<FuzzServer["accept"]>[0] {
  const wire = socketWire(socket);
  let ending: Ending | undefined;
  return {
    async read() {
      if (ending !== undefined) return null;
      const octets = await wire.read();
      if (typeof octets !== "string") return octets;
      ending = octets;
      return null;
    },
    write: (octets) => wire.write(octets),
    end: () => wire.halfClose(),
    abort: () => wire.reset(),
    async close() {
      wire.halfClose();
      wire.destroy();
    },
  };
}
