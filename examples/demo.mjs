/**
 * The first mail, end to end: STARTTLS, login, a MIME message with an attachment to three recipients, one of whom is
 * unknown.
 * Run it with `npm run demo`, `npx deno run -A examples/demo.mjs` or `npx bun --bun examples/demo.mjs`.
 */
import { simpleParser } from "mailparser";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import { SMTP } from "smtplib";
import { startServer } from "./demo-server.mjs";

const account = { user: "ada", password: "correct horse battery staple" };
const server = await startServer({ ...account, unknown: "nobody@example.net" });

title(`smtplib on ${runtime()}, to a mail server on port ${server.port}`);

const message = new MailComposer({
  from: '"Ada Lovelace" <ada@example.org>',
  to: ["Charles Babbage <charles@example.net>", "nobody@example.net"],
  bcc: "mary@example.net",
  subject: "The first programme – with an attachment",
  text: "Dear Charles,\n\nthe table of Note G is attached.\n.\nThat dot alone on its line is part of the text.\n\nAda\n",
  attachments: [{ filename: "note-g.csv", content: "operation,variable\nmultiply,V2\nsubtract,V4\n" }],
});

title("The dialogue");
const smtp = await SMTP.connect("localhost", server.port, {
  context: { ca: server.ca },
  local_hostname: "demo.example.org",
  logger: { debug: dialogue, info: dialogue, warn: dialogue, error: dialogue },
});
let refused;
try {
  await smtp.starttls();
  await smtp.login(account.user, account.password);
  refused = await smtp.send_message(message.compile());
} finally {
  await smtp.quit();
}

title("Refused");
for (const [address, [code, text]] of Object.entries(refused)) console.log(`  ${address}: ${code} ${text}`);

title("Stored by the server");
for (const { from, to, content } of server.stored) {
  const mail = await simpleParser(content);
  const rows = {
    "MAIL FROM": from,
    "RCPT TO": to.join(", "),
    From: mail.from.text,
    To: mail.to.text,
    Bcc: mail.bcc === undefined ? "(not sent, as it should be)" : mail.bcc.text,
    Subject: mail.subject,
    Text: mail.text.trimEnd().replaceAll("\n", `\n${" ".repeat(14)}`),
    Attachment: mail.attachments.map(({ filename, size, contentType }) => `${filename}, ${size} bytes, ${contentType}`),
  };
  for (const [name, value] of Object.entries(rows)) console.log(`  ${`${name}:`.padEnd(12)}${value}`);
}

await server.close();

/** Prints one line of the dialogue from the logger: the client's lines point to the right, the server's to the left. */
function dialogue(line) {
  const [, kind = "", text = ""] = /^(\w+): (.*)$/s.exec(line) ?? [];
  const sign = { send: "→", reply: "←" }[kind] ?? "·";
  console.log(`  ${sign} ${text.replaceAll("\n", "\n      ")}`);
}

function title(text) {
  const bold = process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text;
  console.log(`\n${bold}`);
}

function runtime() {
  if ("Deno" in globalThis) return `Deno ${Deno.version.deno}`;
  if ("Bun" in globalThis) return `Bun ${Bun.version}`;
  return `Node ${process.versions.node}`;
}
