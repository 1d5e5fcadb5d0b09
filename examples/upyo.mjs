/**
 * Upyo with this package underneath: many letters, their receipts in order.
 * Run it with `node examples/upyo.mjs`, `deno run -A …` or `bun --bun …`.
 */
import { createMessage } from "@upyo/core";
import { simpleParser } from "mailparser";
import { SmtplibTransport } from "smtplib/upyo";
import { startServer } from "./demo-server.mjs";

const auth = { user: "ada", password: "correct horse battery staple" };
const server = await startServer({ ...auth, unknown: "nobody@example.net" });

const transport = new SmtplibTransport({
  host: "localhost",
  port: server.port,
  auth,
  context: { ca: server.ca },
  maxConnections: 1,
});

const table = new File(["operation,variable\nmultiply,V2\n"], "note-g.csv", { type: "text/csv" });
const letters = [
  { to: "Charles <charles@example.net>" },
  { to: "nobody@example.net" },
  { to: "charles@example.net", bcc: "mary@example.net" },
].map((recipients, index) =>
  createMessage({
    from: "Ada Lovelace <ada@example.org>",
    ...recipients,
    subject: `Letter ${index + 1}`,
    content: { text: "The table is attached.", html: "<p>The table is attached.</p>" },
    attachments: table,
  }),
);

const subjects = letters.map(({ subject }) => subject).values();
for await (const receipt of transport.sendMany(letters)) {
  const subject = subjects.next().value;
  if (receipt.successful) console.log("sent:", subject);
  else console.log("not sent:", `${subject}: ${receipt.errorMessages.join("; ")}`);
}
await transport.close();

for (const { to, content } of server.stored) {
  const { subject, attachments } = await simpleParser(content);
  console.log("stored:", subject, "for", to.join(", "), "with", attachments.map(({ filename }) => filename).join(", "));
}
await server.close();
