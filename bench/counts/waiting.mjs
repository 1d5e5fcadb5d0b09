/** The heap that a message occupies while it waits in a pool, in addition to its body. */
import { once } from "node:events";
import { createServer } from "node:net";
import { SMTPPool } from "smtplib";

const BODY = new TextEncoder().encode("Subject: hello\r\n\r\nhello\r\n");
const TO = ["recipient@bench.example"];
const MESSAGES = 20_000;

/** Queues messages for a server that never greets, and counts the bytes of heap that each of them occupies. */
export async function heapOfWaiting() {
  const server = createServer(() => {}).listen(0, "127.0.0.1");
  await once(server, "listening");
  const abort = new AbortController();
  const options = { maxConnections: 1, maxQueue: 2 * MESSAGES, signal: abort.signal };
  const pool = new SMTPPool({ host: "127.0.0.1", port: server.address().port, ...options });
  const waiting = new Array(MESSAGES);
  const send = () => pool.sendmail("sender@bench.example", TO, BODY);
  const first = send();
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < MESSAGES; index++) waiting[index] = send();
  globalThis.gc();
  const heap = Math.round((process.memoryUsage().heapUsed - before) / MESSAGES);
  abort.abort();
  await Promise.allSettled([first, ...waiting]);
  server.close();
  return heap;
}
