/** The targets: ratios or counts, each taken within one run. */
import { RUNTIMES } from "./workloads.mjs";

/** The compared figures: the figure of a row, the comparison of two of them (if any), and its description. */
const speed = (against, least) => ({ figure: "speed", against, least });
const most = (figure, limit, against) => ({ figure, against, most: limit });

const DATA = "smtplib";
const CHUNKING = "smtplib-chunking";
const EAGER = "smtplib-eager";

/** The mode of each subject of this client. */
export const MODES = { [DATA]: "DATA", [CHUNKING]: "CHUNKING", [EAGER]: "eager" };

/** Workload, subject, and target. A limit is a number, or one for each runtime that has one. */
const ASKED = [
  ["M1", DATA, speed("raw-pipelined", 0.95), speed("nodemailer", 1), most("reads", 2.1), most("writes", 2.1)],
  ["M1", EAGER, speed("raw-bdat", 0.9), most("reads", 1.1), most("writes", 1.1)],
  ["M1q", DATA, speed("raw-pipelined", 0.95), speed("nodemailer", 2.3), most("reads", 1.1), most("writes", 1.1)],
  ["M1q", EAGER, speed("raw-bdat", 0.7)],
  ["M2", DATA, speed("raw-pipelined", 0.95), speed("nodemailer", 2.3), speed("nodemailer-pool", 6)],
  ["M2", EAGER, speed("raw-bdat", 0.7)],
  ["W1", DATA, speed("raw-pipelined", 0.95), speed("nodemailer", 1)],
  ["W1q", DATA, speed("raw-pipelined", 0.95), speed("nodemailer", 1)],
  ["W1q", EAGER, speed("raw-bdat", 0.9)],
  ["W2", DATA, speed("raw-pipelined", 0.95), speed("nodemailer", 1)],
  ["W3", DATA, speed("nodemailer", { node: 3, deno: 3, bun: 2.5 }), speed("raw-pipelined", 0.8)],
  ["W3", DATA, most("memory", 15, "raw-pipelined")],
  ["W3", CHUNKING, speed("nodemailer", { node: 4, deno: 4, bun: 3 })],
  ["W3b", DATA, speed("nodemailer", { node: 3, deno: 3, bun: 2.5 }), most("memory", 20, "raw-pipelined")],
  ["W3b", CHUNKING, speed("nodemailer", { node: 5, deno: 5, bun: 3.5 })],
  ["W4", DATA, speed("raw-pipelined", 0.85), speed("nodemailer", 1)],
  ["W5", DATA, speed("nodemailer", 0.97)],
  ["W5", EAGER, speed("nodemailer", 1.9)],
  ["W5q", DATA, speed("nodemailer", 1.95)],
  ["W5q", EAGER, speed("nodemailer", 20)],
  ["C1", DATA, most("time", 0.85, "nodemailer"), most("import", { node: 8 })],
  ["T1", DATA, speed("nodemailer", { node: 1.1, deno: 1.3, bun: 1.3 }), speed("raw-pipelined", 0.9)],
  ["T1", DATA, { figure: "resumed", least: { node: 0.9, bun: 0.9 } }],
  ["T1c", DATA, speed("nodemailer", { deno: 1 })],
  ["T1s", DATA, speed("nodemailer", { node: 1.1, deno: 1.3, bun: 1.3 }), speed("raw-pipelined", 0.9)],
  ["T1s", DATA, { figure: "resumed", least: { node: 0.9, bun: 0.9 } }],
  ["T1sc", DATA, speed("nodemailer", { deno: 1 })],
];

/** All targets, a row of the table each. */
export const TARGETS = ASKED.flatMap(([workload, subject, ...asked]) =>
  asked.map((one) => ({ workload, subject, ...one, limits: limitsOf(one.least ?? one.most) })),
);

/** The verdict on a target on a runtime: the figure, and whether it passes. */
export function judge(target, runtime, results) {
  const limit = target.limits[runtime];
  const measured = limit === undefined ? undefined : measure(target, runtime, results);
  if (measured === undefined) return { limit };
  return { limit, measured, passed: target.least === undefined ? measured.median <= limit : measured.median >= limit };
}

/** A target and runtime, as notes.json knows them. */
export function idOf({ workload, subject, figure, against }, runtime) {
  return [workload, MODES[subject], figure, against ?? "-", runtime].join(" ");
}

const ratio = (ours, theirs) => ours / theirs;
const difference = (ours, theirs) => ours - theirs;

/** The figures of a row, compared with those of another subject if the target names one. */
const FIGURES = {
  speed: { of: ({ seconds }) => 1 / seconds, compare: ratio },
  time: { of: ({ seconds }) => seconds, compare: ratio },
  cpu: { of: ({ cpu }) => cpu, compare: ratio },
  memory: { of: ({ peakMB }) => peakMB, compare: difference },
  reads: { of: ({ reads }) => reads },
  writes: { of: ({ writes }) => writes },
  import: { of: ({ importMs }) => importMs },
  resumed: { of: ({ resumed, connections }) => resumed / connections },
};

function measure({ workload, subject, figure, against }, runtime, results) {
  const { of, compare } = FIGURES[figure];
  if (against === undefined) return results.spread(workload, runtime, subject, of);
  return results.compared(workload, runtime, subject, against, of, compare);
}

function limitsOf(limit) {
  return typeof limit === "number" ? Object.fromEntries(RUNTIMES.map((runtime) => [runtime, limit])) : limit;
}
