/**
 * The types with each declaration of nodemailer: the guide's example compiles, and its result has our type.
 *
 * @node The compiler says the same on each runtime.
 */
import { describe, expect, it } from "vitest";
import { type Snippet, snippetsOfMarkdown, snippetsOfSources, typeErrors } from "../packaging/snippets.ts";

/** nodemailer's types, by their packages. */
const DECLARATIONS = {
  "@types/nodemailer 7": "node_modules/@types/nodemailer-7/index.d.ts",
  "@types/nodemailer 8": "node_modules/@types/nodemailer-8/index.d.ts",
  "nodemailer 10": "node_modules/nodemailer/dist/esm/nodemailer.d.ts",
};

const SAME = `
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
`;

const MAIL = `{ from: "ada@example.com", to: "charles@example.net", text: "Hi!" }`;

/** Name -> code that must compile. */
const PROGRAMS: Readonly<Record<string, string>> = {
  "the result of sendMail() is ours": `
import { createTransport } from "nodemailer";
import { type SentMessageInfo, smtplib } from "smtplib/nodemailer";
${SAME}
const transporter = createTransport(smtplib("smtp://mail.example.com"));
const info = await transporter.sendMail(${MAIL});
export const same: Same<typeof info, SentMessageInfo> = true;
transporter.sendMail(${MAIL}, (error, sent) => {
  const ours: SentMessageInfo = sent;
  console.log(error?.message, ours.ehlo, ours.envelopeTime + ours.messageTime + ours.messageSize);
});
const verified: true = await transporter.verify();
transporter.on("idle", () => console.log(transporter.isIdle(), verified));
`,
  "with the default import, and defaults for the mails": `
import nodemailer from "nodemailer";
import { type SentMessageInfo, smtplib } from "smtplib/nodemailer";
${SAME}
const transporter = nodemailer.createTransport(smtplib({ host: "mail.example.com" }), { from: "ada@example.com" });
const info = await transporter.sendMail(${MAIL});
export const same: Same<typeof info, SentMessageInfo> = true;
`,
  "nodemailer's own transports keep their types": `
import { createTransport } from "nodemailer";
import "smtplib/nodemailer";
const own = createTransport({ host: "mail.example.com", auth: { user: "user", pass: "password" } });
const pooled = createTransport({ host: "mail.example.com", pool: true });
console.log((await own.sendMail(${MAIL})).response, (await pooled.sendMail(${MAIL})).response);
`,
};

/** A missing field must not compile: the result is not `any`. */
const MISTAKE: Snippet = {
  where: "a field that is not there",
  code: `
import { createTransport } from "nodemailer";
import { smtplib } from "smtplib/nodemailer";
const info = await createTransport(smtplib("smtp://mail.example.com")).sendMail(${MAIL});
console.log(info.nothing);
`,
};

describe("the example of the guide and what follows from it compile", () => {
  it.each(Object.entries(DECLARATIONS))("with the types of %s", async (_, declaration) => {
    const snippets = [...snippetsOfMarkdown("docs/guide/plug-ins.md"), ...snippetsOfSources("src/nodemailer")];
    const ours = snippets.filter(({ code }) => code.includes("smtplib/nodemailer"));
    expect(ours).toHaveLength(2);
    const programs = Object.entries(PROGRAMS).map(([where, code]) => ({ where, code }));
    expect(await typeErrors([...ours, ...programs, MISTAKE], { nodemailer: [declaration] })).toEqual([
      "a field that is not there: Property 'nothing' does not exist on type 'SentMessageInfo'.",
    ]);
  });
});
