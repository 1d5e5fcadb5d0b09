/**
 * An outbox with the dashboard bull-board: one message delivered, one deferred, one given up. It needs Redis on
 * REDIS_PORT, 6379 by default, and runs until it is interrupted. Run it with `node examples/outbox-dashboard.mjs`,
 * `deno run -A …` or `bun --bun …`.
 */
import { once } from "node:events";
import process from "node:process";
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { ExpressAdapter } from "@bull-board/express";
import { Queue } from "bullmq";
import express from "express";
import { bullmqOutbox } from "smtplib/outbox";
import { startServer } from "./demo-server.mjs";

const account = { user: "ada", password: "correct horse battery staple" };
const server = await startServer({ ...account, unknown: "nobody@example.net" });

const queue = new Queue(process.env.QUEUE ?? "mail", {
  connection: { host: "127.0.0.1", port: Number(process.env.REDIS_PORT ?? 6379) },
});
const outbox = bullmqOutbox(queue, {
  destinationOf: (address) => address.slice(address.lastIndexOf("@") + 1),
  // Nothing listens on port 1: that destination cannot be reached.
  connect: (domain) =>
    domain === "example.org"
      ? { host: "127.0.0.1", port: 1, reconnectFor: 0 }
      : { host: "localhost", port: server.port, auth: account, context: { ca: server.ca } },
});

const adapter = new BullMQAdapter(queue, { readOnlyMode: true });
// The dashboard shows the addresses of each message, but no body.
adapter.setFormatter("data", ({ messageId, from, to }) => ({ messageId, from, to: to.map(({ address }) => address) }));
const board = new ExpressAdapter();
board.setBasePath("/queues");
createBullBoard({ queues: [adapter], serverAdapter: board });

const app = express();
// In your application, put this behind a login.
app.use("/queues", board.getRouter());
const listener = app.listen(0, "127.0.0.1");
await once(listener, "listening");

for (const to of ["charles@example.net", "mary@example.org", "nobody@example.net"]) {
  await outbox.enqueue({ from: "ada@example.com", to: [to] }, `To: ${to}\nSubject: The engine\n\nIt runs.\n`, {
    key: to,
  });
}
const worker = await outbox.work();
console.log(`dashboard: http://127.0.0.1:${listener.address().port}/queues`);

await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
await worker.close();
listener.closeAllConnections();
listener.close();
await queue.close();
await server.close();
