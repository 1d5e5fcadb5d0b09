/**
 * Runs one workload with one subject in this process, and prints the time as a line of JSON:
 * `driver.mjs SUBJECT WORKLOAD PORT [CA]`. Messages are loaded and prepared outside the clock.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { load, loadStream } from "./lib/corpus.mjs";
import { recipientsOf, SENDER, WORKLOADS } from "./lib/workloads.mjs";
import { subjectNamed } from "./subjects/index.mjs";

const [name, workloadName, port, authority] = process.argv.slice(2);
const workload = WORKLOADS[workloadName];
const { mode, tls, connections = 1 } = workload;
const subject = await subjectNamed(name);
const ca = authority && readFileSync(authority, "utf8");
const target = { host: "127.0.0.1", port: Number(port), connections, mode, tls, ca };
const recipients = recipientsOf(workload);
const messages = mode === "stream" ? [loadStream(workload)] : load(workload).map(subject.prepare);

const cpuBefore = process.cpuUsage();
const begun = performance.now();
const ended = mode === "connections" ? await onConnectionsOfTheirOwn() : await onOneClient();
const seconds = (ended - begun) / 1000;
const cpu = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ seconds, cpu: (cpu.user + cpu.system) / 1e6 }));
process.exit(0);

async function onConnectionsOfTheirOwn() {
  for (const message of messages) {
    const client = await subject.open(target);
    await client.send(SENDER, recipients, message);
    await client.close();
  }
  return performance.now();
}

/** The clock stops at the last acceptance, before QUIT. */
async function onOneClient() {
  const client = await subject.open(target);
  if (mode === "stream") await client.sendStream(SENDER, recipients, messages[0]);
  else if (mode === "queued") await sendAll(client);
  else for (const message of messages) await client.send(SENDER, recipients, message);
  const accepted = performance.now();
  await client.close();
  return accepted;
}

async function sendAll(client) {
  if (client.sendAll !== undefined) await client.sendAll(SENDER, recipients, messages);
  else await Promise.all(messages.map((message) => client.send(SENDER, recipients, message)));
}
