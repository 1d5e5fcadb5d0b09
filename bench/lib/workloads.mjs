/** The workloads of the targets, and the subjects of each. */

/**
 * `mode`: "awaited", each message after the last one's reply; "queued", all at once; "stream", one from an async
 * iterable; "memory", one large array; "connections", one connection a message; "start", a process that sends one
 * message. `unit` is the compared unit: messages or megabytes a second, or milliseconds, of which fewer are better.
 * `times` is the number of runs within a repetition, if one run is short. `against` are the subjects that targets
 * compare with; `others` take part in the first repetitions only.
 */
export const WORKLOADS = {
  M1: {
    title: "4,000 messages of 1 KiB on one connection, each awaited",
    mode: "awaited",
    messages: 4000,
    size: 1024,
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined", "raw-bdat"],
    others: ["nodemailer-pool", "upyo", "emailjs", "raw-lockstep"],
  },
  M1q: {
    title: "4,000 messages of 1 KiB on one connection, all queued at once",
    mode: "queued",
    messages: 4000,
    size: 1024,
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined", "raw-bdat"],
    others: ["nodemailer-pool", "upyo", "emailjs", "raw-lockstep"],
  },
  M2: {
    title: "8,000 messages of 1 KiB on ten connections, all queued at once",
    mode: "queued",
    messages: 8000,
    size: 1024,
    connections: 10,
    unit: "msg/s",
    against: ["nodemailer", "nodemailer-pool", "raw-pipelined", "raw-bdat"],
    others: ["upyo", "emailjs", "raw-lockstep"],
  },
  W1: {
    title: "20,000 messages of 1 KiB on one connection, each awaited",
    mode: "awaited",
    messages: 20000,
    size: 1024,
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined"],
    others: [],
  },
  W1q: {
    title: "20,000 messages of 1 KiB on one connection, all queued at once",
    mode: "queued",
    messages: 20000,
    size: 1024,
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined", "raw-bdat"],
    others: [],
  },
  W2: {
    title: "40,000 messages of 1 KiB on ten connections, all queued at once",
    mode: "queued",
    messages: 40000,
    size: 1024,
    connections: 10,
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined"],
    others: [],
  },
  W3: {
    title: "one message of 256 MiB from an async iterable of 64 KiB chunks",
    mode: "stream",
    messages: 1,
    size: 256 * 2 ** 20,
    block: 2 ** 20,
    chunk: 65_536,
    unit: "MB/s",
    against: ["nodemailer", "raw-pipelined", "raw-bdat"],
    others: ["nodemailer-pool", "raw-lockstep"],
  },
  W3b: {
    title: "one message of 64 MiB from memory",
    mode: "memory",
    messages: 1,
    size: 64 * 2 ** 20,
    block: 2 ** 20,
    unit: "MB/s",
    against: ["nodemailer", "raw-pipelined", "raw-bdat"],
    others: ["nodemailer-pool", "upyo", "emailjs", "raw-lockstep"],
  },
  W4: {
    title: "500 messages of 1 KiB to 100 recipients each, each awaited",
    mode: "awaited",
    messages: 500,
    size: 1024,
    recipients: 100,
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined"],
    others: ["nodemailer-pool", "upyo", "emailjs", "raw-lockstep", "raw-bdat"],
  },
  W5: {
    title: "200 messages of 4 KiB at 40 ms round trip on one connection, each awaited",
    mode: "awaited",
    messages: 200,
    size: 4096,
    delay: 20,
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined", "raw-bdat"],
    others: ["upyo"],
  },
  W5q: {
    title: "200 messages of 4 KiB at 40 ms round trip on one connection, all queued at once",
    mode: "queued",
    messages: 200,
    size: 4096,
    delay: 20,
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined", "raw-bdat"],
    others: ["upyo"],
  },
  C1: {
    title: "a process that starts, imports the library, sends one message and ends",
    mode: "start",
    times: 3,
    messages: 1,
    size: 1024,
    unit: "ms",
    against: ["nodemailer", "raw-pipelined"],
    others: ["nodemailer-pool", "upyo", "emailjs", "raw-lockstep", "raw-bdat"],
  },
  T1: {
    title: "300 messages on one implicit-TLS connection each",
    mode: "connections",
    messages: 300,
    size: 1024,
    tls: "implicit",
    storeOf: ["deno"],
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined"],
    others: ["nodemailer-pool", "upyo", "emailjs"],
  },
  T1c: {
    title: "the same with a CA that only the option `ca` names, which Deno's own TLS cannot do",
    mode: "connections",
    runtimes: ["deno"],
    messages: 300,
    size: 1024,
    tls: "implicit",
    unit: "msg/s",
    against: ["nodemailer"],
    others: [],
  },
  T1s: {
    title: "300 messages on one STARTTLS connection each",
    mode: "connections",
    messages: 300,
    size: 1024,
    tls: "starttls",
    storeOf: ["deno"],
    unit: "msg/s",
    against: ["nodemailer", "raw-pipelined"],
    others: ["nodemailer-pool", "upyo", "emailjs"],
  },
  T1sc: {
    title: "the same with a CA that only the option `ca` names",
    mode: "connections",
    runtimes: ["deno"],
    messages: 300,
    size: 1024,
    tls: "starttls",
    unit: "msg/s",
    against: ["nodemailer"],
    others: [],
  },
};

/** The subjects of this client: by DATA, by BDAT where a server offers CHUNKING, and with `pipelining: "eager"`. */
export const OURS = ["smtplib", "smtplib-chunking", "smtplib-eager"];

/** The number of repetitions with subjects that no target compares with. */
export const REPETITIONS_OF_OTHERS = 2;

/** The runtimes, in the order of the tables. */
export const RUNTIMES = ["node", "deno", "bun"];

export const SENDER = "sender@bench.example";

/** The recipients of each message. */
export function recipientsOf({ recipients = 1 }) {
  return Array.from({ length: recipients }, (_, index) => `rcpt${index}@bench.example`);
}
