/**
 * The reader of messages behind the page of `serve`: it reads the messages of MIME builders, and nothing makes it
 * throw.
 */
import fc from "fast-check";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import { describe, expect, it } from "vitest";
import { htmlBody } from "../../src/cli/serve/ui/html-body.ts";
import { readMail } from "../../src/cli/serve/ui/mime.ts";
import { expectLinear } from "../support/linear.ts";

async function built(options: object): Promise<Uint8Array> {
  return new Uint8Array(await new MailComposer(options).compile().build());
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "latin1"));
}

describe("the reader of messages", () => {
  it("reads texts, names and attachments of what nodemailer builds", async () => {
    const mail = readMail(
      await built({
        from: "Jürgen Größe <j@example.com>",
        to: "a@example.net",
        subject: "Grüße aus Köln, und noch viel mehr Text, damit der Betreff über mehrere Zeilen geht – ja",
        text: "Zeile eins\n=20 bleibt\nSchluß – äöü",
        html: '<p>Grüße</p><img src="cid:logo@x">',
        attachments: [
          { filename: "Übersicht für 2026.csv", content: "a,b\n1,2\n" },
          { filename: "logo.png", content: Buffer.from([1, 2, 255]), cid: "logo@x" },
        ],
      }),
    );
    expect(mail.text?.replaceAll("\r\n", "\n")).toBe("Zeile eins\n=20 bleibt\nSchluß – äöü");
    expect(mail.html).toContain("<p>Grüße</p>");
    expect(Object.fromEntries(mail.headers)).toMatchObject({
      From: "Jürgen Größe <j@example.com>",
      Subject: "Grüße aus Köln, und noch viel mehr Text, damit der Betreff über mehrere Zeilen geht – ja",
    });
    const found = mail.attachments.map(({ name, type, contentId }) => ({ name, type, contentId }));
    expect(found).toEqual(
      expect.arrayContaining([
        { name: "Übersicht für 2026.csv", type: "text/csv", contentId: undefined },
        { name: "logo.png", type: "image/png", contentId: "logo@x" },
      ]),
    );
    expect(mail.attachments.find(({ name }) => name === "logo.png")?.content).toEqual(Uint8Array.of(1, 2, 255));
  });

  it.each([
    ["a plain message", "Subject: Hello\r\n\r\nHi!\r\n", { text: "Hi!\r\n", html: undefined }],
    ["bare line feeds", "Subject: Hello\n\nHi!\n", { text: "Hi!\n", html: undefined }],
    ["no header", "\r\nHi!\r\n", { text: "Hi!\r\n", html: undefined }],
    ["no body", "Subject: Hello\r\n", { text: "", html: undefined }],
    [
      "another charset",
      "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe=\r\n!",
      { text: "Grüße!", html: undefined },
    ],
    [
      "an unknown charset",
      "Content-Type: text/html; charset=no-such\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n",
      { text: undefined, html: "<b>" },
    ],
  ])("reads %s", (_, text, expected) => {
    const { text: found, html } = readMail(bytes(text));
    expect({ text: found, html }).toEqual(expected);
  });

  it("puts encoded words and parameters in pieces together", () => {
    const mail = readMail(
      bytes(
        "Subject: =?utf-8?q?Gr=C3=BC?= =?UTF-8?B?w59l?= an =?iso-8859-1*de?Q?J=FCrgen_X?=\r\n" +
          "Content-Type: application/x-test; name*0*=utf-8''%C3%9C; name*1=b; name*2=\"er.bin\"\r\n\r\nx",
      ),
    );
    expect(mail.headers[0]).toEqual(["Subject", "Grüße an Jürgen X"]);
    expect(mail.attachments).toMatchObject([{ name: "Über.bin", type: "application/x-test" }]);
  });

  it("survives parts within parts without an end", () => {
    const deep = Array.from(
      { length: 60 },
      (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`,
    );
    const nested = (levels: number): string | undefined =>
      readMail(bytes(`${deep.slice(0, levels).join("")}\r\nHi!`)).text;
    expect([nested(5), nested(60)]).toEqual(["Hi!", undefined]);
    const wide = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\nx\r\n".repeat(2_000)}--b--`;
    expect(readMail(bytes(wide)).attachments.length).toBeLessThan(600);
  });

  it.each<[what: string, hard: (length: number) => string]>([
    ["spaces in quoted-printable", (n) => `Content-Transfer-Encoding: quoted-printable\r\n\r\n${" ".repeat(n)}x`],
    ["a subject of encoded words that end nowhere", (n) => `Subject: ${"=?a".repeat(n / 3)}\r\n\r\nx`],
    ["a parameter that ends nowhere", (n) => `Content-Type: a/b; a="${'\\"'.repeat(n / 2)}\r\n\r\nx`],
    ["line ends", (n) => `Content-Type: multipart/x; boundary=b\r\n\r\n${"\r\n--".repeat(n / 4)}`],
  ])("reads %s in a time that grows no faster than they do", (_, hard) => {
    // From some size on, Bun runs a regular expression in another way, slower by a fixed amount; both sizes are above
    // it.
    expectLinear((length) => bytes(hard(length)), readMail, 256 * 1024);
  });

  it("puts pictures into the HTML, though not without end", async () => {
    const attachments = [{ filename: "a.png", content: Buffer.alloc(100_000), cid: "logo" }];
    const once = await built({ html: '<img src="cid:logo"><img src="cid:none">', attachments });
    expect(htmlBody(readMail(once))).toMatch(/^<img src="data:image\/png;base64,A+=*"><img src="cid:none">$/);
    const often = await built({ html: '<img src="cid:logo">'.repeat(1_000), attachments });
    expect(htmlBody(readMail(often)).length).toBeLessThan(30_000_000);
  });

  it("never throws, whatever the octets are", () => {
    const piece = fc.constantFrom(
      "Content-Type: multipart/x; boundary=a",
      "--a",
      "--a--",
      "=?utf-8?b?!!?=",
      "=",
      "=Z",
      "\r\n",
    );
    fc.assert(fc.property(fc.uint8Array(), (octets) => void readMail(octets)));
    fc.assert(fc.property(fc.array(fc.oneof(piece, fc.string())), (lines) => void readMail(bytes(lines.join("\r\n")))));
  });
});
