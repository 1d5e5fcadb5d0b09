/** The tables of the micro-benchmarks. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "./paths.mjs";
import { figure, table } from "./tables.mjs";
import { RUNTIMES } from "./workloads.mjs";

/** The file of a runtime's results. */
export function microFile(runtime) {
  return join(CACHE, `micro-${runtime}.json`);
}

/** The tables in Markdown; empty if nothing was measured. */
export function microTables() {
  const measured = RUNTIMES.filter((runtime) => existsSync(microFile(runtime)));
  const byRuntime = measured.map((runtime) => JSON.parse(readFileSync(microFile(runtime), "utf8")));
  const [first] = byRuntime;
  if (first === undefined) return [];
  const rowsOf = (kind, cellOf) =>
    first
      .filter(({ name }) => name.startsWith(kind))
      .map(({ name }) => {
        const cells = byRuntime.map((results) => cellOf(results.find((one) => one.name === name)));
        return [name.slice(kind.length), ...cells];
      });
  return [
    "## Micro-benchmarks",
    "The median; in brackets the range of the middle half.",
    table(["reply parser, ns a reply", ...measured], rowsOf("parser: ", nanosecondsAReply)),
    table(["body of 64 KiB, MB/s", ...measured], rowsOf("encoder: ", megabytesASecond)),
  ];
}

function nanosecondsAReply({ p25, p50, p75, replies }) {
  const [low, middle, high] = [p25, p50, p75].map((time) => figure(time / replies));
  return `${middle} (${low}–${high})`;
}

function megabytesASecond({ p25, p50, p75, octets }) {
  const [low, middle, high] = [p75, p50, p25].map((time) => figure((octets * 1000) / time));
  return `${middle} (${low}–${high})`;
}
