/**
 * Passes the events of a session to a pino logger, and to subscribers of the diagnostics channels.
 * Run it with `node examples/events.mjs`, `deno run -A …` or `bun --bun …`.
 */
import { channel } from "node:diagnostics_channel";
import { Writable } from "node:stream";
import pino from "pino";
import { SMTP } from "smtplib";
import { startServer } from "./demo-server.mjs";

const account = { user: "ada", password: "correct horse battery staple" };
const server = await startServer({ ...account, unknown: "nobody@example.net" });

// pino writes lines of JSON; this example shows only the relevant ones.
const lines = new Writable({
  write(line, _, done) {
    const { level, msg, event, accepted, refused } = JSON.parse(line);
    const counts = event === "delivered" ? ` accepted=${accepted} refused=${refused}` : "";
    if (event === "delivered" || event === "failed") console.log(`pino: ${pino.levels.labels[level]} ${msg}${counts}`);
    done();
  },
});

// Keep the channel in a variable: Bun forgets the subscribers of an unreferenced one.
const replies = channel("smtplib:reply");
replies.subscribe(({ command, code, message }) => {
  if (/^(AUTH|RCPT)/.test(command)) console.log(`channel: ${command} -> ${code} ${message}`);
});

const smtp = await SMTP.connect("localhost", server.port, {
  context: { ca: server.ca },
  logger: pino({ level: "debug" }, lines),
});
try {
  await smtp.starttls();
  await smtp.login(account.user, account.password);
  await smtp.sendmail("ada@example.org", ["charles@example.net", "nobody@example.net"], "Subject: Hello\n\nHi!\n");
  await smtp.sendmail("ada@example.org", "nobody@example.net", "Subject: Hello\n\nHi!\n").catch(() => {});
} finally {
  await smtp.quit();
}
await server.close();
