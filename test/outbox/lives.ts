/** Workers in this process that die, freeze or lose their store between any two steps. */

import type { ByteStream, Transport } from "../../src/byte-stream.ts";
import { type DeliveryRequest, SMTPPool } from "../../src/index.ts";
import { FRESH, type OutboxMessage, VERSION } from "../../src/outbox/message.ts";
import { type OutboxOptions, outboxSettings } from "../../src/outbox/options.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { Attempts } from "../../src/outbox/worker.ts";
import { type AnswerContext, type Answers, startServer, type TestServer } from "../../src/testing/index.ts";
import { permit } from "../judge/under-test.ts";
import { MemoryTickets, type OneMessageQueue, type Step } from "./memory-store.ts";

/**
 * The event at a step: the worker dies before or after it, the store does not answer (with or without effect), or the
 * worker freezes.
 */
export type Fate = "die-before" | "die-after" | "fail-before" | "fail-after" | "freeze-before" | "freeze-after";

/** The event and its step, counted from 1. */
export type Plan = { readonly fate: Fate; readonly at: number } | undefined;

const never = new Promise<never>(() => {});

/** The steps of one worker. */
export class Life {
  readonly #plan: Plan;
  readonly #streams = new Set<ByteStream>();
  readonly names: string[] = [];
  /** Resolves when the event has happened. */
  readonly happened: Promise<void>;
  #happen: () => void = () => {};
  #wake: () => void = () => {};
  readonly #awake: Promise<void>;
  dead = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.happened = new Promise((resolve) => {
      this.#happen = resolve;
    });
    this.#awake = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Lets a frozen worker continue. */
  wake(): void {
    this.#wake();
  }

  /** Runs a step of the worker. */
  readonly step: Step = async (name, effect) => {
    if (this.dead) return never;
    this.names.push(name);
    const fate = this.#plan?.at === this.names.length ? this.#plan.fate : undefined;
    if (fate !== undefined) queueMicrotask(() => this.#happen());
    if (fate === "die-before") return this.#die();
    if (fate === "fail-before") throw new Error("the store is gone");
    if (fate === "freeze-before") await this.#awake;
    const result = await effect();
    if (fate === "die-after") return this.#die();
    if (fate === "fail-after") throw new Error("the store is gone");
    if (fate === "freeze-after") await this.#awake;
    return this.dead ? never : result;
  };

  /** A transport whose connections die with the worker. */
  transport(connect: Transport): Transport {
    return async (endpoint, options) => {
      const stream = await this.step("connect", () => connect(endpoint, options));
      this.#streams.add(stream);
      return stream;
    };
  }

  #die(): Promise<never> {
    this.dead = true;
    // The streams end as with their process: what the rest of the worker still writes is lost.
    permit(/nothing is sent once the session is over/);
    for (const stream of this.#streams) stream.abort(new Error("the worker died"));
    return never;
  }
}

/** The surroundings of one message: the server, the store and the queue. */
export class World {
  readonly server: TestServer;
  readonly shared: MemoryTickets = new MemoryTickets();
  /** Ends the pools of dead workers, which run in this process, too, and would keep trying to connect. */
  readonly #end = new AbortController();
  readonly #pools: SMTPPool[] = [];
  readonly #workers: Attempts[] = [];
  /** The worker whose steps with the server are counted. */
  #current: Life | undefined;

  /**
   * @param answers - the server's answers, after their steps are counted
   * @param extensions - the server's extensions; undefined: the usual ones
   */
  constructor(answers: Answers = {}, extensions?: readonly string[]) {
    const counted = async (stage: keyof Answers, context: AnswerContext) => {
      // The server continues without a dead worker. If the worker is frozen, the server waits for its next bytes.
      await Promise.race([
        this.#current?.step(`server.${stage}`, async () => {}).catch(() => {}),
        this.#current?.happened,
      ]);
      const answer = answers[stage];
      return typeof answer === "function" ? answer(context) : answer;
    };
    this.server = startServer({
      extensions,
      answers: {
        mail: (context) => counted("mail", context),
        rcpt: (context) => counted("rcpt", context),
        data: (context) => counted("data", context),
        message: (context) => counted("message", context),
      },
    });
  }

  /** Creates a worker, with these options of its outbox. */
  worker(life: Life, options: Partial<OutboxOptions> = {}): Attempts {
    const pool = new SMTPPool({
      host: "mail.example.com",
      transport: life.transport(this.server.transport),
      chunking: false,
      signal: this.#end.signal,
    });
    this.#pools.push(pool);
    const bodies = {
      put: async () => {},
      get: () => life.step("bodies.get", async () => new TextEncoder().encode("Subject: Hello\r\n\r\nHi!\r\n")),
      delete: async () => {},
    };
    const settings = outboxSettings({ connect: () => pool, bodies, ...options });
    this.#current = life;
    const attempts = new Attempts(new Outbox(settings, this.shared.store(life.step), "mail"), async () => {});
    this.#workers.push(attempts);
    return attempts;
  }

  /** Ends the server, and all workers with their pools. */
  async close(): Promise<void> {
    this.#end.abort();
    for (const attempts of this.#workers) attempts.stop();
    await Promise.allSettled(this.#pools.map((pool) => pool.close()));
    await this.server.close();
  }

  /** Runs the queue's message once. */
  async run(queue: OneMessageQueue, attempts: Attempts): Promise<void> {
    const { message, lock } = queue.fetch();
    queue.conclude(lock, message, await attempts.run(message));
  }
}

/** A message with its body in the store. */
export function message(more: Partial<OutboxMessage> = {}): OutboxMessage {
  return {
    version: VERSION,
    id: "one",
    messageId: "<one@example.com>",
    from: "ada@example.com",
    to: [{ address: "charles@example.net" }],
    options: {},
    body: { name: "body" },
    octets: 23,
    destination: "relay",
    tenant: undefined,
    queuedAt: 1_000_000,
    expiresAt: 1_000_000 + 5 * 86_400_000,
    state: FRESH,
    ...more,
  };
}

/** Reads a body to its end. */
export async function lastOf(body: DeliveryRequest["body"]): Promise<"end"> {
  if (typeof body === "string" || !(Symbol.asyncIterator in body)) throw new Error("the body is no stream");
  for await (const _ of body);
  return "end";
}
