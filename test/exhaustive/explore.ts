/**
 * Enumerates, breadth-first, every interleaving of what the caller, the source of a body, the server and the clock can do.
 *
 * A path is a list of events. The client cannot be copied, so each path is played from the start. Paths are taken in the
 * order of how many of their events deviate from a good conversation (a refusal, a fault, an abort, silence, two events
 * at once), then of their length: the first path that finds something is a shortest one. No other event is bounded: the
 * bound is the number of deviations, and each path goes on until nothing more can happen.
 *
 * Two paths that lead to the same state are continued once. A state (`World.toString()`) is what can be seen from outside
 * of the client:
 * - each call: not made, pending, or its whole outcome; which signals have fired; how far each source was read;
 * - while a connection lives, all that the server knows: the commands that it has received and not answered, its open
 *   transaction, what it answered to EHLO and to the commands of each message that is not settled, the octets of a reply
 *   and of a command that are incomplete, octets that it has not read;
 * - after its end: what ended it, and at which command;
 * - the messages that the server took, and those that it may have taken;
 * - the timers that run, and for how long still; how long nothing was exchanged.
 *
 * The client is deterministic, so its state is a function of what it was given, in order. The state above forgets three
 * things of that: in which order independent things happened (a reply to one message, the abort of the other), how a
 * settled message came to its outcome, and what a connection said before it ended. So a client that keeps something of
 * those, and lets it influence a later message, could behave in two ways in what counts as one state, of which only one
 * is explored. That this does not happen is checked at each path that leads to a known state: the server falls silent,
 * the caller closes the session, and all that the client writes and reports until then must be the same, octet by octet,
 * as it was for the first path (`checkMerges: "closely"` continues both by good answers, too). And a smaller bound is
 * explored without merging at all by a test, and must reach the same states and findings.
 */

import type { Finding } from "./checks.ts";
import { Clock } from "./clock.ts";
import type { Configuration } from "./configurations.ts";
import { playPath, watchRejections } from "./path.ts";
import type { Defect } from "./planted.ts";
import { costOf } from "./world.ts";

/** How far the exploration goes. */
export type Bound = {
  /** The most deviations on one path. */
  readonly deviations: number;
  /** The most events on one path. */
  readonly length?: number;
};

/** What is found on a path, which is the shortest that finds it. */
export type Found = Finding & { readonly configuration: string; readonly path: readonly string[] };

/** What an exploration came to. */
export type Explored = {
  readonly states: number;
  readonly paths: number;
  readonly longest: number;
  readonly found: readonly Found[];
  /** The states, hashed. */
  readonly reached: ReadonlySet<number>;
};

/** How to explore. */
export type Options = {
  /** False: each path is continued, whatever state it leads to. */
  readonly merge?: boolean;
  /** No more is explored once a rule of this name is broken. */
  readonly until?: RegExp;
  /** A defect that the client is given. */
  readonly defect?: Defect;
};

type Node = {
  readonly parent: Node | undefined;
  readonly event: string;
  readonly length: number;
};

/** Explores one configuration. The clock of the process is replaced meanwhile. */
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
  /** By the number of deviations: the paths that are to be played. */
  readonly #waiting: (Node | undefined)[][] = [];
  /** State -> what ended the first path that led to it. */
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
        // What was played is not kept.
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

/** 53 bits of a text: two rounds of cyrb53. Of a million states, two are the same with a probability of 1 to 18,000. */
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
