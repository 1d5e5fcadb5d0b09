/** The tables of the report, in Markdown. */
import { SUBJECTS } from "../subjects/index.mjs";
import { inUnit } from "./results.mjs";
import { idOf, judge, MODES, TARGETS } from "./targets.mjs";
import { RUNTIMES, WORKLOADS } from "./workloads.mjs";

/** A table; the first `texts` columns are text, the others numbers. */
export function table(head, rows, texts = 1) {
  const line = head.map((_, index) => (index < texts ? "---" : "--:"));
  return [head, line, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A number with three digits that mean something. */
export function figure(value) {
  if (value === undefined) return "";
  if (Number.isInteger(value) && value < 1000) return String(value);
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A median, and in brackets the range that half of the values are in. */
export function withSpread({ median, quartiles }) {
  return `${figure(median)} (${quartiles.map(figure).join("–")})`;
}

const WORDS = {
  speed: "speed, of",
  time: "wall time, of",
  cpu: "CPU a message, of",
  memory: "peak RSS in MB, over",
  reads: "reads a message at the sink",
  writes: "writes a message at the sink",
  import: "import in ms",
  resumed: "TLS sessions resumed, share",
};

/** A row for each target; a failure refers to the note that explains it. `more` are rows that no run gives. */
export function targetsTable(results, notes, more) {
  const footnotes = [];
  const outcomes = { passed: 0, failed: 0, missing: 0 };
  const rows = TARGETS.map((target) => {
    const cells = RUNTIMES.map((runtime) => {
      const { limit, measured, passed } = judge(target, runtime, results);
      if (limit === undefined) return "–";
      if (measured === undefined) return count(outcomes, "missing", "not measured");
      if (passed) return count(outcomes, "passed", `pass ${withSpread(measured)}`);
      return count(
        outcomes,
        "failed",
        `**fail** ${withSpread(measured)}${noteFor(idOf(target, runtime), notes, footnotes)}`,
      );
    });
    const what = `${WORDS[target.figure]} ${target.against ?? ""}`.trim();
    return [target.workload, MODES[target.subject], what, limitText(target), ...cells];
  });
  for (const { name, limit, value } of more) {
    const passed = value <= limit;
    count(outcomes, passed ? "passed" : "failed");
    const note = passed ? "" : noteFor(name, notes, footnotes);
    rows.push([
      "size",
      "–",
      name,
      `≤ ${figure(limit)}`,
      `${passed ? "pass" : "**fail**"} ${figure(value)}${note}`,
      "–",
      "–",
    ]);
  }
  const head = ["workload", "mode", "what", "target", ...RUNTIMES];
  return { text: table(head, rows, head.length), outcomes, footnotes };
}

function count(outcomes, kind, cell) {
  outcomes[kind]++;
  return cell;
}

function noteFor(id, notes, footnotes) {
  if (notes[id] === undefined) return "";
  if (!footnotes.includes(notes[id])) footnotes.push(notes[id]);
  return ` [${footnotes.indexOf(notes[id]) + 1}]`;
}

function limitText({ least, limits }) {
  const sign = least === undefined ? "≤" : "≥";
  const values = [...new Set(Object.values(limits))];
  if (values.length === 1) return `${sign} ${values[0]}`;
  return Object.entries(limits)
    .map(([runtime, limit]) => `${sign} ${limit} ${runtime}`)
    .join(", ");
}

/** All that was measured of a workload. */
export function workloadTable(name, results) {
  const { unit } = WORKLOADS[name];
  const rows = RUNTIMES.flatMap((runtime) =>
    SUBJECTS.filter((subject) => results.of(name, runtime, subject).length > 0).map((subject) => {
      const spread = (figureOf) => results.spread(name, runtime, subject, figureOf);
      const value = spread(inUnit);
      const ratio = results.compared(name, runtime, subject, "nodemailer", inUnit, (ours, theirs) => ours / theirs);
      return [
        runtime,
        subject,
        value.count,
        figure(value.median),
        value.extremes.map(figure).join("–"),
        figure(ratio?.median),
        figure(spread(({ cpu }) => (cpu * 1e6) / WORKLOADS[name].messages).median),
        figure(spread(({ peakMB }) => peakMB).median),
        figure(spread(({ reads }) => reads).median),
        figure(spread(({ writes }) => writes).median),
      ];
    }),
  );
  const head = ["runtime", "client", "runs", `${unit}, median`, "min–max", "of nodemailer's", "CPU µs/message"];
  return table([...head, "peak RSS, MB", "reads/message", "writes/message"], rows, 2);
}
