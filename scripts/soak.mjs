/**
 * The soak: 200,000 messages through a pool of 20 connections, to servers on loopback that misbehave at random, on each
 * runtime. The server must have accepted each message once if the caller was told so, and never if the caller was told
 * the opposite; the judge must find no violation; memory must stay flat, and no socket or timer may be left. Prints a
 * table in Markdown. `npm run soak -- --messages 5000 --connections 20 --seed 1 --runtimes node,bun`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundle, printTable, resultOf } from "./programs.mjs";
import { commands } from "./runtimes.mjs";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "200000" },
    connections: { type: "string", default: "20" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    runtimes: { type: "string", default: "node,deno,bun" },
  },
});

/** How much the heap may grow between the first fifth and the end, in megabytes. */
const MARGIN = 8;

const folder = mkdtempSync(join(root, "node_modules/.soak-"));
let failed = false;
try {
  await bundle(["test/soak/soak.ts"], folder);
  console.log(`seed ${values.seed}: ${values.messages} messages, ${values.connections} connections`);
  const names = values.runtimes.split(",");
  const results = [];
  for (const name of names) results.push(await soak(name));
  print(names, results);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

async function soak(name) {
  const command = [
    ...commands("--expose-gc")[name],
    join(folder, "soak.mjs"),
    values.messages,
    values.connections,
    values.seed,
  ];
  // A process that does not end has a socket or a timer left.
  const result = await resultOf(name, command, 60_000 + Number(values.messages) * 5);
  failed ||= result === undefined;
  return result;
}

function print(names, results) {
  const rows = {
    messages: (r) => r.messages,
    "delivered (ok)": (r) => r.ok,
    rejected: (r) => r.rejected,
    "not-sent": (r) => r.notSent,
    unknown: (r) => r.unknown,
    "sent again, by a new connection": (r) => r.retried,
    LOST: (r) => good(r.lost, r.lost === 0),
    DOUBLED: (r) => good(r.doubled, r.doubled === 0),
    miscounted: (r) => good(r.miscounted, r.miscounted === 0),
    "violations of the RFCs": (r) => good(r.violations.length, r.violations.length === 0),
    "connections judged": (r) => good(r.judged.connections, r.judged.connections > 0),
    "transactions judged": (r) => good(r.judged.transactions, r.judged.transactions >= r.ok),
    "reports judged": (r) => good(r.judged.reports, r.judged.reports === r.messages),
    connections: (r) => r.connections,
    "at a time, at most": (r) => good(r.mostAtATime, r.mostAtATime <= Number(values.connections)),
    "heap after 1/5, MB": (r) => settledHeap(r).toFixed(1),
    "heap at the end, MB": (r) => good(r.memory.at(-1).toFixed(1), r.memory.at(-1) <= settledHeap(r) + MARGIN),
    "sockets left": (r) => good(r.left.clientSockets, r.left.clientSockets === 0),
    "timers left": (r) => good(r.left.timers, r.left.timers === 0),
    seconds: (r) => r.seconds.toFixed(1),
    "messages a second": (r) => Math.round(r.messages / r.seconds),
  };
  printTable(rows, names, results, { titleWidth: 32, cellWidth: 9 });
  for (const { violations } of results.filter((r) => r)) for (const one of violations) console.log(JSON.stringify(one));
  console.log(failed ? "FAILED" : "none lost, none doubled");
}

function settledHeap({ memory }) {
  return Math.max(...memory.slice(0, 3));
}

function good(value, isGood) {
  failed ||= !isGood;
  return isGood ? value : `${value} (!)`;
}
