/**
 * One path: a client, its caller and its server, moved event by event. After each event, everything runs that can run,
 * so the same events always lead to the same state.
 */
import { LMTP, type Reply, SMTP, type Transport } from "../../src/index.ts";
import { memoryTransport } from "../../transports/memory.ts";
import { type Clock, drain } from "./clock.ts";
import type { Configuration } from "./configurations.ts";
import type { Taken } from "./mail-store.ts";
import { MessageCall, type Outcome, shownError } from "./message-call.ts";
import type { Defect } from "./planted.ts";
import { ScriptedServer } from "./server.ts";
import { TappedStream } from "./tap.ts";

/** One connection, from both ends. */
export type Connection = { readonly tap: TappedStream; readonly server: ScriptedServer };

/** An event that is not part of a good session, and where it happened. */
export type Deviation = {
  readonly event: string;
  /** The command that was awaiting a reply. */
  readonly verb: string | undefined;
  /** The message that the event concerns. */
  readonly message: 1 | 2 | undefined;
  /** True if the event cannot concern any other message. */
  readonly isHarmless: boolean;
};

/** Timeouts in seconds, a different one for each phase. */
export const TIMEOUTS = {
  connect: 7,
  greeting: 11,
  command: 13,
  envelope: 17,
  dataInit: 19,
  dataBlock: 23,
  dataDone: 29,
  quit: 5,
} as const;

/** Seconds that pass while the server is slow, but not too slow. */
const DELAY = 3;

/** Events that another event can follow at once: replies in one packet, calls in one turn of the event loop. */
const GLUED = /^(call \d|ok|4yz|5yz|rest)$/;

const NOT_THE_SERVERS = new Set(["time", "dawdle", "quit", "close", "connect", "refuse", "connect again"]);

const FREE = /^(call \d|quit|give \d|end \d|connect|connect again|read|ok|all ok|rest)$/;

/** The number of deviations from a good session that an event counts as. */
export function costOf(event: string): number {
  const glued = event.endsWith("+");
  return (FREE.test(glued ? event.slice(0, -1) : event) ? 0 : 1) + (glued ? 1 : 0);
}

/** The caller's other calls. */
type Call = { called: boolean; outcome: string | undefined; reply: Reply | undefined };

const notCalled = (): Call => ({ called: false, outcome: undefined, reply: undefined });

/** One path. */
export class World {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly smtp: SMTP;
  readonly messages: readonly [MessageCall, MessageCall];
  readonly connections: Connection[] = [];
  readonly deviations: Deviation[] = [];
  /** The client's actions in order: writes, ends of connections, outcomes. */
  readonly notes: string[] = [];
  readonly quit: Call = notCalled();
  readonly again: Call = notCalled();
  closed = false;
  /** The reason for the end of the last connection. */
  overBy = "";
  /** The calls in the order in which they were made: the caller's queue. */
  readonly calls: (MessageCall | Call)[] = [];
  #connecting: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #glued = "";
  /** The time of the last exchange between the client and the server. */
  #exchangedAt = 0;
  #exchanged = "";
  #last = "";
  #dawdled = false;

  readonly #defect: Defect;
  /** The events since the server has read all of the client's bytes. */
  readonly #unread: string[] = [];

  constructor(configuration: Configuration, clock: Clock, defect: Defect = {}) {
    this.configuration = configuration;
    this.clock = clock;
    this.#defect = defect;
    clock.reset();
    const { protocol, pipelining, chunking, recipients, bodies, chunks } = configuration;
    this.messages = [
      new MessageCall({ id: 1, recipients: recipients[0], body: bodies[0], chunks }),
      new MessageCall({ id: 2, recipients: recipients[1], body: bodies[1], chunks }),
    ];
    const timeouts = { ...TIMEOUTS };
    const options = { transport: this.#transport, local_hostname: "client.test", timeouts, pipelining, chunking };
    this.smtp = new (protocol === "lmtp" ? LMTP : SMTP)("server.test", 25, options);
  }

  /** The last connection. */
  get connection(): Connection | undefined {
    return this.connections.at(-1);
  }

  /** True while the transport connects. */
  get isConnecting(): boolean {
    return this.#connecting !== undefined;
  }

  /** Seconds since the last exchange. */
  get silence(): number {
    return (this.clock.now - this.#exchangedAt) / 1000;
  }

  /** Runs everything that can run. */
  async settle(): Promise<void> {
    await drain();
    this.#glued = "";
    this.#noteExchange();
  }

  /** Performs one of the choices; a choice that ends in "+" happens at the same time as the next one. */
  apply(event: string): void {
    const glued = event.endsWith("+");
    const plain = glued ? event.slice(0, -1) : event;
    this.#last = plain;
    this.#unread.push(plain);
    if (costOf(plain) > 0) this.deviations.push(this.#deviation(plain));
    this.#act(plain, glued);
    if (glued) this.#glued += event;
  }

  /** All events that can follow. */
  choices(): string[] {
    const choices = [...this.#callerChoices(), ...this.#serverChoices()].filter((choice) => this.#isFair(choice));
    if (this.clock.runs && this.#glued === "") choices.push("time", ...(this.#dawdled ? [] : ["dawdle"]));
    const glued = this.#glued === "" ? choices.filter((choice) => GLUED.test(choice)) : [];
    return [...choices, ...glued.map((choice) => `${choice}+`)];
  }

  /** Lets some time pass, and fires all timers that are due meanwhile. */
  async dawdle(): Promise<void> {
    const until = this.clock.now + DELAY * 1000;
    for (
      let [next] = this.clock.pending;
      next !== undefined && this.clock.now + next <= until;
      [next] = this.clock.pending
    ) {
      this.clock.advance();
      await this.settle();
    }
    this.clock.pass(until - this.clock.now);
    this.#dawdled = true;
    await this.settle();
  }

  /** Lets time pass until the client acts. */
  async letTimePass(): Promise<void> {
    const before = this.notes.length;
    while (this.clock.runs && this.notes.length === before) {
      this.clock.advance();
      await this.settle();
    }
  }

  /** Everything that decides the next events, as far as it is visible from outside of the client; see `explore.ts`. */
  toString(): string {
    const { closed, quit, again, messages, connection, clock, smtp } = this;
    const parts: unknown[] = [closed, quit.called, quit.outcome, again.called, again.outcome, this.isConnecting];
    for (const message of messages) {
      parts.push(message);
      if (message.isPending) parts.push(...this.transactionsOf(message));
    }
    parts.push(this.#queue);
    if (connection?.tap.over === undefined) {
      parts.push(connection?.server, connection && connection.tap.written - connection.server.received);
      // Which deadline runs while a write waits depends on the events since then.
      parts.push(this.#unread);
    } else parts.push(this.overBy);
    for (const { server } of this.connections) parts.push(shownTaken(server.taken), shownTaken(server.mayTake()));
    parts.push(this.connections.length, this.#dawdled, clock.pending, this.silence, smtp.connected, this.#glued);
    return parts.join("\n");
  }

  /** The transactions that carried a message. */
  transactionsOf({ from }: MessageCall): ScriptedServer["reader"]["transactions"] {
    return this.connections.flatMap(({ server }) => server.reader.transactions.filter((one) => one.from === from));
  }

  /** True if the caller has called the method, and its promise is pending. */
  isPending({ called, outcome }: Call): boolean {
    return called && outcome === undefined;
  }

  /** A reply before the command of a call that was just made cannot be distinguished from the reply to that command. */
  #isFair(choice: string): boolean {
    return !this.#glued.startsWith("call") || !/^(say|early)/.test(choice);
  }

  /** The calls that wait for each other, and the relevant fact about settled ones: whether QUIT came before. */
  get #queue(): string {
    const names = this.calls.map((call) => {
      if (call === this.quit) return "quit";
      if (call === this.again) return "again";
      return call.outcome === undefined && call instanceof MessageCall ? `message ${call.id}` : "";
    });
    return names.join();
  }

  #callerChoices(): string[] {
    const choices: string[] = [];
    for (const { id, called, aborted, source } of this.messages) {
      if (!called) choices.push(`call ${id}`);
      else if (!aborted) choices.push(`abort ${id}`);
      for (const choice of source?.choices ?? []) choices.push(`${choice} ${id}`);
    }
    if (!this.quit.called) choices.push("quit");
    if (!this.closed) choices.push("close");
    const over = this.connection?.tap.over !== undefined;
    if (this.configuration.reconnects && over && !this.again.called) choices.push("connect again");
    return choices;
  }

  #serverChoices(): string[] {
    if (this.#connecting) return ["connect", "refuse"];
    const { connection } = this;
    if (connection === undefined || connection.tap.over !== undefined) return [];
    return connection.server.choices(connection.tap.written - connection.server.received);
  }

  #act(event: string, glued: boolean): void {
    const [what, id] = event.split(" ");
    const message = this.messages[Number(id) - 1];
    if (message !== undefined || NOT_THE_SERVERS.has(event)) this.connection?.server.release();
    if (message !== undefined) return this.#actOn(message, what ?? "");
    switch (event) {
      case "time":
      case "dawdle":
        return;
      case "quit":
        return this.#call(this.quit, this.smtp.quit());
      case "connect again":
        return this.#call(this.again, this.smtp.connect("server.test", 25));
      case "close":
        this.closed = true;
        return this.smtp.close();
      case "connect":
        return this.#connecting?.resolve();
      case "refuse":
        return this.#connecting?.reject(Object.assign(new Error("connection refused"), { code: "ECONNREFUSED" }));
      default:
        return this.connection?.server.act(event, glued);
    }
  }

  #actOn(message: MessageCall, what: string): void {
    if (what === "abort") return message.abort();
    if (what !== "call") return message.source?.act(what);
    this.calls.push(message);
    const settle = (outcome: Outcome): void => {
      message.outcome = outcome;
      this.notes.push(`settled ${message}`);
    };
    const again = (next: (outcome: Outcome) => void): void => message.call(this.smtp, next);
    const { report } = this.#defect;
    again(report === undefined ? settle : (outcome) => report({ outcome, message, settle, again }));
  }

  #call(call: Call, promise: Promise<Reply>): void {
    call.called = true;
    this.calls.push(call);
    const settle = (outcome: string, reply?: Reply): void => {
      call.outcome = outcome;
      call.reply = reply;
      this.notes.push(`settled ${outcome}`);
    };
    promise.then(
      (reply) => settle(`${reply[0]} ${reply[0] === -1 ? "" : reply[1]}`, reply),
      (error: unknown) => settle(shownError(error)),
    );
  }

  readonly #transport: Transport = async (endpoint, options) => {
    await new Promise<void>((resolve, reject) => {
      this.#connecting = { resolve, reject };
      options.signal?.addEventListener("abort", () => reject(options.signal?.reason), { once: true });
    }).finally(() => {
      this.#connecting = undefined;
    });
    const { readsLate, protocol, pipelining } = this.configuration;
    let server: ScriptedServer | undefined;
    const transport = memoryTransport(
      (stream) => {
        server = new ScriptedServer(stream, this.configuration);
      },
      { highWaterMark: readsLate ? 0 : 65_536 },
    );
    const stream = await transport(endpoint, options);
    const circumstances = { protocol, clearTextAllowed: true, eager: pipelining === "eager" };
    const tap = new TappedStream(stream, circumstances, (what) => this.#note(what));
    if (server === undefined) throw new Error("the transport connected to no server");
    this.connections.push({ tap, server });
    return this.#defect.stream?.(tap) ?? tap;
  };

  #note(what: string): void {
    this.notes.push(what);
    if (/^(closed|dropped)$/.test(what)) this.overBy = `${this.#last} ${this.connection?.server.head?.label}`;
  }

  #noteExchange(): void {
    const { connection } = this;
    const exchanged = connection
      ? `${connection.tap.written} ${connection.server.received} ${connection.server.said.size}`
      : "";
    if (exchanged !== this.#exchanged) this.#exchangedAt = this.clock.now;
    this.#exchanged = exchanged;
    if (connection?.tap.written === connection?.server.received) this.#unread.length = 0;
  }

  #deviation(event: string): Deviation {
    const head = this.connection?.server.head;
    const { from } = head?.transaction ?? {};
    const ofHead = this.messages.find((message) => message.from === from);
    const id = Number(event.split(" ")[1]);
    const named = this.messages.find((message) => message.id === id);
    const verb = head?.verb;
    const message = named ?? (/^(abort|fail)/.test(event) ? undefined : ofHead);
    return { event, verb, message: message?.id, isHarmless: this.#isHarmless(event, verb, message) };
  }

  /** Whether an event can prevent the delivery only of the message that it concerns. */
  #isHarmless(event: string, verb = "", message: MessageCall | undefined): boolean {
    if (message === undefined) return false;
    if (event.startsWith("abort")) return this.#waits(message) || message.outcome !== undefined;
    const refuses = /^(4yz|5yz|452)$/.test(event) && /^(MAIL|RCPT|DATA|BDAT|LAST|\.)$/.test(verb);
    // For LMTP, no RFC defines how many replies follow a refused chunk.
    return refuses && !(verb === "BDAT" && this.configuration.protocol === "lmtp");
  }

  /** Whether a message waits in the queue behind the other one. */
  #waits(message: MessageCall): boolean {
    const other = this.messages[message.id === 1 ? 1 : 0];
    // The server does not see what is written behind a blocked write, and the client cannot withdraw it.
    if (this.configuration.readsLate || this.#glued !== "") return false;
    const isSecond = this.calls.indexOf(other) < this.calls.indexOf(message);
    return isSecond && message.isPending && other.isPending && this.transactionsOf(message).length === 0;
  }
}

function shownTaken(taken: readonly Taken[]): string {
  return taken.map(({ content, from, address }) => `${content.length} ${from} ${address}`).join();
}
