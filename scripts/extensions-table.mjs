/**
 * The table of extensions and mechanisms, with the result of each row on each runtime, from vitest's reports, in which
 * the test of a row has the title "[row, server] …".
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const data = join(import.meta.dirname, "../test/extensions/table.json");

/**
 * Prints the table.
 * @param reports - runtime -> the path of vitest's JSON report
 * @returns {{ passed: number, failed: number, skipped: number }} the numbers of rows
 */
export function printExtensions(reports) {
  const outcomes = new Map(Object.entries(reports).map(([runtime, path]) => [runtime, outcomesOf(path)]));
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, provenAgainst } of JSON.parse(readFileSync(data, "utf8"))) {
    const cells = [...outcomes].map(([runtime, seen]) => {
      const worst = worstOf(provenAgainst.map((server) => seen.get(`${name}, ${server}`) ?? "missing"));
      return { worst, text: `${runtime} ${worst}`.padEnd(16) };
    });
    const worst = worstOf(cells.map((cell) => cell.worst));
    // Without the servers, which CI requires, the tests against them are skipped.
    const absent = worst === "missing" && process.env.CI !== "true";
    counts[worst === "passed" ? "passed" : absent ? "skipped" : "failed"]++;
    console.log(`${name.padEnd(24)}${cells.map(({ text }) => text).join("")}${provenAgainst.join(", ")}`);
  }
  return counts;
}

function outcomesOf(path) {
  const outcomes = new Map();
  for (const { title, status } of assertionsOf(path)) {
    const [, proven] = /^\[([^\]]+, [^\]]+)\] /.exec(title) ?? [];
    if (proven !== undefined) outcomes.set(proven, worstOf([outcomes.get(proven) ?? "passed", status]));
  }
  return outcomes;
}

function assertionsOf(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).testResults.flatMap(({ assertionResults }) => assertionResults);
  } catch {
    return []; // the runner died before it could report, which is counted elsewhere
  }
}

/** A row without a test fails. */
function worstOf(outcomes) {
  if (outcomes.length === 0) return "missing";
  return (
    outcomes.find((outcome) => outcome === "failed") ?? outcomes.find((outcome) => outcome !== "passed") ?? "passed"
  );
}
