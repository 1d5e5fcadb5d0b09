/**
 * Detects leaks of a test: unhandled rejections, sockets, and timers. Node and Deno list their resources; Bun does not,
 * so timers of `src/` and `transports/` are counted here when they are set, on every runtime. The scripted server fails
 * a test that leaves a connection open.
 */
import { afterEach, beforeEach, expect } from "vitest";

/** After each test: no unhandled rejection, no timer of the package and no new socket. */
export function watchForLeaks(): void {
  const unhandled: unknown[] = [];
  const remember = (reason: unknown): void => void unhandled.push(reason);
  let before: readonly string[] = [];
  let timers: OwnTimers | undefined;

  beforeEach(() => {
    unhandled.length = 0;
    process.on("unhandledRejection", remember);
    before = resources();
    timers = new OwnTimers();
  });

  afterEach(async () => {
    await quiet(() => surplus(before).length === 0 && timers?.left.length === 0);
    process.off("unhandledRejection", remember);
    timers?.stop();
    expect(unhandled, "unhandled rejections").toEqual([]);
    expect(timers?.left, "timers that are left").toEqual([]);
    expect(surplus(before), "resources that are left").toEqual([]);
  });
}

type SetTimer = typeof globalThis.setTimeout;

/** A timer that was set: its caller and its time. */
type LiveTimer = { readonly origin: Error; readonly wait: number | undefined };

/** The place that set a timer, if it is in the sources of the package. */
const OURS = /\/(?:src|transports)\/[\w/-]+\.ts[^\n]*/;

/**
 * The timers that the sources have set since, and that are neither cleared nor fired. A stack is only formatted, which
 * is slow, if its timer still exists at the end.
 */
class OwnTimers {
  readonly #live = new Map<unknown, LiveTimer>();
  readonly #set: SetTimer = globalThis.setTimeout;
  readonly #clear = globalThis.clearTimeout;

  constructor() {
    const set = (callback: (...args: unknown[]) => void, wait?: number, ...args: unknown[]): unknown => {
      const timer = this.#set(() => {
        this.#live.delete(timer);
        callback(...args);
      }, wait);
      this.#live.set(timer, { origin: origin(), wait });
      return timer;
    };
    globalThis.setTimeout = Object.assign(set, this.#set) as SetTimer;
    globalThis.clearTimeout = (timer) => {
      this.#live.delete(timer);
      // The types of Node and of Bun differ here.
      Reflect.apply(this.#clear, globalThis, [timer]);
    };
  }

  get left(): readonly string[] {
    return [...this.#live.values()].flatMap(({ origin, wait }) => {
      const [where] = OURS.exec(origin.stack ?? "") ?? [];
      return where === undefined ? [] : [`${where.trim()}, ${wait} ms`];
    });
  }

  stop(): void {
    globalThis.setTimeout = this.#set;
    globalThis.clearTimeout = this.#clear;
  }
}

/** The place that sets a timer, and its nearest callers. */
function origin(): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 6;
  const error = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

/** Sockets, servers and timers of the runtime; nothing on Bun. */
function resources(): readonly string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => /Timeout|TCP|TLS|Pipe.*Server/.test(kind))
    .sort();
}

/** The real clock, which tests may replace. */
const clock = performance.now.bind(performance);

/** Waits a little for resources that are being released, without a timer. */
async function quiet(isQuiet: () => boolean): Promise<void> {
  const until = clock() + 800;
  do {
    await new Promise((resolve) => setImmediate(resolve));
  } while (!isQuiet() && clock() < until);
}

/** The resources that are new; vitest's own timers are ignored. */
function surplus(before: readonly string[]): readonly string[] {
  const known = [...before];
  return resources().filter((kind) => {
    const at = known.indexOf(kind);
    if (at >= 0) known.splice(at, 1);
    return at < 0;
  });
}
