/**
 * Puts the judge under every test: each connection of the client's is watched, and after each test no violation may
 * stand. A test whose caller breaks a rule on purpose says so by `permit()`.
 */
import { afterEach, expect } from "vitest";
import type { ByteStream } from "../../src/byte-stream.ts";
import type { Delivery } from "../../src/client/outcome.ts";
import { SMTPException } from "../../src/errors.ts";
import type { JudgedTransaction } from "./judged-transaction.ts";
import { judgeOutcome, type Reported } from "./outcomes.ts";
import type { Circumstances, Violation } from "./transcript.ts";
import { WireJudge } from "./wire-judge.ts";

/** One watched connection. */
type Watched = {
  readonly judge: WireJudge;
  readonly circumstances: Circumstances;
  /** The messages that were planned and have sent no MAIL yet. */
  readonly planned: Carried[];
  /** The message of the last transaction. */
  carries: Carried | undefined;
  /** How many transactions belong to a message already. */
  assigned: number;
};

const watched = new WeakMap<object, Watched>();
const judges = new Set<WireJudge>();
const found: Violation[] = [];
const permitted: RegExp[] = [];

/** Permits violations of rules for the rest of the test: its caller, or its server, is not one that keeps to the RFCs. */
export function permit(rule: RegExp): void {
  permitted.push(rule);
}

/** Watches a stream, in place: what the client compares by identity stays the same. */
export function watchStream(stream: ByteStream, circumstances: Circumstances): void {
  const judge = new WireJudge({ ...circumstances, implicitTls: stream.peer.tls !== undefined });
  const connection: Watched = { judge, circumstances, planned: [], carries: undefined, assigned: 0 };
  watched.set(stream, connection);
  judges.add(judge);
  const { read, write, startTls, close, abort, unsent } = stream;
  const patched: ByteStream["write"] = (bytes) => {
    judge.take({ kind: "write", bytes: bytes.slice() });
    assign(connection);
    return write.call(stream, bytes);
  };
  Object.assign(stream, {
    write: patched,
    read: async () => {
      judge.take({ kind: "settled" });
      const bytes = await read.call(stream);
      judge.take(bytes === null ? { kind: "lost" } : { kind: "read", bytes: bytes.slice() });
      return bytes;
    },
    startTls: async (options: Parameters<ByteStream["startTls"]>[0]) => {
      await startTls.call(stream, options);
      judge.take({ kind: "tls" });
    },
    close: () => {
      judge.take({ kind: "closed" });
      return close.call(stream);
    },
    abort: (reason: unknown) => {
      judge.take({ kind: "dropped" });
      return abort.call(stream, reason);
    },
    unsent: unsent && ((asked: ByteStream["write"]) => unsent.call(stream, asked === patched ? write : asked)),
  });
}

/** Tells the judge of a connection what the caller chose. */
export function tellJudge(stream: ByteStream | undefined, kind: "manual" | "chosen-auth" | "clear-text-allowed"): void {
  if (stream !== undefined) watched.get(stream)?.judge.take({ kind });
}

/** A message whose report is judged by the transactions that carried it. */
type Carried = { readonly transactions: JudgedTransaction[] };

/** What is reported of a message, judged by the transactions that carried it. */
export class MessageReport {
  readonly #carried: Carried = { transactions: [] };
  #connection: Watched | undefined;

  /** The message was planned for the connection with this stream. */
  planned(stream: ByteStream): void {
    this.#connection = watched.get(stream);
    this.#connection?.planned.push(this.#carried);
  }

  delivered(outcome: Delivery): void {
    this.#judge({ kind: "delivered", accepted: outcome.accepted.length });
  }

  failed(error: unknown): void {
    if (error instanceof SMTPException) this.#judge({ kind: "failed", delivery: error.delivery });
  }

  #judge(reported: Reported): void {
    const connection = this.#connection;
    if (connection === undefined || connection.judge.manual) return;
    assign(connection);
    found.push(...judgeOutcome(reported, this.#carried.transactions, connection.circumstances.protocol));
    const at = connection.planned.indexOf(this.#carried);
    if (at >= 0) connection.planned.splice(at, 1);
  }
}

/**
 * Gives the transactions that began since the last call to the messages that were planned for the connection, in order.
 * A message in portions has several: the next message is planned only when the last portion was sent.
 */
function assign(connection: Watched): void {
  for (const transaction of connection.judge.transactions.slice(connection.assigned)) {
    connection.carries = connection.planned.shift() ?? connection.carries;
    connection.carries?.transactions.push(transaction);
  }
  connection.assigned = connection.judge.transactions.length;
}

/** What was found since the last call, except what was permitted. */
export function violations(): Violation[] {
  for (const judge of judges) found.push(...judge.violations.splice(0));
  judges.clear();
  return found.splice(0).filter(({ rule }) => !permitted.some((one) => one.test(rule)));
}

/** Fails each test of the file after which a violation stands. */
export function judgeEachTest(): void {
  afterEach(() => {
    const left = violations();
    permitted.length = 0;
    expect(left, "violations of the RFCs").toEqual([]);
  });
}
