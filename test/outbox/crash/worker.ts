/**
 * A worker of the crash test, in a separate process that may be killed or frozen at any time. It prints its results.
 */
import { subscribe } from "node:diagnostics_channel";
import type { OutboxOptions, UnknownPolicy } from "../../../src/outbox/index.ts";
import { type AnyOutbox, connectQueues, type QueueName } from "../queues.ts";

type Settings = {
  readonly queue: QueueName;
  readonly port: number;
  readonly mailPort: number;
  readonly unknown: UnknownPolicy;
  readonly concurrency: number;
};

const settings: Settings = JSON.parse(process.argv[2] ?? "{}");

subscribe("smtplib:outbox:end", (message) => {
  const { resolved, action, message: info } = Object(message);
  const { id } = Object(info);
  if (resolved === true) console.log(`resolved ${id} ${Date.now()}`);
  else if (action === "done") console.log(`done ${id} ${Date.now()}`);
});

for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error) => console.log(`fault ${event} ${String(Object(error).stack).replaceAll("\n", " ")}`));
}

const options: OutboxOptions = {
  connect: () => ({
    host: "127.0.0.1",
    port: settings.mailPort,
    maxConnections: settings.concurrency,
    reconnectFor: 0,
    timeout: 20,
  }),
  policy: { unknown: settings.unknown, first: 0.3, greylisting: 0.3, longest: 2, attempts: 1000 },
  settle: 15,
};

/** Opens the queue as soon as its server is available: a supervisor of the process would restart it until then. */
async function opened(): Promise<AnyOutbox> {
  for (;;) {
    try {
      const queues = await connectQueues(settings.queue, settings.port);
      return await queues.open(options);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}

const { work } = await opened();
await work({ concurrency: settings.concurrency });
console.log("ready");
