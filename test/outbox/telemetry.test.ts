/** The telemetry of an outbox: diagnostics channels, and OpenTelemetry's spans and metrics. */

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { context, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import {
  ATTR_MESSAGING_DESTINATION_NAME,
  ATTR_MESSAGING_MESSAGE_ENVELOPE_SIZE,
  ATTR_MESSAGING_MESSAGE_ID,
  ATTR_MESSAGING_OPERATION_NAME,
  ATTR_MESSAGING_OPERATION_TYPE,
  ATTR_MESSAGING_SYSTEM_NAME,
} from "@opentelemetry/semantic-conventions/incubating";
import { expect, it, onTestFinished } from "vitest";
import { instrument } from "../../src/opentelemetry.ts";
import { Life, message, World } from "./lives.ts";
import { OneMessageQueue } from "./memory-store.ts";

/** The spans that end while a function runs, by name. */
async function spansOf(run: () => Promise<unknown>): Promise<(name: string) => ReadableSpan[]> {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const instrumentation = instrument({ tracerProvider });
  try {
    await run();
  } finally {
    instrumentation.disable();
    context.disable();
  }
  return (name) => exporter.getFinishedSpans().filter((span) => span.name.startsWith(name));
}

/** Sends one message, whose first attempt is deferred. */
async function play(): Promise<void> {
  const world = new World();
  world.server.once("message", "451 4.3.0 later");
  const queue = new OneMessageQueue(message());
  await world.run(queue, world.worker(new Life(undefined)));
  await world.run(queue, world.worker(new Life(undefined)));
  await world.close();
}

it("publishes the beginning and the end of each attempt, without addresses or content", async () => {
  const heard: unknown[] = [];
  const listen = (event: unknown): void => void heard.push(event);
  for (const name of ["smtplib:outbox:start", "smtplib:outbox:end"]) {
    subscribe(name, listen);
    onTestFinished(() => void unsubscribe(name, listen));
  }
  await play();
  expect(heard).toMatchObject([
    { message: { id: "one", destination: "relay", attempt: 1, recipients: 1, octets: 23 } },
    { message: { id: "one" }, action: "retry", resolved: false, error: { smtp_code: 451 } },
    { message: { id: "one", attempt: 2 } },
    { message: { id: "one" }, action: "done", after: 0, error: undefined },
  ]);
  // The two events of an attempt have the same object.
  const messages = heard.map((event) => Reflect.get(Object(event), "message"));
  expect([messages[0] === messages[1], messages[1] === messages[2]]).toEqual([true, false]);
  expect(JSON.stringify(messages)).not.toContain("charles");
});

it("counts attempts, and measures how long messages waited", async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const instrumentation = instrument({ meterProvider: new MeterProvider({ readers: [reader] }) });
  onTestFinished(() => {
    instrumentation.disable();
    return reader.shutdown();
  });
  await play();
  await reader.forceFlush();
  const metrics = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  const points = (name: string) => metrics.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
  expect(
    points("smtp.outbox.attempts").map(({ attributes, value }) => [attributes["smtp.outbox.action"], value]),
  ).toEqual([
    ["retry", 1],
    ["done", 1],
  ]);
  expect(points("smtp.outbox.duration")).toMatchObject([{ value: { count: 1 } }]);
});

it("makes a span for each attempt, the parent of the spans of its connection and its delivery", async () => {
  const named = await spansOf(play);
  const attempts = named("process relay");
  const common = {
    [ATTR_MESSAGING_SYSTEM_NAME]: "smtp",
    [ATTR_MESSAGING_OPERATION_NAME]: "process",
    [ATTR_MESSAGING_OPERATION_TYPE]: "process",
    [ATTR_MESSAGING_DESTINATION_NAME]: "relay",
    [ATTR_MESSAGING_MESSAGE_ID]: "one",
    [ATTR_MESSAGING_MESSAGE_ENVELOPE_SIZE]: 23,
    "smtp.recipients.count": 1,
  };
  const failed = { "error.type": "SMTPDataError", "smtp.response.status_code": 451, "smtp.outbox.action": "retry" };
  expect(attempts).toMatchObject([
    { kind: SpanKind.CONSUMER, attributes: { ...common, ...failed, "smtp.outbox.attempt": 1 } },
    { kind: SpanKind.CONSUMER, attributes: { ...common, "smtp.outbox.attempt": 2, "smtp.outbox.action": "done" } },
  ]);
  expect(attempts.map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.UNSET]);
  expect(attempts[0]?.attributes["smtp.outbox.retry_after"]).toBeGreaterThan(200);
  const ids = attempts.map((span) => span.spanContext().spanId);
  for (const name of ["send", "connect"]) {
    expect(named(name).map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(ids);
  }
  expect(JSON.stringify(attempts.map(({ attributes }) => attributes))).not.toMatch(/charles|ada@/);
});

it("ends the span of an attempt that the store keeps from beginning", async () => {
  const named = await spansOf(async () => {
    const world = new World();
    const worker = world.worker(new Life({ fate: "fail-before", at: 1 }));
    await expect(worker.run(message())).rejects.toThrow("the store is gone");
    await world.close();
  });
  expect(named("process relay")).toMatchObject([
    { attributes: { "error.type": "Error", "smtp.outbox.action": "defer" }, status: { code: SpanStatusCode.ERROR } },
  ]);
});
