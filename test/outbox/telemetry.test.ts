/** What an outbox tells: diagnostics channels, and OpenTelemetry's metrics. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { expect, it, onTestFinished } from "vitest";
import { instrument } from "../../src/opentelemetry.ts";
import { Life, message, World } from "./lives.ts";
import { OneMessageQueue } from "./memory-store.ts";

/** One message, the first attempt of which is put off. */
async function play(): Promise<void> {
  const world = new World();
  world.server.once("message", "451 4.3.0 later");
  const queue = new OneMessageQueue(message());
  await world.run(queue, world.worker(new Life(undefined)));
  await world.run(queue, world.worker(new Life(undefined)));
  await world.server.close();
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
    { message: { id: "one", destination: "relay", attempt: 1, recipients: 1, octets: 24 } },
    { message: { id: "one" }, action: "retry", resolved: false, error: { smtp_code: 451 } },
    { message: { id: "one", attempt: 2 } },
    { message: { id: "one" }, action: "done", after: 0, error: undefined },
  ]);
  expect(JSON.stringify(heard.map((event) => Reflect.get(Object(event), "message")))).not.toContain("charles");
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
