/**
 * The measured subjects. A subject is a module whose default export has
 * - `name`, `runtimes` and `modes` that it can do, and `chunking`, if the sink is to offer that;
 * - `prepare(bytes)`: returns the message in the client's form, before the clock starts;
 * - `open({ host, port, connections, mode, tls, ca })`: `{ send(from, to, message), sendStream?(from, to, chunks),
 *   sendAll?(from, to, messages), close() }`. Without `sendAll`, queueing is calling `send` for all at once.
 */
const NAMES = [
  "smtplib",
  "smtplib-chunking",
  "smtplib-eager",
  "nodemailer",
  "nodemailer-pool",
  "upyo",
  "emailjs",
  "raw-lockstep",
  "raw-pipelined",
  "raw-bdat",
];

/** All subjects, in the order of the tables. */
export const SUBJECTS = NAMES;

export const ALL_RUNTIMES = ["node", "deno", "bun"];
export const ALL_MODES = ["awaited", "queued", "stream", "memory", "start", "connections"];

/** A subject's module; only that one is loaded. */
export async function subjectNamed(name) {
  const { default: subject } = await import(`./${name}.mjs`);
  return subject;
}
