/**
 * `npm run bench:counts`: counts writes, bytes and memory of a message, and compares them with `counts/budget.json`. It
 * measures no times: the same sources give the same figures on any machine. `-- --update` writes the budget.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SMTP } from "smtplib";
import { memoryTransport } from "smtplib/transports/memory";
import { countCopies, countingTransport, memoryTaken } from "./counts/counting.mjs";
import { DEFAULTS, SCENARIOS } from "./counts/scenarios.mjs";
import { Peer } from "./counts/server.mjs";
import { heapOfWaiting } from "./counts/waiting.mjs";

/** How much the heap may exceed the budget: it varies by a fifth between runs and engines. */
const SLACK = 1.25;

const file = join(import.meta.dirname, "counts/budget.json");
const budget = JSON.parse(readFileSync(file, "utf8"));
const counted = {};
for (const [name, scenario] of Object.entries(SCENARIOS)) counted[name] = await count({ ...DEFAULTS, ...scenario });
counted["waiting in a pool"] = { heap: await heapOfWaiting() };

if (process.argv.includes("--update")) writeFileSync(file, `${JSON.stringify(budgetFor(counted), null, 2)}\n`);
else for (const [name, figures] of Object.entries(counted)) compare(name, figures, budget[name] ?? {});

/** The cost of a message of this scenario. */
async function count(scenario) {
  const { messages } = scenario;
  const counts = { writes: 0, flights: 0, copied: 0 };
  const smtp = await open(scenario, counts);
  // Code that is loaded, compiled and cached on first use does not count.
  for (let round = 0; round < 3; round++) await send(smtp, scenario);
  counts.writes = counts.flights = 0;
  await countCopies(counts, () => send(smtp, scenario));
  const { writes, flights, copied } = counts;
  const { heap, buffers } = await memoryTaken(() => send(smtp, scenario));
  await smtp.quit();
  return {
    writes: writes / messages,
    flights: flights / messages,
    copied: Math.round(copied / messages),
    buffers: Math.round(buffers / messages),
    heap: Math.round(heap / messages),
  };
}

async function open({ keywords, pipelining, chunking }, counts) {
  const transport = memoryTransport((stream) => new Peer(stream, keywords).serve());
  const options = {
    transport: countingTransport(transport, counts),
    pipelining,
    chunking,
    local_hostname: "bench.example",
  };
  const smtp = await SMTP.connect("counts.example", 25, options);
  await smtp.ehlo();
  return smtp;
}

async function send(smtp, { body, recipients, messages, queued }) {
  const to = Array.from({ length: recipients }, (_, index) => `rcpt${index}@bench.example`);
  const sent = [];
  for (let number = 0; number < messages; number++) {
    const one = smtp.sendmail("sender@bench.example", to, typeof body === "function" ? body() : body);
    if (queued) sent.push(one);
    else await one;
  }
  await Promise.all(sent);
}

function compare(name, figures, limits) {
  for (const [kind, value] of Object.entries(figures)) {
    const exceeded = !(value <= limits[kind]);
    if (exceeded) process.exitCode = 1;
    console.log(
      `${name}, ${kind} a message: ${value}, ${exceeded ? "EXCEEDS" : "within"} the budget of ${limits[kind]}`,
    );
  }
}

function budgetFor(figures) {
  const limitsOf = ({ heap, ...exact }) => ({ ...exact, heap: Math.ceil((heap * SLACK) / 100) * 100 });
  return Object.fromEntries(Object.entries(figures).map(([name, all]) => [name, limitsOf(all)]));
}
