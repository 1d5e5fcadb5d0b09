/** The table of targets: a verdict for each on each runtime, and the note that explains a failure. */
import { figure, table, withSpread } from "./tables.mjs";
import { idOf, judge, MODES, TARGETS } from "./targets.mjs";
import { RUNTIMES } from "./workloads.mjs";

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

/** Judges the results. A note stands under the id of a target, with the runtime or for all of them. */
export class Verdicts {
  passed = 0;
  failed = 0;
  missing = 0;
  /** The notes that the table refers to, in order. */
  footnotes = [];
  /** The ids of failures without a note. */
  unexplained = [];
  /** The table, in Markdown. */
  text;
  #notes;

  /** `sizes` are `{ name, limit, value }`: figures that no run measures. */
  constructor(results, notes, sizes) {
    this.#notes = notes;
    const rows = TARGETS.map((target) => this.#row(target, results));
    const others = sizes.map((size) => this.#sizeRow(size));
    const head = ["workload", "mode", "what", "target", ...RUNTIMES];
    this.text = table(head, [...rows, ...others], head.length);
  }

  /** The number of each verdict. */
  get sum() {
    return `${this.passed} passed, ${this.failed} failed, ${this.missing} not measured`;
  }

  #row(target, results) {
    const { workload, subject, figure: what, against = "" } = target;
    const cells = RUNTIMES.map((runtime) => this.#cell(target, runtime, results));
    return [workload, MODES[subject], `${WORDS[what]} ${against}`.trim(), limitText(target), ...cells];
  }

  #cell(target, runtime, results) {
    const { limit, measured, passed } = judge(target, runtime, results);
    if (limit === undefined) return "–";
    if (measured !== undefined) return this.#verdict(passed, withSpread(measured), idOf(target, runtime));
    this.missing++;
    return "not measured";
  }

  #sizeRow({ name, limit, value }) {
    const verdict = this.#verdict(value <= limit, figure(value), `size ${name}`);
    return ["size", "–", name, `≤ ${figure(limit)}`, verdict, "–", "–"];
  }

  #verdict(passed, measured, id) {
    if (passed) {
      this.passed++;
      return `pass ${measured}`;
    }
    this.failed++;
    return `**fail** ${measured}${this.#footnote(id)}`;
  }

  #footnote(id) {
    const note = this.#notes[id] ?? this.#notes[id.slice(0, id.lastIndexOf(" "))];
    if (note === undefined) {
      this.unexplained.push(id);
      return "";
    }
    if (!this.footnotes.includes(note)) this.footnotes.push(note);
    return ` [${this.footnotes.indexOf(note) + 1}]`;
  }
}

function limitText({ least, limits }) {
  const sign = least === undefined ? "≤" : "≥";
  const values = [...new Set(Object.values(limits))];
  if (values.length === 1) return `${sign} ${values[0]}`;
  const each = Object.entries(limits).map(([runtime, limit]) => `${sign} ${limit} ${runtime}`);
  return each.join(", ");
}
