/**
 * Puts the judge between a client and its byte streams. It is independent of a test runner: tests, the soak and the
 * examples read the violations in their own ways.
 */
import type { ByteStream, Transport } from "../../src/byte-stream.ts";
import type { JudgedTransaction } from "./judged-transaction.ts";
import { judgeOutcome, type Reported, type ReportedReply } from "./outcomes.ts";
import { type Circumstances, latin1, type Violation, type WireEvent } from "./transcript.ts";
import { WireJudge } from "./wire-judge.ts";

/** A message whose report is judged by the transactions that carried it. */
type Carried = { readonly transactions: JudgedTransaction[] };

/** One watched connection. */
type Watched = {
  readonly judge: WireJudge;
  readonly circumstances: Circumstances;
  /** The planned messages whose MAIL was not sent yet. */
  readonly planned: Carried[];
  /** The message of the last transaction. */
  carries: Carried | undefined;
  /** True once the client has sent or received SMTP. */
  begun: boolean;
};

const watched = new WeakMap<object, Watched>();
const judges = new Set<Watched>();
const found: Violation[] = [];
/** The transactions that belong to no planned message, by their senders. */
const unassigned = new Map<string, { transaction: JudgedTransaction; connection: Watched }[]>();

/** The judge's counts: its silence means nothing if they are 0. */
export type Seen = { connections: number; transactions: number; reports: number };

const seen: Seen = { connections: 0, transactions: 0, reports: 0 };
let observer: (() => void) | undefined;

/** The counts so far. */
export function whatWasSeen(): Seen {
  return { ...seen };
}

/** Calls back after each event on a connection, and after each report. */
export function observe(callback: () => void): void {
  observer = callback;
}

/** Watches a stream in place, so that its identity does not change. */
export function watchStream(stream: ByteStream, circumstances: Circumstances): void {
  const judge = new WireJudge({ ...circumstances, implicitTls: stream.peer.tls !== undefined });
  const connection: Watched = { judge, circumstances, planned: [], carries: undefined, begun: false };
  watched.set(stream, connection);
  judges.add(connection);
  const { read, write, startTls, close, abort, unsent } = stream;
  const take = (event: WireEvent): void => {
    judge.take(event);
    observer?.();
  };
  const patched: ByteStream["write"] = (bytes) => {
    if (!connection.begun) begin(connection, asksProxy(bytes));
    take({ kind: "write", bytes: bytes.slice() });
    assign(connection);
    return write.call(stream, bytes);
  };
  Object.assign(stream, {
    write: patched,
    read: async () => {
      take({ kind: "settled" });
      const bytes = await read.call(stream);
      if (!connection.begun) begin(connection, false);
      take(bytes === null ? { kind: "lost" } : { kind: "read", bytes: bytes.slice() });
      return bytes;
    },
    startTls: async (options: Parameters<ByteStream["startTls"]>[0]) => {
      await startTls.call(stream, options);
      take({ kind: "tls" });
    },
    close: () => {
      take({ kind: "closed" });
      return close.call(stream);
    },
    abort: (reason: unknown) => {
      take({ kind: "dropped" });
      return abort.call(stream, reason);
    },
    unsent: unsent && ((asked: ByteStream["write"]) => unsent.call(stream, asked === patched ? write : asked)),
  });
}

function begin(connection: Watched, toProxy: boolean): void {
  connection.begun = true;
  if (toProxy) judges.delete(connection);
  else seen.connections++;
}

/** A transport whose connections are watched. A connection through a proxy has to be watched inside the proxy. */
export function watchTransport(transport: Transport, circumstances: Partial<Circumstances> = {}): Transport {
  return async (endpoint, options) => {
    const stream = await transport(endpoint, options);
    watchStream(stream, { protocol: "smtp", clearTextAllowed: stream.peer.loopback, ...circumstances });
    return stream;
  };
}

/** Whether these are a client's first bytes to a proxy: SOCKS 4 or 5, or HTTP's CONNECT. */
function asksProxy(bytes: Uint8Array): boolean {
  return bytes[0] === 4 || bytes[0] === 5 || latin1(bytes.subarray(0, 8)) === "CONNECT ";
}

/** Tells the judge of a connection about the caller's choice. */
export function tellJudge(stream: ByteStream | undefined, kind: "manual" | "chosen-auth" | "clear-text-allowed"): void {
  if (stream !== undefined) watched.get(stream)?.judge.take({ kind });
}

/** Tells the judge of a connection which reply a call for one command returned. */
export function creditReply(stream: ByteStream | undefined, verb: string, code: number): void {
  const connection = stream && watched.get(stream);
  const said = connection?.circumstances.protocol === "lmtp" && /^EHLO$/i.test(verb) ? "LHLO" : verb;
  connection?.judge.take({ kind: "credited", verb: said, code });
}

/** A message that a client is about to send: its report is judged by the transactions on its connections. */
export class WatchedMessage {
  readonly #carried: Carried = { transactions: [] };
  #connection: Watched | undefined;

  /** The message was planned for this connection; its next transaction carries it. */
  planned(stream: ByteStream | undefined): void {
    this.#connection = stream && watched.get(stream);
    this.#connection?.planned.push(this.#carried);
  }

  /** Takes the API's report. */
  reported(reported: Reported | undefined): void {
    const connection = this.#connection;
    if (reported === undefined || connection === undefined || connection.judge.manual) return;
    assign(connection);
    seen.reports++;
    found.push(...judgeOutcome(reported, this.#carried.transactions, connection.circumstances.protocol));
    const at = connection.planned.indexOf(this.#carried);
    if (at >= 0) connection.planned.splice(at, 1);
  }
}

/**
 * Takes the API's report of a message that is identified by its envelope, for programs that watch the client from
 * outside. `recipients` are those of the message; connections on which the caller sent its own bytes are left out.
 */
export function judgeEnvelope(from: string, to: readonly string[], reported: Reported | undefined): void {
  const own = (unassigned.get(from) ?? []).filter(({ transaction }) =>
    transaction.paths.every((one) => to.includes(one)),
  );
  if (reported === undefined || own.some(({ connection }) => connection.judge.manual)) return;
  const protocol = own[0]?.connection.circumstances.protocol ?? "smtp";
  const transactions = own.map(({ transaction }) => transaction);
  seen.reports++;
  found.push(...judgeOutcome(reported, transactions, protocol));
  observer?.();
  // The envelope of the next message to the same recipients may already have been sent.
  const over = own.filter(({ transaction, connection }) => transaction.isAnswered(protocol) || connection.judge.over);
  const left = (unassigned.get(from) ?? []).filter((one) => !over.includes(one));
  if (left.length > 0) unassigned.set(from, left);
  else unassigned.delete(from);
}

/**
 * Assigns the transactions since the last call to the messages that were planned for the connection, in order.
 * A message in batches has several: the next message is planned only when the last batch was sent.
 */
function assign(connection: Watched): void {
  for (const transaction of connection.judge.transactions.splice(0)) {
    seen.transactions++;
    connection.carries = connection.planned.shift() ?? connection.carries;
    if (connection.carries !== undefined) connection.carries.transactions.push(transaction);
    else {
      const others = unassigned.get(transaction.sender) ?? [];
      unassigned.set(transaction.sender, [...others, { transaction, connection }]);
    }
  }
}

/** The violations on all connections since the last call. */
export function takeViolations(): Violation[] {
  for (const connection of judges) {
    found.push(...connection.judge.violations.splice(0));
    if (connection.judge.over) judges.delete(connection);
  }
  return found.splice(0);
}

/** The report in a delivery, of this or of another copy of the package. */
export function reportOfDelivery(delivery: object): Reported {
  const accepted: unknown = Reflect.get(delivery, "accepted");
  const last = codeOf(Reflect.get(delivery, "reply"));
  const replies = repliesOf(Reflect.get(delivery, "refused"));
  if (last !== undefined) replies.push({ to: "content", code: last });
  return { kind: "delivered", accepted: Array.isArray(accepted) ? accepted.map(String) : 0, replies };
}

/** The report in an exception; undefined for an error without one, such as the reason of an abort. */
export function reportOfError(error: unknown): Reported | undefined {
  if (!(error instanceof Error) || !("delivery" in error && "temporary" in error)) return undefined;
  const { name, delivery } = error;
  const code = Number(Reflect.get(error, "smtp_code"));
  const replies: ReportedReply[] = repliesOf(Reflect.get(error, "recipients"));
  if (name === "SMTPSenderRefused") replies.push({ to: "sender", code });
  if (name === "SMTPDataError") replies.push({ to: "content", code });
  return { kind: "failed", delivery: isClaim(delivery) ? delivery : undefined, replies };
}

function isClaim(delivery: unknown): delivery is "not-sent" | "rejected" | "unknown" {
  return delivery === "not-sent" || delivery === "rejected" || delivery === "unknown";
}

function repliesOf(refused: unknown): ReportedReply[] {
  if (typeof refused !== "object" || refused === null) return [];
  return Object.entries(refused).map(([recipient, reply]) => ({
    to: "recipient",
    recipient,
    code: codeOf(reply) ?? 0,
  }));
}

function codeOf(reply: unknown): number | undefined {
  return Array.isArray(reply) && typeof reply[0] === "number" ? reply[0] : undefined;
}
