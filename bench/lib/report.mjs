/** Writes the results into bench/README.md, after the part that is written by hand. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { drawChart } from "./charts.mjs";
import { microTables } from "./micro-report.mjs";
import { BENCH, ROOT } from "./paths.mjs";
import { Results } from "./results.mjs";
import { figure, workloadTable } from "./tables.mjs";
import { Verdicts } from "./verdicts.mjs";
import { WORKLOADS } from "./workloads.mjs";

const README = join(BENCH, "README.md");
const MARK = "<!-- What follows is written by `npm run bench`. -->";

/** Makes the report of the newest results, from all runs. */
export function writeReport() {
  const results = Results.load();
  const notes = JSON.parse(readFileSync(join(BENCH, "notes.json"), "utf8"));
  const verdicts = new Verdicts(results, notes, [packages()]);
  const measured = Object.keys(WORKLOADS).filter((name) => results.covers(name));
  const parts = [
    MARK,
    "## Targets",
    `${verdicts.sum}.`,
    "Medians of ratios that were each taken within one repetition; in brackets the range of the middle half of them.",
    verdicts.text,
    ...verdicts.footnotes.map((note, index) => `${index + 1}. ${note}`),
    "## Measured",
    sizeText(),
    circumstancesText(results),
    ...measured.flatMap((name) => [
      `### ${name}: ${WORKLOADS[name].title}`,
      `![${name}](${drawChart(name, results)})`,
      workloadTable(name, results),
    ]),
    ...microTables(),
  ];
  const byHand = readFileSync(README, "utf8").split(MARK)[0].trimEnd();
  writeFileSync(README, `${byHand}\n\n${parts.join("\n\n")}\n`);
  console.log(`${verdicts.sum}: ${README}`);
  for (const id of verdicts.unexplained) console.log(`failed, and notes.json has no word on it: ${id}`);
}

/** The number of packages that an installation brings. */
function packages() {
  const { dependencies = {} } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return { name: "packages installed", limit: 1, value: 1 + Object.keys(dependencies).length };
}

/** The bundle as `npm run size` measures it: reported, not limited. */
function sizeText() {
  const output = execFileSync(process.execPath, [join(ROOT, "scripts/size.mjs")], { encoding: "utf8" });
  const [, minified, gzip] = /^node, at start: (\d+) bytes minified, (\d+) gzipped/m.exec(output) ?? [];
  return `The facade with the core and one transport has ${figure(Number(minified))} octets minified, ${figure(Number(gzip))} gzipped.`;
}

function circumstancesText(results) {
  const { runs, failed } = results;
  if (runs.length === 0) return "Nothing yet.";
  const unique = (values) => [...new Set(values)].join("; ");
  const versions = ({ versions: { node, deno, bun, ...peers } }) =>
    `Node ${node}, Deno ${deno}, Bun ${bun}, ${Object.entries(peers)
      .map((peer) => peer.join(" "))
      .join(", ")}`;
  const dropped = [...new Set(failed.map(({ workload, runtime, subject }) => `${workload} ${runtime} ${subject}`))];
  return [
    `- ${unique(runs.map(({ machine }) => machine))}`,
    `- ${unique(runs.map(versions))}`,
    `- ${unique(runs.map(({ date, commit }) => `${date} UTC, commit ${commit}`))}`,
    `- Runs that are in no table, because something was missing, wrong or late: ${failed.length}${
      dropped.length > 0 ? ` (${dropped.join(", ")})` : ""
    }`,
  ].join("\n");
}
