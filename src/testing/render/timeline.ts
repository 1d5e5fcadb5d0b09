/** A transcript as steps in time: what was written or read at once, by whom, after what pause. */
import { ContentTracker } from "../content-tracker.ts";
import { type Entry, parseNotedTranscript, unescapeOctets } from "../transcript.ts";

/** What happened at once. */
export type Step = {
  readonly kind: "connect" | "client" | "server" | "tls" | "end";
  /** Milliseconds since the recording began; undefined where the transcript has no times. */
  readonly at: number | undefined;
  /** Milliseconds since the step before. */
  readonly gap: number | undefined;
  /** The lines as the transcript has them. */
  readonly lines: readonly string[];
  /** Those of the lines that are no content of a message: commands, or the reply. */
  readonly commands: readonly string[];
  readonly octets: number;
  /** Those of the octets that are content of a message. */
  readonly content: number;
  /** Whether a secret was masked: how long that was is not known. */
  readonly masked: boolean;
  /** What the transcript notes of it: the kind of TLS. */
  readonly notes: readonly string[];
};

/** One connection. */
export type Timeline = {
  readonly endpoint: string;
  readonly steps: readonly Step[];
  /** Milliseconds from the connection to its last step. */
  readonly duration: number | undefined;
  readonly sent: number;
  readonly received: number;
  /** Whether the octets of masked secrets are missing in that. */
  readonly sentMasked: boolean;
  readonly receivedMasked: boolean;
  /** How often the client wrote. */
  readonly writes: number;
  /** How often the client had to wait for the server: a write, and what came back. */
  readonly roundTrips: number;
  /** Milliseconds for which each side waited for the other. */
  readonly clientWaited: number | undefined;
  readonly serverWaited: number | undefined;
};

/**
 * Reads a transcript.
 *
 * @throws SyntaxError for what is none
 */
export function timelinesOf(transcript: string): Timeline[] {
  return parseNotedTranscript(transcript).map((entries) => timelineOf(new StepReader().read(entries)));
}

function timelineOf(steps: readonly Step[]): Timeline {
  const [first] = steps;
  const sum = (kind: Step["kind"], of: (step: Step) => number): number =>
    steps.filter((step) => step.kind === kind).reduce((total, step) => total + of(step), 0);
  const masked = (side: Step["kind"]): boolean => steps.some((step) => step.kind === side && step.masked);
  const timed = steps.some(({ at }) => at !== undefined);
  const waited = (kind: "client" | "server"): number | undefined =>
    timed ? sum(kind, ({ gap = 0 }) => gap) : undefined;
  return {
    endpoint: first?.lines[0] ?? "",
    steps,
    duration: timed ? (steps.at(-1)?.at ?? 0) - (first?.at ?? 0) : undefined,
    sent: sum("client", ({ octets }) => octets),
    received: sum("server", ({ octets }) => octets),
    sentMasked: masked("client"),
    receivedMasked: masked("server"),
    writes: steps.filter(({ kind }) => kind === "client").length,
    roundTrips: steps.filter(({ kind }, index) => kind === "server" && steps[index - 1]?.kind === "client").length,
    // A client that writes twice in a row has kept the server waiting, too.
    clientWaited: waited("server"),
    serverWaited: waited("client"),
  };
}

type Draft = {
  kind: Step["kind"];
  at: number | undefined;
  lines: string[];
  commands: string[];
  octets: number;
  content: number;
  masked: boolean;
  notes: string[];
};

/** What stands for a login's secrets in a transcript: a response, or the challenge of SCRAM. */
const MASKED = { client: /^(?:\s*AUTH\s+\S+\s+)?\*\*\*$/i, server: /^334 \*\*\*$/ };

/** Puts the entries of one session together into steps. */
class StepReader {
  readonly #drafts: Draft[] = [];
  readonly #content = new ContentTracker();
  #at: number | undefined;
  /** Whether a time came since the last step: what follows was not written together with that. */
  #apart = true;

  read(entries: readonly Entry[]): Step[] {
    for (const entry of entries) this.#take(entry);
    return this.#drafts.map((draft, index) => {
      const before = this.#drafts[index - 1]?.at;
      return { ...draft, gap: draft.at === undefined || before === undefined ? undefined : draft.at - before };
    });
  }

  #take(entry: Entry): void {
    switch (entry.does) {
      case "time":
        this.#at = entry.at;
        this.#apart = true;
        return;
      case "note":
        return this.#note(entry.text);
      case "connect":
        this.#step("connect").lines.push(entry.endpoint);
        return;
      case "tls":
      case "end":
        this.#step(entry.does);
        return;
      default:
        return this.#line(entry.does, entry.text, entry.ended);
    }
  }

  #line(side: "client" | "server", text: string, ended: boolean): void {
    const last = this.#drafts.at(-1);
    const step = last?.kind === side && !this.#apart ? last : this.#step(side);
    const octets = unescapeOctets(text).length + (ended ? 2 : 0);
    step.lines.push(ended ? text : `${text} [no line end]`);
    if (side === "server") this.#content.reply(text);
    const part = side === "client" ? this.#content.take(text, octets) : "command";
    if (part !== "command") step.content += octets;
    else step.commands.push(text);
    // The mask says nothing of the length of what it stands for.
    if (part === "command" && MASKED[side].test(text)) step.masked = true;
    else step.octets += octets;
  }

  #note(text: string): void {
    const [, more] = /^(\d+) more octets$/.exec(text) ?? [];
    const last = this.#drafts.at(-1);
    if (more === undefined) {
      last?.notes.push(text);
      return;
    }
    const step = last?.kind === "client" && !this.#apart ? last : this.#step("client");
    const octets = Number(more);
    this.#content.skip(octets);
    step.octets += octets;
    step.content += octets;
    step.lines.push(`[${more} more octets]`);
  }

  #step(kind: Step["kind"]): Draft {
    const draft: Draft = {
      kind,
      at: this.#at,
      lines: [],
      commands: [],
      octets: 0,
      content: 0,
      masked: false,
      notes: [],
    };
    this.#apart = false;
    this.#drafts.push(draft);
    return draft;
  }
}
