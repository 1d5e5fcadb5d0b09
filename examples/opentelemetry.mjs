/**
 * Traces and metrics: a request sends a mail, and the mail's spans are part of the request's trace.
 * Run it with `node examples/opentelemetry.mjs`, `deno run -A …` or `bun --bun …`.
 */
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { SMTP } from "smtplib";
import { instrument } from "smtplib/opentelemetry";
import { startServer } from "./demo-server.mjs";

// Your application has set these up already, with exporters that reach a collector.
const spans = new InMemorySpanExporter();
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: measured });
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }));

const instrumentation = instrument({ meterProvider: new MeterProvider({ readers: [reader] }) });

const account = { user: "ada", password: "correct horse battery staple" };
const server = await startServer({ ...account, unknown: "nobody@example.net" });

await trace.getTracer("shop").startActiveSpan("POST /orders", async (request) => {
  const smtp = await SMTP.connect("localhost", server.port, { context: { ca: server.ca } });
  await smtp.starttls();
  await smtp.login(account.user, account.password);
  await smtp.sendmail("ada@example.org", ["charles@example.net", "nobody@example.net"], "Subject: Hello\n\nHi!\n");
  await smtp.sendmail("ada@example.org", "nobody@example.net", "Subject: Hello\n\nHi!\n").catch(() => {});
  await smtp.quit();
  request.end();
});

const finished = spans.getFinishedSpans();
const root = finished.find(({ name }) => name === "POST /orders");
for (const span of finished.filter(
  ({ parentSpanContext }) => parentSpanContext?.spanId === root.spanContext().spanId,
)) {
  const { "error.type": error, "smtp.recipients.accepted": accepted } = span.attributes;
  console.log(
    `${root.name} > ${span.name.replace(/\d+$/, "…")}`,
    error ?? (accepted === undefined ? "" : `to ${accepted}`),
  );
}

await reader.forceFlush();
const metrics = measured.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
for (const { descriptor, dataPoints } of metrics) {
  for (const { attributes, value } of dataPoints) {
    console.log(
      descriptor.name,
      attributes["error.type"] ?? "",
      typeof value === "object" ? `${value.count} times` : value,
    );
  }
}

instrumentation.disable();
await reader.shutdown();
await server.close();
