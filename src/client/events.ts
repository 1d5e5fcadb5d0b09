/** What a session tells of itself: Python's debug output and a logger. Commands arrive here without their secrets. */
import type { Command } from "../core/command.ts";
import { escapeControls } from "../errors.ts";

/** Any console-like object. */
export type Logger = {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
};

/** Tells a session's events. */
export class Events {
  /** Python's debug level: 1 prints the dialogue with `console.error`, 2 with the time of day as well. */
  debuglevel = 0;
  readonly #logger: Logger | undefined;

  constructor(logger?: Logger) {
    this.#logger = logger;
  }

  /** A connection is being made. */
  connecting(where: string): void {
    this.#tell("connect", JSON.stringify(where));
    this.#log("info", `connect: ${where}`);
  }

  /** A command goes out. */
  sent(command: Command): void {
    if (command.verb === ".") return;
    this.#tell("send", JSON.stringify(`${command.shown}\r\n`));
    this.#log("debug", `send: ${command.shown}`);
  }

  /** Octets of the caller's go out. */
  sentRaw(shown: string): void {
    this.#tell("send", JSON.stringify(shown));
    this.#log("debug", `send: ${shown}`);
  }

  /** A reply is here; `text` gives what may be shown of it, if anyone listens. */
  replied(code: number, text: () => string): void {
    if (this.debuglevel <= 0 && this.#logger === undefined) return;
    const shown = text();
    this.#tell("reply", `retcode (${code}); Msg: ${JSON.stringify(shown)}`);
    this.#log("debug", `reply: ${code} ${shown}`);
  }

  #tell(prefix: string, text: string): void {
    if (this.debuglevel <= 0) return;
    const time = this.debuglevel > 1 ? `${timeOfDay()} ` : "";
    quietly(() => console.error(`${time}${prefix}: ${escapeControls(text)}`));
  }

  #log(level: "debug" | "info", text: string): void {
    quietly(() => this.#logger?.[level](escapeControls(text)));
  }
}

/** Who listens to a session must not be able to break it. */
function quietly(tell: () => void): void {
  try {
    tell();
  } catch {
    // Nobody is left to tell.
  }
}

/** `HH:MM:SS.ffffff`, as Python prints it. */
function timeOfDay(): string {
  const now = new Date();
  const micros = Math.floor((performance.now() % 1) * 1000);
  return `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds() * 1000 + micros).padStart(6, "0")}`;
}
