/** The transport of a scenario: the outcome of each attempt to connect, and the bytes on each connection. */
import type { ByteStream, ConnectOptions, Transport } from "../../src/index.ts";
import { createMemoryPair } from "../../transports/memory.ts";
import { ClientStream } from "./client-stream.ts";
import { keyOf, type Ledger, type MessageKey } from "./ledger.ts";
import { FaultDraw } from "./misbehaviour.ts";
import { Random } from "./random.ts";
import type { Scenario, Weather } from "./scenario.ts";
import { ServerSession } from "./server-session.ts";
import type { VirtualTime } from "./virtual-time.ts";

const LF = 10;

/** An attempt to connect, and the resulting connection. */
export type ClientConnection = {
  readonly number: number;
  readonly weather: Weather;
  readonly beganAt: number;
  /** The time at which the pool released the connection, which no longer counts then. */
  releasedAt: number | undefined;
  stream: ClientStream | undefined;
  /** True from the reply that permits mail until the client or the server ends the connection. */
  isUsable: boolean;
  /** The refusal that another attempt would get, too; undefined: none was read. */
  refusal: string | undefined;
  /** True until the client has written something. */
  isSilent: boolean;
  saidQuit: boolean;
  /** True while RSET is unanswered: the failed message, or the next one, waits for that. */
  isResetting: boolean;
  /** The number of AUTH commands, and of those that succeeded. */
  logins: number;
  successes: number;
  /** The text since the last complete line, until the connection is usable. */
  heard: string;
  /** The time of the last byte, and the number of messages that have begun. */
  passedAt: number;
  messages: number;
  /** The number of the judge's transactions that were reported to the observer. */
  transactions: number;
};

/** Receives the client's actions. */
export type Observer = {
  connecting(connection: ClientConnection): void;
  /** A login has succeeded. */
  loggedIn(connection: ClientConnection): void;
  /** An attempt failed, or the first replies of a connection refuse it permanently. */
  refused(connection: ClientConnection): void;
  released(connection: ClientConnection): void;
  /** MAIL was sent. */
  began(connection: ClientConnection, message: MessageKey): void;
  /** Receives a line for the trace; undefined: there is no trace. */
  readonly note: ((text: string) => void) | undefined;
};

/** All connections of a scenario. */
export class Network {
  /** All connections, and those that the client has not released. */
  readonly connections: ClientConnection[] = [];
  readonly open = new Set<ClientConnection>();
  readonly #scenario: Scenario;
  readonly #time: VirtualTime;
  readonly #ledger: Ledger;
  readonly #observer: Observer;
  readonly #random: Random;
  /** All sessions of the server, and those that count as open. */
  readonly #begun: ServerSession[] = [];
  readonly #sessions = new Set<ServerSession>();
  /** The functions that end the hanging attempts to connect. */
  readonly #hanging: ((reason: unknown) => void)[] = [];

  constructor(scenario: Scenario, time: VirtualTime, ledger: Ledger, observer: Observer) {
    this.#scenario = scenario;
    this.#time = time;
    this.#ledger = ledger;
    this.#observer = observer;
    this.#random = new Random(scenario.seed, 1);
  }

  /** The server works from here on. */
  recover(): void {
    for (const session of this.#begun) session.recover();
    for (const fail of this.#hanging) fail(systemError("ETIMEDOUT"));
  }

  readonly transport: Transport = async (_, options) => {
    const connection = this.#begin();
    const gaveUp = (): void => this.#release(connection);
    options.signal?.addEventListener("abort", gaveUp, { once: true });
    try {
      options.signal?.throwIfAborted();
      return await this.#connect(connection, options);
    } catch (error) {
      this.#release(connection);
      this.#observer.note?.(`#${connection.number} ${error instanceof Error ? error.message : String(error)}`);
      if (connection.weather === "unknown host" && options.signal?.aborted !== true)
        this.#refused(connection, "unknown host");
      throw error;
    } finally {
      options.signal?.removeEventListener("abort", gaveUp);
    }
  };

  #begin(): ClientConnection {
    const connection: ClientConnection = {
      number: this.connections.length + 1,
      weather: this.#weather(),
      beganAt: this.#time.now,
      releasedAt: undefined,
      stream: undefined,
      isUsable: false,
      refusal: undefined,
      isSilent: true,
      saidQuit: false,
      isResetting: false,
      logins: 0,
      successes: 0,
      heard: "",
      passedAt: this.#time.now,
      messages: 0,
      transactions: 0,
    };
    this.connections.push(connection);
    this.open.add(connection);
    this.#observer.note?.(`#${connection.number} connects (${connection.weather})`);
    this.#observer.connecting(connection);
    return connection;
  }

  #weather(): Weather {
    if (this.#time.now >= this.#scenario.goodAt) return "accepted";
    const front = this.#scenario.fronts.findLast(({ at }) => at <= this.#time.now);
    return front !== undefined && this.#random.chance(front.probability) ? front.weather : "accepted";
  }

  async #connect(connection: ClientConnection, { signal }: ConnectOptions): Promise<ByteStream> {
    const { weather } = connection;
    const wait = this.#random.between(...this.#scenario.server.latency);
    if (weather === "connect hangs") return Promise.race([this.#aborted(signal), this.#hang()]);
    const isSlow = weather === "slow connect";
    await this.#patiently(isSlow ? this.#random.between(10, 4_000) : wait, signal);
    if (weather === "refused") throw systemError("ECONNREFUSED");
    if (weather === "unknown host") throw systemError("ENOTFOUND");
    if (weather === "temporarily unknown host") throw systemError("EAI_AGAIN");
    return this.#accept(connection);
  }

  #hang(): Promise<never> {
    return new Promise((_, reject) => void this.#hanging.push(reject));
  }

  #aborted(signal: AbortSignal | undefined): Promise<never> {
    return new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  /** Waits, unless the client gives up: some transports notice that at once, some only at the end of the wait. */
  async #patiently(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#random.chance(0.1)) return this.#time.wait(ms);
    await Promise.race([this.#time.wait(ms), this.#aborted(signal)]);
  }

  #accept(connection: ClientConnection): ByteStream {
    const { server, seed, pool, faults, goodAt } = this.#scenario;
    const { chunkSize, highWaterMark, latency } = server;
    const [client, remote] = createMemoryPair({ chunkSize, highWaterMark });
    const stream = new ClientStream(client, {
      protocol: pool.protocol,
      eager: pool.pipelining === "eager",
      wrote: (bytes) => this.#wrote(connection, bytes),
      read: (bytes) => this.#read(connection, bytes),
      asTransport: (work) => this.#time.asTransport(work),
      ended: (how) => {
        if (connection.releasedAt === undefined) this.#observer.note?.(`#${connection.number} ${how} by the client`);
        this.#release(connection);
      },
    });
    connection.stream = stream;
    const random = new Random(seed, 2, connection.number);
    const session = new ServerSession(
      {
        time: this.#time,
        plan: server,
        protocol: pool.protocol,
        login: pool.login,
        ledger: this.#ledger,
        open: () => this.#sessions.size,
        note: this.#observer.note && ((text) => this.#observer.note?.(`#${connection.number} ${text}`)),
        ended: (ended) => void this.#sessions.delete(ended),
      },
      remote,
      connection.weather,
      new FaultDraw(random, faults, latency, () => this.#time.now < goodAt),
    );
    this.#begun.push(session);
    this.#sessions.add(session);
    session.begin();
    return stream;
  }

  #wrote(connection: ClientConnection, bytes: Uint8Array): void {
    connection.passedAt = this.#time.now;
    this.#observer.note?.(`#${connection.number} C: ${shown(bytes)}`);
    connection.isSilent = false;
    const transactions = connection.stream?.judge.transactions ?? [];
    for (; connection.transactions < transactions.length; connection.transactions++) {
      const key = keyOf(transactions[connection.transactions]?.sender ?? "");
      if (key !== undefined) this.#observer.began(connection, key);
    }
    const text = latin1(bytes);
    if (/^AUTH /m.test(text) && !connection.isUsable) connection.logins++;
    // A connection of `check()` does not belong to the pool.
    if (text === "NOOP\r\n") connection.isUsable = false;
    connection.isResetting = text.endsWith("RSET\r\n");
    if (!/^QUIT\r\n/m.test(text)) return;
    connection.saidQuit = true;
    connection.isUsable = false;
    if (connection.refusal !== undefined) this.#observer.refused(connection);
  }

  #read(connection: ClientConnection, bytes: Uint8Array | null): void {
    connection.passedAt = this.#time.now;
    this.#observer.note?.(`#${connection.number} S: ${bytes === null ? "(the end)" : shown(bytes)}`);
    if (bytes === null) connection.isUsable = false;
    else if (bytes.at(-1) === LF) connection.isResetting = false;
    if (connection.isUsable || connection.saidQuit || bytes === null) return;
    const [rest = "", ...lines] = `${connection.heard}${latin1(bytes)}`.split("\r\n").reverse();
    connection.heard = rest;
    for (const line of lines.reverse()) this.#heard(connection, line);
  }

  /** Evaluates a line on a connection that may not send mail yet. */
  #heard(connection: ClientConnection, line: string): void {
    const hasLogin = this.#scenario.pool.login !== "none";
    if (hasLogin && line.startsWith("235 ")) {
      connection.successes++;
      connection.isUsable = true;
      connection.refusal = undefined;
      this.#observer.loggedIn(connection);
    } else if (!hasLogin && line === "250 8BITMIME") connection.isUsable = true;
    else if (line.startsWith("535 ")) connection.refusal = line;
    else if (line.startsWith("5") && connection.isSilent) connection.refusal = line;
  }

  #refused(connection: ClientConnection, why: string): void {
    connection.refusal = why;
    this.#observer.refused(connection);
  }

  #release(connection: ClientConnection): void {
    if (connection.releasedAt !== undefined) return;
    connection.releasedAt = this.#time.now;
    this.open.delete(connection);
    connection.isUsable = false;
    this.#observer.released(connection);
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function shown(bytes: Uint8Array): string {
  const text = latin1(bytes);
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 250)}…${text.slice(-40)} (${text.length})` : text);
}
