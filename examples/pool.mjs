/**
 * A newsletter through a pool: three connections that are opened once, never more than ten letters in the queue, and a
 * list of recipients to try again. Run it with `node examples/pool.mjs`, `deno run -A …` or `bun --bun …`.
 */
import { SMTPException, SMTPPool } from "smtplib";
import { startServer } from "./demo-server.mjs";

const server = await startServer({ user: "ada", password: "to be or not 2b", unknown: "reader-7@example.net" });

// As in a configuration: the credentials are percent-encoded, and require STARTTLS.
const url = `smtp://ada:to%20be%20or%20not%202b@localhost:${server.port}`;
const pool = new SMTPPool(url, { context: { ca: server.ca }, maxConnections: 3, maxQueue: 10 });
await pool.check();
console.log("checked");

const again = [];
for (let number = 1; number <= 50; number++) {
  // Waits while ten letters are queued: a list of millions is read no faster than it is sent.
  await pool.ready();
  write(`reader-${number}@example.net`);
}
await pool.drain();

const { connections, sent, failed } = pool.stats;
console.log(`sent: ${sent}, failed: ${failed}, by ${connections} connections`);
console.log(`to be written to again: ${again.length}`);
await pool.close();
console.log(`stored: ${server.stored.length}`);
await server.close();

async function write(reader) {
  try {
    await pool.sendmail("ada@example.org", reader, `To: ${reader}\nSubject: News\n\nThere is a new engine.\n`);
  } catch (error) {
    if (!(error instanceof SMTPException)) throw error;
    console.log(`${reader}: ${error.name}, delivery: ${error.delivery}, temporary: ${error.temporary}`);
    // "unknown" may have arrived: sending it again may deliver it twice.
    if (error.temporary && error.delivery !== "unknown") again.push(reader);
  }
}
