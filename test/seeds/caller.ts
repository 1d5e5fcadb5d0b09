/** The caller: makes the calls of a scenario, and records their outcomes. */
import { SMTPException, type SMTPPool } from "../../src/index.ts";
import { type MadeBody, makeBody, textOf } from "./bodies.ts";
import { type MessageKey, recipientsOf, senderOf } from "./ledger.ts";
import type { ClientConnection } from "./network.ts";
import type { Action, BodyPlan } from "./scenario.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The rejection of an aborted call. */
export class AbortReason extends Error {
  override readonly name = "AbortReason";
}

type Send = Extract<Action, { does: "send" }>;

/** A call, and its outcome. */
export type Call = {
  readonly kind: "send" | "check";
  readonly key: MessageKey;
  readonly madeAt: number;
  /** The properties of the message; undefined for `check()`. */
  readonly send: Send | undefined;
  readonly made: MadeBody | undefined;
  readonly recipients: readonly string[];
  readonly abort: AbortController | undefined;
  /** True if `ready()` was awaited right before it. */
  readonly wasReady: boolean;
  /** True for a call made once the server works: it must succeed. */
  readonly isProbe: boolean;
  /** The position in the order of the calls. */
  readonly number: number;
  outcome: "waiting" | "ok" | "failed";
  error: unknown;
  result: unknown;
  settledAt: number;
  /** The connections on which its transactions began, in order. */
  readonly begun: { readonly connection: ClientConnection; readonly at: number }[];
};

/** Receives the caller's actions and results. */
export type CallerObserver = {
  readonly note: ((text: string) => void) | undefined;
  /** A call was made: the pool has it from now on. */
  called(call: Call): void;
  settled(call: Call): void;
  aborted(call: Call): void;
  /** `drain()` has resolved. `before`: the calls that were made before it. */
  drained(before: readonly Call[]): void;
  closed(): void;
  /** All calls were aborted. */
  abortedAll(): void;
};

const PROBE_BODY: BodyPlan = { kind: "text", lines: 2, pause: 0 };

/** Makes calls. */
export class Caller {
  readonly calls: Call[] = [];
  /** The calls without an outcome, and the number of delivered messages. */
  readonly waiting = new Set<Call>();
  delivered = 0;
  /** True from the call of `close()`. */
  isClosing = false;
  /** True once `close()` has resolved. */
  isClosed = false;
  isAborted = false;
  /** The number of calls to come: they wait for `ready()`, or will be repeated. */
  toCome = 0;
  readonly #pool: SMTPPool;
  readonly #time: VirtualTime;
  readonly #observer: CallerObserver;
  readonly #abortAll: AbortController;
  readonly #byKey = new Map<MessageKey, Call>();
  /** Calls that were aborted before they were made. */
  readonly #abortedEarly = new Set<number>();

  constructor(pool: SMTPPool, abortAll: AbortController, time: VirtualTime, observer: CallerObserver) {
    this.#pool = pool;
    this.#abortAll = abortAll;
    this.#time = time;
    this.#observer = observer;
  }

  call(key: MessageKey): Call | undefined {
    return this.#byKey.get(key);
  }

  /** True if no call waits for an outcome. */
  get isSettled(): boolean {
    return this.toCome === 0 && this.waiting.size === 0;
  }

  /** Performs an action of the scenario. */
  perform(action: Action): void {
    switch (action.does) {
      case "send":
        return void this.#send(action);
      case "check":
        return this.#check(action.id, action.signal ? new AbortController() : undefined);
      case "abort":
        return this.#abort(action.id);
      case "drain":
        return this.#drain();
      case "close":
        return this.close();
      case "abort all":
        this.isAborted = true;
        this.#observer.note?.("the caller aborts all");
        this.#abortAll.abort(new AbortReason("all"));
        return this.#observer.abortedAll();
    }
  }

  /** Sends messages that must succeed. */
  probe(firstId: number, count: number): void {
    for (let id = firstId; id < firstId + count; id++) {
      this.#deliver(
        {
          at: 0,
          turns: 0,
          does: "send",
          id,
          recipients: 1,
          body: PROBE_BODY,
          method: "deliver",
          signal: false,
          ready: false,
          insists: false,
        },
        0,
        false,
        true,
      );
    }
  }

  close(): void {
    this.isClosing = true;
    this.#observer.note?.("the caller calls close()");
    void this.#pool.close().then(() => {
      this.isClosed = true;
      this.#observer.note?.("close() has resolved");
      this.#observer.closed();
    });
  }

  async #send(send: Send): Promise<void> {
    if (!send.ready) return this.#deliver(send, 0, false, false);
    this.toCome++;
    await this.#pool.ready();
    this.toCome--;
    this.#deliver(send, 0, true, false);
  }

  #deliver(send: Send, attempt: number, wasReady: boolean, isProbe: boolean): void {
    const key = `${send.id}.${attempt}`;
    const from = senderOf(key);
    const to = recipientsOf(key, send.recipients);
    const made = makeBody(send.body, textOf(from, to, send.body.lines), this.#time);
    const abort = send.signal ? new AbortController() : undefined;
    const call = this.#add({ kind: "send", key, send, made, recipients: to, abort, wasReady, isProbe });
    this.#observer.note?.(`the caller sends ${key} to ${to.length}, ${describe(send)}`);
    this.#follow(call, this.#start(call, send, made, from), () => {
      const { error } = call;
      if (!send.insists || !(error instanceof SMTPException) || error.delivery !== "unknown" || attempt > 1) return;
      this.toCome++;
      this.#time.after(1_000, () => {
        this.toCome--;
        this.#deliver(send, attempt + 1, false, false);
      });
    });
  }

  #start(call: Call, send: Send, { body }: MadeBody, from: string): Promise<unknown> {
    const signal = call.abort?.signal;
    const { kind } = send.body;
    if (kind === "message" || kind === "prepared") {
      return this.#pool.send_message(body, undefined, undefined, [], [], { signal });
    }
    if (typeof body === "object" && !isBody(body)) throw new TypeError("no body");
    if (send.method === "deliver") return this.#pool.deliver({ from, to: [...call.recipients], body, signal });
    return this.#pool.sendmail(from, call.recipients, body, [], [], { signal });
  }

  #check(id: number, abort: AbortController | undefined): void {
    const key = `${id}.0`;
    const none = { send: undefined, made: undefined, recipients: [], wasReady: false, isProbe: false };
    const call = this.#add({ kind: "check", key, abort, ...none });
    this.#observer.note?.(`the caller calls check() ${key}`);
    this.#follow(call, this.#pool.check({ signal: abort?.signal }));
  }

  #add(about: Omit<Call, "madeAt" | "number" | "outcome" | "error" | "result" | "settledAt" | "begun">): Call {
    const rest = { madeAt: this.#time.now, number: this.calls.length, error: undefined, result: undefined };
    const call: Call = { ...about, ...rest, outcome: "waiting", settledAt: Number.POSITIVE_INFINITY, begun: [] };
    this.calls.push(call);
    this.waiting.add(call);
    this.#byKey.set(call.key, call);
    this.#observer.called(call);
    return call;
  }

  #follow(call: Call, promise: Promise<unknown>, then: () => void = () => {}): void {
    const settle = (outcome: "ok" | "failed"): void => {
      call.outcome = outcome;
      this.waiting.delete(call);
      if (outcome === "ok" && call.kind === "send") this.delivered++;
      call.settledAt = this.#time.now;
      this.#observer.note?.(`the caller learns of ${call.key}: ${outcome === "ok" ? "ok" : String(call.error)}`);
      this.#observer.settled(call);
      then();
    };
    if (this.#abortedEarly.has(idOf(call.key))) this.#abort(idOf(call.key));
    promise.then(
      (result: unknown) => {
        call.result = result;
        settle("ok");
      },
      (error: unknown) => {
        call.error = error;
        settle("failed");
      },
    );
  }

  #abort(id: number): void {
    this.#abortedEarly.add(id);
    for (const call of this.calls) {
      if (idOf(call.key) !== id || call.abort === undefined) continue;
      this.#observer.note?.(`the caller aborts ${call.key}`);
      call.abort.abort(new AbortReason(call.key));
      this.#observer.aborted(call);
    }
  }

  #drain(): void {
    const before = [...this.calls];
    this.#observer.note?.("the caller calls drain()");
    void this.#pool.drain().then(() => {
      this.#observer.note?.("drain() has resolved");
      this.#observer.drained(before);
    });
  }
}

function idOf(key: MessageKey): number {
  return Number.parseInt(key, 10);
}

function isBody(body: object): body is Exclude<Parameters<SMTPPool["sendmail"]>[2], string> {
  return ["getReader", Symbol.iterator, Symbol.asyncIterator].some((method) => method in body);
}

function describe({ body, method, signal }: Send): string {
  const faults = [body.fails !== undefined && "fails", body.hangs !== undefined && "hangs"].filter(Boolean).join(" ");
  return `${method}, ${body.kind}${faults && ` that ${faults}`}${signal ? ", with a signal" : ""}`;
}
