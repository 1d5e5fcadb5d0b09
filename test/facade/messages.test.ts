/** send_message(): the envelope from the header, no Bcc on the wire, and the objects of MIME libraries. */
import { Readable } from "node:stream";
import { Message as EmailjsMessage } from "emailjs";
import { createMimeMessage } from "mimetext";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import PostalMime from "postal-mime";
import { describe, expect, test } from "vitest";
import type { Script } from "../client/fake-server.ts";
import { reasonOf, session } from "../support/session.ts";

/** Sends a message; returns the envelope and the unstuffed content. */
async function sent(
  message: string | Uint8Array | object,
  script?: Script,
): Promise<{ from: string; to: string[]; content: string }> {
  const { server, smtp } = await session(script);
  await smtp.send_message(message);
  const path = (line: string): string => /<(.*)>/.exec(line)?.[1] ?? "";
  return {
    from: server.lines
      .filter((line) => line.startsWith("MAIL"))
      .map(path)
      .join(),
    to: server.lines.filter((line) => line.startsWith("RCPT")).map(path),
    content: (server.messages[0] ?? "").replace(/^\.\./gm, "."),
  };
}

const header = ["From: A <a@x.y>", "To: B <b@x.y>, g: c@x.y, d@x.y;", "Cc: e@x.y", "Bcc: hidden@x.y", "Subject: x"];

describe("the envelope", () => {
  test("is From, To, Bcc and Cc, in Python's order", async () => {
    const { from, to, content } = await sent([...header, "", "Bcc: of the body", ""].join("\n"));
    expect({ from, to }).toEqual({ from: "a@x.y", to: ["b@x.y", "c@x.y", "d@x.y", "hidden@x.y", "e@x.y"] });
    expect(content).toBe(
      [...header.filter((line) => !line.startsWith("Bcc")), "", "Bcc: of the body", ""].join("\r\n"),
    );
  });

  test.each<[name: string, fields: string[], from: string, to: string[]]>([
    ["prefers Sender", ["Sender: s@x.y", "From: a@x.y, b@x.y", "To: t@x.y"], "s@x.y", ["t@x.y"]],
    ["takes the first of From", ["From: a@x.y, b@x.y", "To: t@x.y"], "a@x.y", ["t@x.y"]],
    ["takes all of several To", ["From: a@x.y", "To: t@x.y", "To: u@x.y"], "a@x.y", ["t@x.y", "u@x.y"]],
    ["keeps duplicates", ["From: a@x.y", "To: t@x.y", "Cc: t@x.y"], "a@x.y", ["t@x.y", "t@x.y"]],
    [
      "skips empty groups and empty Bcc",
      ["From: a@x.y", "To: undisclosed-recipients:;, t@x.y", "Bcc:"],
      "a@x.y",
      ["t@x.y"],
    ],
    [
      "is that of the Resent- block",
      [
        "Resent-Date: Mon, 1 Jan 2024 00:00:00 +0000",
        "Resent-From: r@x.y",
        "Resent-To: rt@x.y",
        "Resent-Bcc: rb@x.y",
        "From: a@x.y",
        "To: t@x.y",
        "Bcc: b@x.y",
      ],
      "r@x.y",
      ["rt@x.y", "rb@x.y"],
    ],
    [
      "is not that of a Resent- block without a date",
      ["Resent-To: rt@x.y", "From: a@x.y", "To: t@x.y"],
      "a@x.y",
      ["t@x.y"],
    ],
  ])("%s", async (_, fields, from, to) => {
    const result = await sent([...fields, "", "x"].join("\r\n"));
    expect(result).toMatchObject({ from, to });
    expect(result.content).not.toMatch(/bcc/i);
  });

  test("is what is given, and Bcc is removed all the same", async () => {
    const { server, smtp } = await session();
    await smtp.send_message([...header, "", "x"].join("\n"), "own@x.y", ["other@x.y"]);
    expect(server.lines.slice(1, 3)).toEqual(["MAIL FROM:<own@x.y>", "RCPT TO:<other@x.y>"]);
    expect(server.messages[0]).not.toMatch(/hidden/);
    await smtp.send_message("Subject: no addresses\n\nx", "", "third@x.y");
    expect(server.lines.slice(5, 7)).toEqual(["MAIL FROM:<>", "RCPT TO:<third@x.y>"]);
  });

  test.each<[name: string, text: string, error: unknown]>([
    ["no sender", "To: t@x.y\n\nx", TypeError],
    ["an address that is none", "From: a@x.y\nTo: not an address\n\nx", RangeError],
    ["two Resent- blocks", "Resent-Date: a\nResent-Date: b\nFrom: a@x.y\nTo: t@x.y\n\nx", RangeError],
  ])("is refused before a byte is written: %s", async (_, text, error) => {
    const { server, smtp } = await session();
    expect(await reasonOf(smtp.send_message(text))).toBeInstanceOf(error);
    expect(server.lines).toEqual([]);
  });

  test("with nobody in it is SMTPRecipientsRefused", async () => {
    const { smtp } = await session();
    expect(await reasonOf(smtp.send_message("From: a@x.y\n\nx"))).toMatchObject({
      name: "SMTPRecipientsRefused",
      recipients: {},
    });
  });

  test("beyond ASCII asks for SMTPUTF8", async () => {
    const { server, smtp } = await session({ ehlo: ["SMTPUTF8", "8BITMIME", "SIZE"] });
    await smtp.send_message("From: jürgen@x.y\nTo: t@x.y\nSubject: grün\n\nx\n");
    expect(server.lines[1]).toMatch(/^MAIL FROM:<jürgen@x\.y> SIZE=\d+ SMTPUTF8 BODY=8BITMIME$/);
  });

  test("with only a display name beyond ASCII, encoded, needs no SMTPUTF8", async () => {
    const { from } = await sent("From: =?utf-8?q?J=C3=BCrgen?= <a@x.y>\nTo: t@x.y\n\nx\n");
    expect(from).toBe("a@x.y");
  });
});

describe("the message", () => {
  const text = [...header, "", "Hi\n.dot"].join("\n");

  test.each<[name: string, message: () => string | Uint8Array | object]>([
    ["a text", () => text],
    ["bytes", () => new TextEncoder().encode(text)],
    ["an object with build()", () => ({ build: async () => new TextEncoder().encode(text) })],
    ["an object with asRaw()", () => ({ asRaw: () => text })],
    [
      "an object with createReadStream()",
      () => ({ createReadStream: () => Readable.from([text.slice(0, 30), text.slice(30)]) }),
    ],
    ["an object with compile()", () => ({ compile: () => ({ createReadStream: () => Readable.from([text]) }) })],
    ["an object with a toString() of its own", () => ({ toString: () => text })],
  ])("may be %s", async (_, message) => {
    const result = await sent(message());
    expect(result).toMatchObject({ from: "a@x.y", to: ["b@x.y", "c@x.y", "d@x.y", "hidden@x.y", "e@x.y"] });
    expect(result.content).toMatch(/Hi\r\n\.dot\r\n$/);
    expect(result.content).not.toMatch(/hidden/);
  });

  test("may be bytes, which are not changed", async () => {
    const bytes = new TextEncoder().encode(text);
    const before = bytes.slice();
    await sent(bytes);
    expect(bytes).toEqual(before);
  });

  test.each([
    [undefined],
    [null],
    [1],
    [{}],
    [{ build: () => 1 }],
    [{ asRaw: () => ({}) }],
    [{ createReadStream: () => "x" }],
  ])("that is none is a TypeError: %j", async (bad) => {
    const { server, smtp } = await session();
    // @ts-expect-error: a caller without types may pass any value
    const error = await reasonOf(smtp.send_message(bad, "a@x.y", "b@x.y"));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty("message", expect.stringMatching(/msg/));
    expect(server.lines.some((line) => line.startsWith("MAIL"))).toBe(false);
  });

  test("that fails to be rendered rejects with that, and the session goes on", async () => {
    const { smtp } = await session();
    const own = new Error("own");
    expect(await reasonOf(smtp.send_message({ build: () => Promise.reject(own) }, "a@x.y", "b@x.y"))).toBe(own);
    expect((await smtp.noop()).code).toBe(250);
  });
});

describe("an object that gives a message", () => {
  const whole = "From: a@x.y\nTo: b@x.y\n\nHi\n";

  test.each<[string, object]>([
    ["without a header of its own", { readAsync: async () => whole }],
    ["with a header that names no Bcc", { header: {}, readAsync: async () => whole }],
    ["with an empty Bcc", { header: { bcc: "" }, readAsync: async () => whole }],
  ])("by readAsync(), %s, goes to whom its text names", async (_, message) => {
    expect(await sent(message)).toMatchObject({ to: ["b@x.y"], content: "From: a@x.y\r\nTo: b@x.y\r\n\r\nHi\r\n" });
  });

  test.each<[string, object]>([
    ["a stream of numbers", { createReadStream: () => Readable.from([1, 2]) }],
    ["no stream", { createReadStream: () => whole }],
    ["nothing by compile()", { compile: () => null }],
    ["a number by asRaw()", { asRaw: () => 7 }],
  ])("must not give %s", async (_, message) => {
    const { server, smtp } = await session();
    expect(await reasonOf(smtp.send_message(message))).toBeInstanceOf(TypeError);
    expect(server.lines).toEqual([]);
  });
});

describe("a MIME library's message goes to its Bcc, and does not name it:", () => {
  const utf8 = { ehlo: ["8BITMIME"] };

  async function check(message: object): Promise<void> {
    const { from, to, content } = await sent(message, utf8);
    expect(from).toBe("a@x.y");
    expect(new Set(to)).toEqual(new Set(["b@x.y", "c@x.y", "hidden@x.y"]));
    expect(content).not.toMatch(/hidden/i);
    const parsed = await PostalMime.parse(content);
    expect(parsed.subject).toBe("Grüße");
    expect(parsed.text?.trim()).toBe("Hi\n.dot");
    expect(parsed.bcc).toBeUndefined();
  }

  test("nodemailer's MailComposer, also when it asks to keep Bcc", async () => {
    const mail = {
      from: "A <a@x.y>",
      to: "B <b@x.y>",
      cc: "c@x.y",
      bcc: "Hidden <hidden@x.y>",
      subject: "Grüße",
      text: "Hi\n.dot",
    };
    await check(new MailComposer(mail));
    await check(new MailComposer(mail).compile());
    const keeping = new MailComposer(mail).compile();
    keeping.keepBcc = true;
    await check(keeping);
    expect(keeping.keepBcc).toBe(true);
  });

  test("mimetext", async () => {
    const message = createMimeMessage();
    message.setSender({ name: "A", addr: "a@x.y" });
    message.setTo("b@x.y");
    message.setCc("c@x.y");
    message.setBcc("hidden@x.y");
    message.setSubject("Grüße");
    message.addMessage({ contentType: "text/plain", data: "Hi\n.dot" });
    await check(message);
  });

  test("emailjs", async () => {
    await check(
      new EmailjsMessage({
        from: "A <a@x.y>",
        to: "B <b@x.y>",
        cc: "c@x.y",
        bcc: "hidden@x.y",
        subject: "Grüße",
        text: "Hi\n.dot",
      }),
    );
  });
});
