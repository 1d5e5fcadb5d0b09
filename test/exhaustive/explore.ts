/**
 * Enumerates, breadth-first, every interleaving of the possible actions of the caller, the source of a body, the server
 * and the clock.
 *
 * A path is a list of events. The client cannot be copied, so each path is played from the start. Paths are ordered by
 * the number of their events that deviate from a good session (a refusal, a fault, an abort, silence, two events at
 * once), then by their length: the first path that finds something is a shortest one. No other event is bounded: the
 * bound is the number of deviations, and each path continues until nothing more can happen.
 *
 * Two paths that lead to the same state are continued once. A state (`World.toString()`) is everything that is visible
 * from outside of the client:
 * - each call: not made, pending, or its whole outcome; which signals have fired; how far each source was read;
 * - while a connection lives, the whole knowledge of the server: the commands that it has received and not answered,
 *   its open transaction, its replies to EHLO and to the commands of each message that is not settled, the bytes of an
 *   incomplete reply and of an incomplete command, and the bytes that it has not read;
 * - after its end: the reason of the end, and the command at that time;
 * - the messages that the server accepted, and those that it may have accepted;
 * - the running timers and their remaining times; the time since the last exchange.
 *
 * The client is deterministic, so its state is a function of its inputs, in order. The state above omits three parts of
 * these: the order of independent events (a reply to one message, the abort of the other), the way in which a settled
 * message reached its outcome, and the dialogue of a connection that has ended. So a client that remembers one of
 * these, and lets it influence a later message, could behave in two ways in the same state, of which only one is
 * explored. Each path that leads to a known state is checked for this: the server falls silent, the caller closes the
 * session, and everything that the client writes and reports until then must be the same, byte by byte, as for the
 * first path (`checkMerges: "closely"` also continues both with good replies). In addition, a test explores a smaller
 * bound without any merging, which must reach the same states and findings.
 */

import type { Finding } from "./checks.ts";
import { Clock } from "./clock.ts";
import type { Configuration } from "./configurations.ts";
import { playPath, watchRejections } from "./path.ts";
import type { Defect } from "./planted.ts";
import { costOf } from "./world.ts";

/** The bound of the exploration. */
export type Bound = {
  /** The most deviations on one path. */
  readonly deviations: number;
  /** The most events on one path. */
  readonly length?: number;
};

/** A finding on a path, which is the shortest that leads to it. */
export type Found = Finding & { readonly configuration: string; readonly path: readonly string[] };

/** The result of an exploration. */
export type Explored = {
  readonly states: number;
  readonly paths: number;
  readonly longest: number;
  readonly found: readonly Found[];
  /** The hashes of the states. */
  readonly reached: ReadonlySet<number>;
};

/** Options of an exploration. */
export type Options = {
  /** False: continues each path, whatever its state. */
  readonly merge?: boolean;
  /** Stops once a rule of this name is broken. */
  readonly until?: RegExp;
  /** A defect that is planted in the client. */
  readonly defect?: Defect;
};

type Node = {
  readonly parent: Node | undefined;
  readonly event: string;
  readonly length: number;
};

/** Explores one configuration. Replaces the clock of the process meanwhile. */
export async function explore(configuration: Configuration, bound: Bound, options: Options = {}): Promise<Explored> {
  const clock = new Clock();
  const restore = clock.install();
  const unwatch = watchRejections();
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await new Exploration(configuration, bound, options, clock).run();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    unwatch();
    restore();
  }
}

class Exploration {
  readonly #configuration: Configuration;
  readonly #bound: Bound;
  readonly #options: Options;
  readonly #clock: Clock;
  /** The paths to play, by their number of deviations. */
  readonly #waiting: (Node | undefined)[][] = [];
  /** State -> the hash of the ending of the first path that led to it. */
  readonly #known = new Map<number, number>();
  readonly #found = new Map<string, Found>();
  #paths = 0;
  #longest = 0;

  constructor(configuration: Configuration, bound: Bound, options: Options, clock: Clock) {
    this.#configuration = configuration;
    this.#bound = bound;
    this.#options = options;
    this.#clock = clock;
  }

  async run(): Promise<Explored> {
    const { deviations } = this.#bound;
    for (let cost = 0; cost <= deviations; cost++) this.#waiting.push([]);
    this.#waiting[0]?.push({ parent: undefined, event: "", length: 0 });
    for (const [cost, waiting] of this.#waiting.entries()) {
      for (let at = 0; at < waiting.length && !this.#isDone; at++) {
        const node = waiting[at];
        // Played paths are not kept.
        waiting[at] = undefined;
        if (node) await this.#visit(node, cost);
      }
    }
    const { size: states } = this.#known;
    return {
      states,
      paths: this.#paths,
      longest: this.#longest,
      found: [...this.#found.values()],
      reached: new Set(this.#known.keys()),
    };
  }

  async #visit(node: Node, cost: number): Promise<void> {
    const path = eventsOf(node);
    const { state, choices, ending, findings } = await playPath(
      this.#configuration,
      this.#clock,
      path,
      this.#options.defect,
    );
    this.#paths++;
    this.#longest = Math.max(this.#longest, node.length);
    for (const finding of findings) this.#find(finding, path);
    const key = hash(state);
    const known = this.#known.get(key);
    const its = hash(ending);
    if (known !== undefined && known !== its) {
      this.#find({ rule: "paths to the same state end in the same way", detail: `${state}\n\n${ending}` }, path);
    }
    if (known === undefined) this.#known.set(key, its);
    else if (this.#options.merge !== false) return;
    if (node.length >= (this.#bound.length ?? Number.POSITIVE_INFINITY)) return;
    for (const event of choices) {
      this.#waiting[cost + costOf(event)]?.push({ parent: node, event, length: node.length + 1 });
    }
  }

  get #isDone(): boolean {
    const { until } = this.#options;
    return until !== undefined && [...this.#found.keys()].some((rule) => until.test(rule));
  }

  #find(finding: Finding, path: readonly string[]): void {
    const { name } = this.#configuration;
    if (!this.#found.has(finding.rule)) this.#found.set(finding.rule, { ...finding, configuration: name, path });
  }
}

function eventsOf(node: Node): string[] {
  const events: string[] = [];
  for (let at: Node | undefined = node; at?.parent !== undefined; at = at.parent) events.push(at.event);
  return events.reverse();
}

/**
 * Hashes a text to 53 bits: two rounds of cyrb53. Two of a million states collide with a probability of 1 in 18,000.
 */
function hash(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
