/** One run: a subject runs a workload in its own process, and the sink reports the messages that arrived. */
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { prepare } from "./corpus.mjs";
import { AUTHORITY, MEASURED, startDelay, startSink } from "./instruments.mjs";
import { BENCH, CACHE, COMMANDS } from "./paths.mjs";
import { WORKLOADS } from "./workloads.mjs";

/** The time limit of a run; a longer one is ended and does not count. */
const MOST_SECONDS = 240;

let lanes = 0;

/** A lane executes one run after the other, with its own sinks. */
export class Lane {
  #file = join(CACHE, `measured-${process.pid}-${lanes++}.json`);
  #instruments = new Map();

  /** @returns a row of results; `ok` is true if all messages arrived correctly */
  async measure({ name, subject, runtime, repetition }) {
    const workload = WORKLOADS[name];
    const expected = prepare(workload);
    const sink = await this.#sink(workload, subject);
    const port = workload.delay === undefined ? sink.port : await this.#delayed(sink.port, workload.delay);
    await sink.ask("reset");
    const trust = trustsByStore(workload, runtime) ? { DENO_CERT: AUTHORITY } : {};
    const outcome = await this.#run(commandFor({ name, workload, subject, runtime, port }), trust);
    const counts = await sink.ask("counts");
    const recipients = workload.messages * (workload.recipients ?? 1);
    const complete = Object.entries({ ...expected, recipients, errors: 0 }).every(
      ([key, value]) => counts[key] === value,
    );
    const row = { workload: name, subject: subject.name, runtime, repetition, ok: complete && outcome.code === 0 };
    if (!row.ok) return { ...row, why: { expected, counts, code: outcome.code, output: outcome.output.slice(-1000) } };
    const { messages } = workload;
    return {
      ...row,
      seconds: workload.mode === "start" ? outcome.usage.wall : outcome.said.seconds,
      cpu: outcome.said.cpu ?? outcome.usage.user + outcome.usage.system,
      peakMB: outcome.usage.peakMB,
      importMs: outcome.said.importMs,
      reads: counts.reads / messages,
      writes: counts.writes / messages,
      connections: counts.connections,
      resumed: counts.resumed,
      sinkCpu: counts.cpu,
    };
  }

  close() {
    for (const instrument of this.#instruments.values()) instrument.stop();
    rmSync(this.#file, { force: true });
  }

  #sink({ tls }, { chunking = false }) {
    return this.#instrument(`sink ${tls} ${chunking}`, () => startSink({ tls, chunking }));
  }

  async #delayed(port, milliseconds) {
    const delay = await this.#instrument(`delay ${port} ${milliseconds}`, () => startDelay(port, milliseconds));
    return delay.port;
  }

  async #instrument(key, start) {
    const running = this.#instruments.get(key) ?? (await start());
    this.#instruments.set(key, running);
    return running;
  }

  /** Runs a command to its end; its last output is JSON. */
  async #run(command, trust) {
    rmSync(this.#file, { force: true });
    const child = spawn(MEASURED, [this.#file, ...command], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH, HOME: process.env.HOME, LANG: "C.UTF-8", NO_COLOR: "1", ...trust },
      detached: true,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    const timer = setTimeout(() => process.kill(-child.pid), MOST_SECONDS * 1000);
    const code = await new Promise((resolve) => child.on("close", resolve));
    clearTimeout(timer);
    if (code !== 0) return { code, output };
    const said = JSON.parse(output.trim().split("\n").at(-1));
    return { code, output, said, usage: JSON.parse(readFileSync(this.#file, "utf8")) };
  }
}

/** Whether the CA of the sink is in the runtime's own store: for Deno, as most of its users have theirs. */
function trustsByStore({ storeOf = [] }, runtime) {
  return storeOf.includes(runtime);
}

function commandFor({ name, workload, subject, runtime, port }) {
  const command = COMMANDS[runtime];
  if (workload.mode === "start") {
    const message = join(CACHE, `${workload.messages}x${workload.size}.bin`);
    return [...command, join(BENCH, "start.mjs"), subject.name, message, String(port)];
  }
  const isOption = workload.tls !== undefined && !trustsByStore(workload, runtime);
  const authority = isOption ? [AUTHORITY] : [];
  return [...command, join(BENCH, "driver.mjs"), subject.name, name, String(port), ...authority];
}
