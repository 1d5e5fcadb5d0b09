/** The mail server in memory: provides the transport that connects to it, and keeps the messages. */

import { type MemoryOptions, type MemoryStream, memoryTransport } from "../../transports/memory.ts";
import type { Transport } from "../byte-stream.ts";
import { type Answer, type AnswerContext, type Answers, formatReply, type Reaction, type Stage } from "./answers.ts";
import type { Account } from "./auth.ts";
import type { TestMessage } from "./message.ts";
import { Pauses } from "./pauses.ts";
import { pretendingTls } from "./pretended-tls.ts";
import type { ServerStream } from "./server-stream.ts";
import { type ServerHooks, TestSession } from "./session.ts";

/** Options of a test server; all have defaults. */
export type TestServerOptions = {
  /** Its name in the greeting. Default: "mail.test". */
  name?: string | undefined;
  /**
   * The extensions that EHLO offers beside STARTTLS and AUTH; the server behaves accordingly. Default: PIPELINING,
   * 8BITMIME, SMTPUTF8, DSN, CHUNKING, BINARYMIME, ENHANCEDSTATUSCODES and "SIZE 10485760".
   */
  extensions?: readonly string[] | undefined;
  /**
   * "offered", the default: STARTTLS succeeds and is simulated, without encryption or certificates, since nothing
   * leaves the process; so is implicit TLS. "refused": offered, and answered with 454; implicit TLS fails. "absent":
   * not offered.
   */
  starttls?: "offered" | "refused" | "absent" | undefined;
  /** Offers AUTH PLAIN, LOGIN and XOAUTH2 for this account, and accepts mail only after it. Default: no AUTH. */
  auth?: Account | undefined;
  /** Replies and faults that differ from the usual ones, by stage. */
  answers?: Answers | undefined;
  /** "lmtp" knows LHLO and refuses EHLO, "smtp" the reverse. Default: both are accepted. */
  protocol?: "smtp" | "lmtp" | undefined;
  /** The number of messages and of command lines that are kept; older ones are dropped. Default: all. */
  keep?: number | undefined;
  /** Whether clients treat the server as local, and send passwords without TLS. Default: true. */
  loopback?: boolean | undefined;
  /** How the stream transfers bytes: in pieces, with back-pressure. */
  memory?: MemoryOptions | undefined;
};

/** A running test server. */
export type TestServer = AsyncDisposable & {
  /** Connects to the server for any host and port: for the option `transport` of `SMTP`, `LMTP` and `SMTPPool`. */
  readonly transport: Transport;
  /** The accepted messages, in order; a message is here before its client learns that it was accepted. */
  readonly messages: readonly TestMessage[];
  /** The command lines of all connections, in order; credentials are "***". */
  readonly commands: readonly string[];
  /** The number of connections so far. */
  readonly connections: number;
  /**
   * Returns the next message that no earlier call returned, as soon as it arrives.
   *
   * @throws the reason of the signal; an Error if the server is closed
   */
  next(options?: { signal?: AbortSignal | undefined }): Promise<TestMessage>;
  /**
   * Serves a stream of the caller, such as a socket, like those of `transport`; resolves when the session is over.
   *
   * @throws the error of a function among the answers
   */
  accept(stream: ServerStream, about?: { readonly secure?: boolean | undefined }): Promise<void>;
  /** Sets the answer at a stage for the next time only; several calls queue up. Takes precedence over `answers`. */
  once(stage: Stage, answer: Answer): void;
  /**
   * Ends all connections. Idempotent.
   *
   * @throws the error of a function among the answers, the first time
   */
  close(): Promise<void>;
};

/**
 * Starts a mail server within the process, without a socket.
 *
 * @throws RangeError for a reply without a code
 * @example
 * ```ts
 * import { startServer } from "smtplib/testing";
 *
 * const server = startServer({
 *   answers: { rcpt: ({ address }) => (address === "nobody@example.net" ? "550 5.1.1 no such user" : undefined) },
 * });
 * const smtp = await SMTP.connect("mail.example.com", 587, { transport: server.transport });
 * await smtp.sendmail("ada@example.com", ["charles@example.net", "nobody@example.net"], "Subject: Hello\n\nHi!\n");
 * await smtp.quit();
 *
 * const message = await server.next();
 * console.log(message.from, message.to, message.text);
 * await server.close();
 * ```
 */
export function startServer(options: TestServerOptions = {}): TestServer {
  return new MemoryServer(options);
}

/** The default extensions. */
export const usualExtensions: readonly string[] = [
  "PIPELINING",
  "8BITMIME",
  "SMTPUTF8",
  "DSN",
  "CHUNKING",
  "BINARYMIME",
  "ENHANCEDSTATUSCODES",
  "SIZE 10485760",
];

type Waiting = { resolve: (message: TestMessage) => void; reject: (reason: unknown) => void };

class MemoryServer implements TestServer {
  readonly transport: Transport;
  readonly messages: TestMessage[] = [];
  readonly commands: string[] = [];
  connections = 0;
  readonly #answers: Answers;
  readonly #queued = new Map<Stage, Answer[]>();
  readonly #pauses = new Pauses();
  readonly #running = new Map<TestSession, { ended: Promise<void>; abort: () => void }>();
  readonly #hooks: ServerHooks;
  readonly #keep: number;
  readonly #waiting = new Set<Waiting>();
  /** The errors of the caller's answers. */
  readonly #failures: unknown[] = [];
  #given = 0;

  constructor(options: TestServerOptions) {
    const { name = "mail.test", extensions = usualExtensions, starttls = "offered", auth, answers = {} } = options;
    for (const answer of Object.values(answers)) checkAnswer(answer);
    this.#answers = answers;
    this.#keep = options.keep ?? Number.POSITIVE_INFINITY;
    this.#hooks = {
      name,
      extensions,
      starttls,
      account: auth,
      protocol: options.protocol,
      pauses: this.#pauses,
      answer: (stage, context) => this.#answer(stage, context),
      heard: (line) => this.#heard(line),
      take: (message) => this.#take(message),
    };
    this.transport = this.#transport(options);
  }

  async accept(
    stream: ServerStream,
    { secure = false }: { readonly secure?: boolean | undefined } = {},
  ): Promise<void> {
    if (this.#pauses.ended) throw new Error("the test server is closed");
    this.connections += 1;
    const session = new TestSession(stream, this.#hooks, this.connections);
    session.secure = secure;
    const ended = session.run();
    this.#run(
      session,
      stream,
      ended.catch(() => {}),
    );
    await ended;
  }

  next({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<TestMessage> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const message = this.messages[this.#given];
    if (message !== undefined) {
      this.#given += 1;
      return Promise.resolve(message);
    }
    if (this.#pauses.ended) return Promise.reject(new Error("the test server is closed: no message will come"));
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        this.#waiting.delete(waiting);
        reject(signal?.reason);
      };
      const settled = (): void => signal?.removeEventListener("abort", aborted);
      const waiting: Waiting = {
        resolve: (found) => {
          settled();
          resolve(found);
        },
        reject: (reason) => {
          settled();
          reject(reason);
        },
      };
      signal?.addEventListener("abort", aborted, { once: true });
      this.#waiting.add(waiting);
    });
  }

  once(stage: Stage, answer: Answer): void {
    checkAnswer(answer);
    this.#queued.set(stage, [...(this.#queued.get(stage) ?? []), answer]);
  }

  async close(): Promise<void> {
    this.#pauses.end();
    for (const { reject } of this.#waiting) reject(new Error("the test server was closed while a message was awaited"));
    this.#waiting.clear();
    for (const { abort } of this.#running.values()) abort();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    for (const failure of this.#failures.splice(0)) throw failure;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #transport({ loopback = true, memory, starttls }: TestServerOptions): Transport {
    return async (endpoint, options) => {
      if (this.#pauses.ended) throw new Error("the test server is closed");
      this.connections += 1;
      const number = this.connections;
      let session: TestSession | undefined;
      const connect = memoryTransport((server) => {
        const stream = streamOf(server);
        session = new TestSession(stream, this.#hooks, number);
        const ended = session.run().catch((error: unknown) => {
          this.#failures.push(error);
          stream.abort(new Error("the test server failed"));
        });
        this.#run(session, stream, ended);
      }, memory);
      const stream = await connect(endpoint, options);
      const begin = async (): Promise<void> => {
        if (starttls === "refused" || starttls === "absent") {
          const error = new Error("the test server has no TLS");
          stream.abort(error);
          throw error;
        }
        if (session !== undefined) session.secure = true;
      };
      return pretendingTls(stream, begin, { loopback });
    };
  }

  #run(session: TestSession, stream: ServerStream, ended: Promise<void>): void {
    const abort = (): void => stream.abort(new Error("the test server is closed"));
    this.#running.set(session, { ended, abort });
    ended.finally(() => this.#running.delete(session));
  }

  async #answer(stage: Stage, context: AnswerContext): Promise<Reaction | undefined> {
    const answer = this.#queued.get(stage)?.shift() ?? this.#answers[stage];
    return typeof answer === "function" ? answer(context) : answer;
  }

  #heard(line: string): void {
    this.commands.push(line);
    if (this.commands.length > this.#keep) this.commands.shift();
  }

  #take(message: TestMessage): void {
    this.messages.push(message);
    if (this.messages.length > this.#keep) {
      this.messages.shift();
      this.#given = Math.max(0, this.#given - 1);
    }
    const [first] = this.#waiting;
    if (first === undefined) return;
    this.#waiting.delete(first);
    this.#given += 1;
    first.resolve(message);
  }
}

/** A stream in memory without its TLS, which the client's end simulates. */
function streamOf(stream: MemoryStream): ServerStream {
  return {
    read: () => stream.read(),
    write: (data) => stream.write(data),
    close: () => stream.close(),
    abort: (reason) => stream.abort(reason),
  };
}

function checkAnswer(answer: Answer | undefined): void {
  const reply = typeof answer === "string" ? answer : typeof answer === "object" ? answer.reply : undefined;
  if (reply !== undefined) formatReply(reply);
}
