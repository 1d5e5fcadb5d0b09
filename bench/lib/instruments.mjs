/** Builds the measuring instruments, which are C programs, on first use, starts them, and reads their counts. */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { BENCH, CACHE, ensureCache } from "./paths.mjs";

/** The extensions that the sink offers, beside CHUNKING. */
const KEYWORDS = "PIPELINING,8BITMIME,SMTPUTF8,ENHANCEDSTATUSCODES,SIZE 1073741824";

/** The certificate authority of the sink. */
export const AUTHORITY = join(CACHE, "ca.pem");

/**
 * Builds the instruments unless they are there.
 * @throws an error that names the packages to install, if they cannot be built
 */
export function buildInstruments() {
  ensureCache();
  const missing = ["make", "cc", "openssl"].filter((tool) => spawnSync(tool, ["--version"]).error !== undefined);
  if (missing.length > 0) throw new Error(`${missing.join(", ")} not found. ${ADVICE}`);
  const { status, stderr } = spawnSync("make", ["-s", "-C", join(BENCH, "native"), `OUT=${CACHE}`], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the instruments cannot be built:\n${stderr}\n${ADVICE}`);
}

const ADVICE =
  "The sink, the delay line and the process timer are C programs for Linux, built on first use: " +
  "apt-get install gcc make openssl libssl-dev";

/** The program that runs another one and prints its wall time, CPU time and peak memory. */
export const MEASURED = join(CACHE, "measured");

/** Starts a sink: `tls` is undefined, "implicit" or "starttls". */
export function startSink({ tls, chunking }) {
  const keywords = chunking ? `${KEYWORDS},CHUNKING` : KEYWORDS;
  const certificate = tls === undefined ? [] : [tls, join(CACHE, "leaf.pem"), join(CACHE, "leaf-key.pem")];
  return Instrument.start("sink", [keywords, ...certificate]);
}

/** Starts a proxy to `port` that delays each direction by a number of milliseconds. */
export function startDelay(port, milliseconds) {
  return Instrument.start("delay", [String(port), String(milliseconds)]);
}

/** A running instrument. It ends with its standard input, so that it does not outlive this process. */
class Instrument {
  #process;
  #lines;
  port = 0;

  static async start(name, args) {
    const instrument = new Instrument();
    instrument.#process = spawn(join(CACHE, name), args, { stdio: ["pipe", "pipe", "inherit"] });
    instrument.#lines = createInterface({ input: instrument.#process.stdout })[Symbol.asyncIterator]();
    instrument.port = Number(await instrument.#line());
    return instrument;
  }

  /** Sends the sink "reset", or "counts" to read them. */
  async ask(question) {
    this.#process.stdin.write(`${question}\n`);
    return JSON.parse(await this.#line());
  }

  stop() {
    this.#process.stdin.end();
  }

  async #line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the instrument has ended");
    return value;
  }
}
