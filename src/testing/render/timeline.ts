/** Turns a transcript into steps in time: the lines of one write, its side, and the pause before it. */
import { ContentTracker } from "../content-tracker.ts";
import { type Entry, parseNotedTranscript, unescapeOctets } from "../transcript.ts";

/** One step: lines that were written or read together. */
export type Step = {
  readonly kind: "connect" | "client" | "server" | "tls" | "end";
  /** Milliseconds since the recording began; undefined if the transcript has no times. */
  readonly at: number | undefined;
  /** Milliseconds since the step before. */
  readonly gap: number | undefined;
  /** The lines of the transcript. */
  readonly lines: readonly string[];
  /** The lines that are not content of a message: commands, or the reply. */
  readonly commands: readonly string[];
  readonly octets: number;
  /** The bytes that are content of a message. */
  readonly content: number;
  /** Whether a secret was masked, whose length is not known. */
  readonly masked: boolean;
  /** The note of the transcript: the kind of TLS. */
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
  /** Whether the bytes of masked secrets are missing in that number. */
  readonly sentMasked: boolean;
  readonly receivedMasked: boolean;
  /** The number of the client's writes. */
  readonly writes: number;
  /** The number of round trips: writes after which the client had to wait for the server. */
  readonly roundTrips: number;
  /** Milliseconds for which each side waited for the other. */
  readonly clientWaited: number | undefined;
  readonly serverWaited: number | undefined;
};

/**
 * Reads a transcript.
 *
 * @throws SyntaxError for an invalid one
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
    // Between two writes of the client, the server has waited.
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

/** The mask of a login's secrets in a transcript: a response, or the challenge of SCRAM. */
const MASKED = { client: /^(?:\s*AUTH\s+\S+\s+)?\*\*\*$/i, server: /^334 \*\*\*$/ };

/** Groups the entries of one session into steps. */
class StepReader {
  readonly #drafts: Draft[] = [];
  readonly #content = new ContentTracker();
  #at: number | undefined;
  /** Whether a time was noted since the last step: the next line belongs to another write. */
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
    // The mask does not tell the length of the secret.
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
