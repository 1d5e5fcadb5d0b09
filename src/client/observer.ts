/** Reports a session's events to all listeners: Python's debug output, a logger, the diagnostics channels. */
import type { ByteStream, Endpoint } from "../byte-stream.ts";
import type { Reply } from "../core/reply.ts";
import { escapeControls, SMTPException, SMTPResponseException } from "../errors.ts";
import { callerContext } from "./caller-context.ts";
import {
  type Channels,
  type ConnectionInfo,
  type DeliveryInfo,
  type DiagnosticsChannels,
  diagnostics,
} from "./channels.ts";
import type { Connection } from "./connection.ts";
import type { Events } from "./events.ts";
import { type LogFields, type LogLevel, logTo } from "./logger.ts";
import { describe } from "./open.ts";
import { type Delivery, plainDelivery } from "./outcome.ts";
import { textOf } from "./session-end.ts";

/** A message's known properties before it is sent. */
export type Subject = {
  readonly from: string;
  readonly to: readonly string[];
  readonly content: { readonly octets?: number | undefined };
};

/** The listeners of one session. Secrets are already masked; control characters are escaped here. */
export class Observer {
  readonly #events: Events;
  readonly #log: ReturnType<typeof logTo> | undefined;
  readonly #channels: Channels | undefined;
  #connection: ConnectionInfo | undefined;
  #stream: ByteStream | undefined;
  #opening = false;

  constructor(events: Events) {
    this.#events = events;
    this.#log = events.logger && logTo(events.logger);
    this.#channels = diagnostics();
  }

  /** Whether there is a listener. */
  get heard(): boolean {
    return this.#events.debuglevel > 0 || this.#log !== undefined || this.#channels?.heard === true;
  }

  /** Whether commands and replies have a listener. */
  get hearsDialogue(): boolean {
    return this.#events.debuglevel > 0 || this.#log !== undefined || this.#channels?.hearsDialogue === true;
  }

  /** A connection attempt starts. All further events belong to it. */
  connecting(endpoint: Endpoint): void {
    const { protocol } = this.#events;
    const streamOf = (): ByteStream | undefined => (this.#connection === connection ? this.#stream : undefined);
    const connection: ConnectionInfo = {
      protocol,
      endpoint,
      get peer() {
        return streamOf()?.peer;
      },
    };
    this.#connection = connection;
    this.#stream = undefined;
    this.#opening = true;
    const where = describe(endpoint);
    this.#print("connect", JSON.stringify(where));
    this.#write("info", `connect: ${where}`, { event: "connect", ...endpoint });
    this.#publish("smtplib:connection:start", { connection });
  }

  /** The stream is open; the greeting is pending. */
  connected(connection: Connection): void {
    this.#stream = connection.stream;
    const within = callerContext();
    connection.greeting.then(
      (greeting) => {
        this.#opened(greeting);
        connection.onEnd(() =>
          within(() => this.#ended(connection.end?.wanted ? undefined : connection.end?.toError({}))),
        );
      },
      () => {},
    );
  }

  /** The connection attempt failed. */
  connectionFailed(error: unknown): void {
    if (!this.#opening) return;
    this.#opening = false;
    this.#write("warn", `failed: ${textOf(error)}`, { event: "connect-failed", ...fieldsOf(error) });
    this.#publish("smtplib:connection:error", { connection: this.#theConnection, error });
  }

  /** A command is sent; its secret is masked. */
  sent(verb: string, command: string): void {
    if (verb === ".") return;
    this.#print("send", JSON.stringify(`${command}\r\n`));
    this.#write("debug", `send: ${command}`, { event: "send", command });
    this.#publish("smtplib:command", { connection: this.#theConnection, verb, command });
  }

  /** Bytes of the caller are sent. */
  sentRaw(shown: string): void {
    this.#print("send", JSON.stringify(shown));
    this.#write("debug", `send: ${shown}`, { event: "send", command: shown });
    this.#publish("smtplib:command", { connection: this.#theConnection, verb: "", command: shown });
  }

  /** A reply arrived; `message` is its masked text. */
  replied(command: string, { code, enhancedCode }: Reply, message: string): void {
    this.#print("reply", `retcode (${code}); Msg: ${JSON.stringify(message)}`);
    this.#write("debug", `reply: ${code} ${message}`, { event: "reply", command, code, enhancedCode, text: message });
    this.#publish("smtplib:reply", { connection: this.#theConnection, command, code, message, enhancedCode });
  }

  /** Reports a message, delivers it, and reports the outcome. */
  delivering(subject: Subject | Promise<Subject>, deliver: () => Promise<Delivery>): Promise<Delivery> {
    const { protocol, endpoint } = this.#events;
    const begun = performance.now();
    const delivery: Mutable<DeliveryInfo> = { protocol, endpoint, from: undefined, to: undefined, octets: undefined };
    const read = ({ from, to, content }: Subject): void => {
      Object.assign(delivery, { from, to: [...to], octets: content.octets });
    };
    if (subject instanceof Promise) subject.then(read, () => {});
    else read(subject);
    this.#publish("smtplib:delivery:start", { delivery });
    const seconds = (): number => {
      delivery.endpoint = this.#events.endpoint;
      return Math.round(performance.now() - begun) / 1000;
    };
    const outcome = deliver();
    outcome.then(
      (result) => this.#delivered(delivery, result, seconds()),
      (error: unknown) => this.#failed(delivery, error, seconds()),
    );
    return outcome;
  }

  #delivered(delivery: DeliveryInfo, result: Delivery, seconds: number): void {
    const { reply } = result;
    const [accepted, refused] = [result.accepted.length, Object.keys(result.refused).length];
    const to = refused === 0 ? `${accepted}` : `${accepted} of ${accepted + refused}`;
    const { code, enhancedCode, message } = reply;
    const fields: LogFields = { event: "delivered", accepted, refused, code, enhancedCode, text: message, seconds };
    this.#write("info", `delivered: to ${to}: ${code} ${message}`, fields);
    this.#publish("smtplib:delivery:end", { delivery, result: plainDelivery(result) });
  }

  #failed(delivery: DeliveryInfo, error: unknown, seconds: number): void {
    this.#write("warn", `failed: ${textOf(error)}`, { event: "failed", ...fieldsOf(error), seconds });
    this.#publish("smtplib:delivery:error", { delivery, error });
  }

  #opened(greeting: Reply): void {
    this.#opening = false;
    const { remoteAddress, localAddress } = this.#stream?.peer ?? {};
    const from = localAddress === undefined ? "" : ` from ${localAddress}`;
    this.#write("debug", `open: ${remoteAddress ?? "connected"}${from}`, {
      event: "open",
      remoteAddress,
      localAddress,
    });
    this.#publish("smtplib:connection:open", { connection: this.#theConnection, greeting });
  }

  #ended(error: unknown): void {
    if (error === undefined) this.#write("debug", "end: closed", { event: "end" });
    else this.#write("warn", `end: ${textOf(error)}`, { event: "end", ...fieldsOf(error) });
    this.#publish("smtplib:connection:end", { connection: this.#theConnection, error });
  }

  get #theConnection(): ConnectionInfo {
    return this.#connection ?? { protocol: this.#events.protocol, endpoint: { path: "" }, peer: undefined };
  }

  #print(prefix: string, text: string): void {
    const { debuglevel } = this.#events;
    if (debuglevel <= 0) return;
    const time = debuglevel > 1 ? `${timeOfDay()} ` : "";
    quietly(() => console.error(`${time}${prefix}: ${escapeControls(text)}`));
  }

  #write(level: LogLevel, message: string, fields: LogFields): void {
    if (this.#log === undefined) return;
    const shown: { -readonly [key in keyof LogFields]: LogFields[key] } = { event: fields.event };
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) shown[name] = typeof value === "string" ? escapeControls(value) : value;
    }
    quietly(() => this.#log?.(level, escapeControls(message), shown));
  }

  #publish<N extends keyof DiagnosticsChannels>(name: N, message: DiagnosticsChannels[N]): void {
    quietly(() => this.#channels?.publish(name, message));
  }
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

/** An error as log fields, without its cause, which may contain anything. */
function fieldsOf(error: unknown): Omit<LogFields, "event"> {
  const name = error instanceof Error ? error.name : typeof error;
  const { temporary, delivery } = error instanceof SMTPException ? error : {};
  const code = error instanceof SMTPResponseException ? error.smtp_code : undefined;
  return { error: name, text: textOf(error), temporary, delivery, code };
}

/** A listener must not be able to break the session. */
function quietly(tell: () => void): void {
  try {
    tell();
  } catch {
    // The listener failed.
  }
}

/** `HH:MM:SS.ffffff`, as in Python. */
function timeOfDay(): string {
  const now = new Date();
  const micros = Math.floor((performance.now() % 1) * 1000);
  return `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds() * 1000 + micros).padStart(6, "0")}`;
}
