/** The tables of the report, in Markdown. */
import { SUBJECTS } from "../subjects/index.mjs";
import { inUnit } from "./results.mjs";
import { RUNTIMES, WORKLOADS } from "./workloads.mjs";

/** A table; the first `texts` columns are text, the others numbers. */
export function table(head, rows, texts = 1) {
  const line = head.map((_, index) => (index < texts ? "---" : "--:"));
  return [head, line, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A number with three significant digits. */
export function figure(value) {
  if (value === undefined) return "";
  if (Number.isInteger(value) && value < 1000) return String(value);
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A median, and in brackets the range of the middle half of the values. */
export function withSpread({ median, quartiles }) {
  return `${figure(median)} (${quartiles.map(figure).join("–")})`;
}

/** All results of a workload. */
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
