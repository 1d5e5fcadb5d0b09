/** Processes of the crash test: started, killed, frozen and woken. */
import { type ChildProcess, spawn } from "node:child_process";

/** A process that prints "ready" when it is ready. */
export class Program {
  readonly #command: readonly [string, ...string[]];
  readonly #heard: (line: string) => void;
  #child: ChildProcess | undefined;

  constructor(command: readonly [string, ...string[]], heard: (line: string) => void = () => {}) {
    this.#command = command;
    this.#heard = heard;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it; it may be killed before it is ready. */
  start(): Promise<void> {
    const [command, ...args] = this.#command;
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    return new Promise((resolve) => {
      let text = "";
      child.stdout.on("data", (chunk) => {
        const lines = (text + String(chunk)).split("\n");
        text = lines.pop() ?? "";
        for (const line of lines) {
          if (line === "ready") resolve();
          else this.#heard(line);
        }
      });
      child.once("close", () => resolve());
    });
  }

  /** Ends it by SIGKILL. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await closed;
  }

  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  wake(): void {
    this.#child?.kill("SIGCONT");
  }
}
