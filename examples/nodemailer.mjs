/**
 * nodemailer with this package underneath: only the argument of `createTransport()` changes.
 * Run it with `node examples/nodemailer.mjs`, `deno run -A …` or `bun --bun …`.
 */
import { simpleParser } from "mailparser";
import { createTransport } from "nodemailer";
import { smtplib } from "smtplib/nodemailer";
import { startServer } from "./demo-server.mjs";

const auth = { user: "ada", password: "correct horse battery staple" };
const server = await startServer({ ...auth, unknown: "nobody@example.net" });

const transporter = createTransport(
  smtplib({ host: "localhost", port: server.port, auth, context: { ca: server.ca }, maxConnections: 2 }),
);
console.log("verified:", await transporter.verify());

const mail = {
  from: '"Ada Lovelace" <ada@example.org>',
  subject: "The table of Note G",
  text: "Dear Charles, it is attached.",
  attachments: [{ filename: "note-g.csv", content: "operation,variable\nmultiply,V2\n" }],
};
const info = await transporter.sendMail({ ...mail, to: ["charles@example.net", "nobody@example.net"] });
console.log("accepted:", info.accepted.join(", "));
for (const { recipient, code, response } of info.rejectedErrors) console.log("rejected:", recipient, code, response);
console.log("response:", info.response);

try {
  await transporter.sendMail({ ...mail, to: "nobody@example.net" });
} catch (error) {
  console.log("failed:", error.name, error.code, error.command, error.responseCode, `delivery: ${error.delivery}`);
}

await transporter.close();

for (const { to, content } of server.stored) {
  const { subject, attachments } = await simpleParser(content);
  console.log("stored:", subject, "for", to.join(", "), "with", attachments.map(({ filename }) => filename).join(", "));
}
await server.close();
