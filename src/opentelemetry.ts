/**
 * Spans and metrics of OpenTelemetry for every session of the process, made from the diagnostics channels.
 * They contain no mail addresses, no content and no credentials.
 *
 * @example
 * ```ts
 * import { SMTP } from "smtplib";
 * import { instrument } from "smtplib/opentelemetry";
 *
 * const instrumentation = instrument();
 * const smtp = await SMTP.connect("mail.example.com", 587);
 * await smtp.sendmail("ada@example.com", "charles@example.net", "Subject: Hello\n\nHi!\n"); // a span, and metrics
 * await smtp.quit();
 * instrumentation.disable();
 * ```
 *
 * @module
 */
import {
  type Attributes,
  type Counter,
  context,
  type Histogram,
  type Meter,
  type MeterProvider,
  metrics,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
  type UpDownCounter,
} from "@opentelemetry/api";
import type { Endpoint } from "./byte-stream.ts";
import { type ConnectionInfo, type DeliveryInfo, type DiagnosticsChannels, diagnostics } from "./client/channels.ts";
import { type OutboxChannels, type OutboxInfo, subscribe } from "./outbox/channels.ts";

/** The providers of tracers and meters. */
export type InstrumentOptions = {
  /** Default: the global one. */
  tracerProvider?: TracerProvider | undefined;
  /** Default: the global one. */
  meterProvider?: MeterProvider | undefined;
};

/** The result of `instrument()`. */
export type Instrumentation = {
  /** Stops the instrumentation. Open spans stay open. Idempotent. */
  disable(): void;
};

/**
 * Starts to create a client span for each delivery and each connection, as children of the span that is active at the
 * call, and these metrics: `messaging.client.operation.duration`, `messaging.client.sent.messages`,
 * `smtp.client.recipients` and `smtp.client.open_connections`. For workers of an outbox it creates a consumer span for
 * each attempt, the parent of its delivery's span, and the metrics `smtp.outbox.attempts` and `smtp.outbox.duration`.
 * Names follow the semantic conventions for messaging.
 * @throws {Error} if the runtime has no `node:diagnostics_channel`; Node, Deno and Bun have it
 */
export function instrument(options: InstrumentOptions = {}): Instrumentation {
  const channels = diagnostics();
  if (channels === undefined) throw new Error("this runtime has no node:diagnostics_channel");
  const { tracerProvider = trace.getTracerProvider(), meterProvider = metrics.getMeterProvider() } = options;
  const tracer = tracerProvider.getTracer("smtplib");
  const meter = meterProvider.getMeter("smtplib");
  const telemetry = new Telemetry(tracer, meter);
  const ends: (() => void)[] = [];
  const on = <N extends keyof DiagnosticsChannels>(name: N, take: (message: DiagnosticsChannels[N]) => void): void => {
    ends.push(channels.subscribe(name, take));
  };
  on("smtplib:connection:start", ({ connection }) => telemetry.connecting(connection));
  on("smtplib:connection:open", ({ connection }) => telemetry.connected(connection));
  on("smtplib:connection:error", ({ connection, error }) => telemetry.notConnected(connection, error));
  on("smtplib:connection:end", ({ connection }) => telemetry.disconnected(connection));
  on("smtplib:delivery:start", ({ delivery }) => telemetry.sending(delivery));
  on("smtplib:delivery:end", ({ delivery, result }) => telemetry.delivered(delivery, result));
  on("smtplib:delivery:error", ({ delivery, error }) => telemetry.notDelivered(delivery, error));
  const outbox = new OutboxTelemetry(tracer, meter);
  ends.push(subscribe("smtplib:outbox:start", (start) => outbox.started(start)));
  ends.push(subscribe("smtplib:outbox:end", (end) => outbox.ended(end)));
  return {
    disable() {
      for (const end of ends.splice(0)) end();
    },
  };
}

type Result = DiagnosticsChannels["smtplib:delivery:end"]["result"];
type Begun = { readonly span: Span; readonly at: number };

/** The buckets that the conventions recommend for durations, in seconds. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The open spans, and the instruments. */
class Telemetry {
  readonly #tracer: Tracer;
  readonly #duration: Histogram;
  readonly #messages: Counter;
  readonly #recipients: Counter;
  readonly #connections: UpDownCounter;
  readonly #begun = new WeakMap<object, Begun>();
  readonly #open = new WeakSet<ConnectionInfo>();

  constructor(tracer: Tracer, meter: Meter) {
    this.#tracer = tracer;
    this.#duration = meter.createHistogram("messaging.client.operation.duration", {
      description: "Duration of deliveries, the time in the queue included.",
      unit: "s",
      advice: { explicitBucketBoundaries: SECONDS },
    });
    this.#messages = meter.createCounter("messaging.client.sent.messages", {
      description: "Number of messages that were handed over; those that were not delivered have an error.type.",
      unit: "{message}",
    });
    this.#recipients = meter.createCounter("smtp.client.recipients", {
      description: "Number of recipients of delivered messages, accepted or refused.",
      unit: "{recipient}",
    });
    this.#connections = meter.createUpDownCounter("smtp.client.open_connections", {
      description: "Number of connections that are open.",
      unit: "{connection}",
    });
  }

  connecting(connection: ConnectionInfo): void {
    this.#begin("connect", connection);
  }

  connected(connection: ConnectionInfo): void {
    this.#open.add(connection);
    this.#connections.add(1, serverOf(connection.endpoint));
    this.#end(connection, peerOf(connection));
  }

  notConnected(connection: ConnectionInfo, error: unknown): void {
    this.#end(connection, { ...peerOf(connection), ...failureOf(error) });
  }

  disconnected(connection: ConnectionInfo): void {
    // Connections that were open before are not counted.
    if (this.#open.delete(connection)) this.#connections.add(-1, serverOf(connection.endpoint));
  }

  sending(delivery: DeliveryInfo): void {
    this.#begin("send", delivery);
  }

  delivered(delivery: DeliveryInfo, { accepted, refused, reply }: Result): void {
    const counts = { accepted: accepted.length, refused: Object.keys(refused).length };
    this.#end(delivery, {
      ...messageOf(delivery),
      "smtp.recipients.accepted": counts.accepted,
      "smtp.recipients.refused": counts.refused,
      ...replyOf(reply.code, reply.enhancedCode),
      "smtp.delivery.outcome": "delivered",
    });
    for (const outcome of ["accepted", "refused"] as const) {
      const attributes = { ...systemOf(delivery), "smtp.recipient.outcome": outcome };
      if (counts[outcome] > 0) this.#recipients.add(counts[outcome], attributes);
    }
  }

  notDelivered(delivery: DeliveryInfo, error: unknown): void {
    const outcome = field(error, "delivery", "string");
    this.#end(delivery, { ...messageOf(delivery), ...failureOf(error), "smtp.delivery.outcome": outcome });
  }

  #begin(operation: "connect" | "send", about: ConnectionInfo | DeliveryInfo): void {
    const name = `${operation} ${placeOf(about.endpoint)}`.trimEnd();
    const attributes = operation === "send" ? { ...systemOf(about), ...SEND } : serverAndProtocolOf(about);
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, context.active());
    this.#begun.set(about, { span, at: performance.now() });
  }

  #end(about: ConnectionInfo | DeliveryInfo, attributes: Attributes): void {
    const begun = this.#begun.get(about);
    if (begun === undefined) return;
    this.#begun.delete(about);
    const { span, at } = begun;
    // The endpoint may only be known now.
    span.setAttributes({ ...serverAndProtocolOf(about), ...attributes });
    const error = attributes["error.type"];
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
    if (!("to" in about)) return;
    const measured = { ...systemOf(about), ...SEND, ...(error === undefined ? {} : { "error.type": error }) };
    this.#duration.record((performance.now() - at) / 1000, measured);
    this.#messages.add(1, measured);
  }
}

/** The metrics of an outbox's workers. They do not name the tenant, since there may be any number of tenants. */
class OutboxTelemetry {
  readonly #tracer: Tracer;
  readonly #attempts: Counter;
  readonly #duration: Histogram;
  readonly #spans = new WeakMap<OutboxInfo, Span>();

  constructor(tracer: Tracer, meter: Meter) {
    this.#tracer = tracer;
    this.#attempts = meter.createCounter("smtp.outbox.attempts", {
      description: "Number of times that a worker had a queued message, by what came of it.",
      unit: "{attempt}",
    });
    this.#duration = meter.createHistogram("smtp.outbox.duration", {
      description: "Time from the queueing of a message until it was settled.",
      unit: "s",
      advice: { explicitBucketBoundaries: [...SECONDS, 60, 300, 3600, 14_400, 86_400, 432_000] },
    });
  }

  started({ message, runIn }: OutboxChannels["smtplib:outbox:start"]): void {
    const attributes: Attributes = {
      ...queueOf(message),
      ...PROCESS,
      "messaging.message.id": message.id,
      "messaging.message.envelope.size": message.octets,
      "smtp.recipients.count": message.recipients,
      "smtp.outbox.attempt": message.attempt,
    };
    const parent = context.active();
    const name = `process ${message.destination}`;
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CONSUMER, attributes }, parent);
    this.#spans.set(message, span);
    runIn((call) => context.with(trace.setSpan(parent, span), call));
  }

  ended({ message, action, after, resolved, error }: OutboxChannels["smtplib:outbox:end"]): void {
    const outcome: Attributes = {
      "smtp.outbox.action": action,
      ...(resolved ? { "smtp.outbox.resolved": true } : {}),
      ...(error === undefined ? {} : { "error.type": failureOf(error)["error.type"] }),
    };
    const attributes = { ...queueOf(message), ...outcome };
    this.#attempts.add(1, attributes);
    if (action === "done" || action === "give-up")
      this.#duration.record((Date.now() - message.queuedAt) / 1000, attributes);
    const span = this.#spans.get(message);
    if (action !== "done" && action !== "give-up") span?.setAttribute("smtp.outbox.retry_after", after);
    span?.setAttributes({ ...(error === undefined ? {} : failureOf(error)), ...outcome });
    if (error !== undefined) span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
  }
}

function queueOf({ destination }: OutboxInfo): Attributes {
  return { "messaging.system.name": "smtp", "messaging.destination.name": destination };
}

const PROCESS: Attributes = { "messaging.operation.name": "process", "messaging.operation.type": "process" };

const SEND: Attributes = { "messaging.operation.name": "send", "messaging.operation.type": "send" };

type Place = { readonly protocol: string; readonly endpoint: Endpoint | undefined };

function systemOf(place: Place): Attributes {
  return { "messaging.system.name": "smtp", ...serverAndProtocolOf(place) };
}

function serverAndProtocolOf({ protocol, endpoint }: Place): Attributes {
  return { ...serverOf(endpoint), "network.protocol.name": protocol };
}

function placeOf(endpoint: Endpoint | undefined): string {
  if (endpoint === undefined) return "";
  return "path" in endpoint ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
}

function serverOf(endpoint: Endpoint | undefined): Attributes {
  if (endpoint === undefined) return {};
  if ("path" in endpoint) return { "server.address": endpoint.path, "network.transport": "unix" };
  return { "server.address": endpoint.host, "server.port": endpoint.port, "network.transport": "tcp" };
}

function peerOf({ peer }: ConnectionInfo): Attributes {
  return { "network.peer.address": peer?.remoteAddress, "network.local.address": peer?.localAddress };
}

function messageOf({ to, octets }: DeliveryInfo): Attributes {
  return { "messaging.message.envelope.size": octets, "smtp.recipients.count": to?.length };
}

function replyOf(code: number | undefined, enhancedCode: string | undefined): Attributes {
  return { "smtp.response.status_code": code, "smtp.response.enhanced_status_code": enhancedCode };
}

/** The attributes of a failure, without its text, since servers may write addresses into that. */
function failureOf(error: unknown): Attributes {
  const code = field(error, "smtp_code", "number");
  const reply = field(error, "reply", "object");
  return {
    "error.type": error instanceof Error ? error.name : typeof error,
    ...replyOf(code === -1 ? undefined : code, field(reply, "enhancedCode", "string")),
  };
}

type Types = { readonly string: string; readonly number: number; readonly object: object };

/** Reads a field of an error by name, so that exceptions of another copy of the package work as well. */
function field<T extends keyof Types>(owner: unknown, name: string, type: T): Types[T] | undefined {
  const value: unknown = typeof owner === "object" && owner !== null ? Reflect.get(owner, name) : undefined;
  return isA(value, type) ? value : undefined;
}

function isA<T extends keyof Types>(value: unknown, type: T): value is Types[T] {
  return typeof value === type && value !== null;
}
