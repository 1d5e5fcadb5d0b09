/** Upyo's messages on the wire: the behaviour that Upyo tests with its own SMTP transport, and newer features. */
import type { Message, MessageConstructor } from "@upyo/core";
import { describe, expect, it } from "vitest";
import { arrived, attachment, faked, fields, letter } from "./harness.ts";

describe("the envelope", () => {
  it("has the sender, and the recipients of To, Cc and Bcc, each once", async () => {
    const { server } = await arrived(
      letter({
        to: ["a@example.net", "B <b@example.net>"],
        cc: "c@example.net",
        bcc: ["d@example.net", "a@example.net"],
      }),
    );
    expect(server.lines.filter((line) => /^(MAIL|RCPT)/.test(line))).toEqual([
      expect.stringMatching(/^MAIL FROM:<ada@example\.com>/),
      ...["a", "b", "c", "d"].map((name) => `RCPT TO:<${name}@example.net>`),
    ]);
  });

  it("may have recipients of Cc and Bcc alone", async () => {
    const { header, server } = await arrived(letter({ to: [], cc: "c@example.net", bcc: "d@example.net" }));
    expect(server.lines.filter((line) => line.startsWith("RCPT"))).toEqual([
      "RCPT TO:<c@example.net>",
      "RCPT TO:<d@example.net>",
    ]);
    expect(header).not.toMatch(/d@example\.net/);
  });

  it("goes with SMTPUTF8 where a shown address can be carried by nothing else, and not for a name or a domain", async () => {
    const utf8 = await arrived({ ...letter(), replyRecipients: [{ address: "jürgen@example.com" }] });
    expect(utf8.server.lines).toContainEqual(expect.stringMatching(/^MAIL .* SMTPUTF8/));
    const { server, transport } = faked();
    const plain = letter({ from: "Jürgen <j@müller.example>", replyTo: "Jürgen <j@müller.example>" });
    expect(await transport.send(plain)).toMatchObject({ successful: true });
    expect(server.lines).toContain("MAIL FROM:<j@xn--mller-kva.example>");
    expect(fields(server.messages[0] ?? "", "Reply-To")).toEqual([
      expect.stringMatching(/<j@xn--mller-kva\.example>$/),
    ]);
    const receipt = await transport.send({ ...letter(), replyRecipients: [{ address: "jürgen@example.com" }] });
    expect(receipt).toMatchObject({ errors: [{ category: "configuration", code: "smtp.smtputf8-unsupported" }] });
  });
});

describe("the header", () => {
  it.each<[string, string]>([
    ["plain", "John Doe"],
    ["with a comma and quotes", 'Doe, "Jo" John'],
    ["German", "Jürgen Müller"],
    ["Korean", "홍민희"],
    ["Japanese, long", "山田太郎".repeat(20)],
    ["an emoji", "🚀 Launch 👩‍👩‍👧‍👧"],
  ])("has names as they are: %s", async (_, name) => {
    const address = { name, address: "john@example.com" } as const;
    const { header, parsed } = await arrived(letter({ from: address, to: address, cc: address, replyTo: address }));
    expect(/^[\x00-\x7f]*$/.test(header)).toBe(true);
    for (const field of [parsed.from, parsed.to, parsed.cc, parsed.replyTo].flat()) {
      expect(field?.value).toEqual([address]);
    }
  });

  it("has addresses without a name as they are", async () => {
    const { header } = await arrived(letter({ from: "a@example.com", to: ["b@example.com", '"c d"@example.com'] }));
    expect(fields(header, "From")).toEqual(["a@example.com"]);
    expect(fields(header, "To")).toEqual(['b@example.com, <"c d"@example.com>']);
  });

  it.each(["plain", "Ünïcödé", "한국어 제목입니다 ".repeat(12).trim(), "日本語の件名 🎉", "a".repeat(900)])(
    "has the subject as it is, in lines that are not too long: %s",
    async (subject) => {
      const { header, parsed } = await arrived(letter({ subject }));
      expect(parsed.subject).toBe(subject);
      expect(Math.max(...header.split("\r\n").map(({ length }) => length))).toBeLessThanOrEqual(998);
    },
  );

  it.each<[MessageConstructor["priority"], (string | undefined)[]]>([
    ["high", ["1 (Highest)", "High", "High"]],
    ["normal", []],
    ["low", ["5 (Lowest)", "Low", "Low"]],
  ])("tells the priority: %s", async (priority, values) => {
    const { header } = await arrived(letter({ ...(priority ? { priority } : {}), headers: {} }));
    const found = ["X-Priority", "X-MSMail-Priority", "Importance"].flatMap((name) => fields(header, name));
    expect(found).toEqual(values);
  });

  it("has the custom fields, and none twice", async () => {
    const headers = {
      ...{ "X-Campaign": "note-g", "X-U": "Grüße", "List-Unsubscribe": "<https://example.com/u>" },
      ...{ From: "evil@example.com", To: "x@example.com", Cc: "y@example.com", Bcc: "hidden@example.com" },
      ...{ "Reply-To": "z@example.com", Subject: "another", "Content-Type": "text/html", "MIME-Version": "2.0" },
      ...{ "Content-Transfer-Encoding": "base64", "X-Priority": "3", Importance: "Low" },
    };
    const { header } = await arrived(letter({ headers, priority: "high" }));
    expect(fields(header, "X-Campaign")).toEqual(["note-g"]);
    expect(fields(header, "X-U")).toEqual(["=?UTF-8?Q?Gr=C3=BC=C3=9Fe?="]);
    expect(fields(header, "List-Unsubscribe")).toEqual(["<https://example.com/u>"]);
    const names = header.split("\r\n").flatMap((line) => /^([^\s:]+):/.exec(line)?.[1]?.toLowerCase() ?? []);
    expect(new Set(names).size).toBe(names.length);
    expect(header).not.toMatch(/evil|hidden|[xyz]@example\.com|another|text\/html|2\.0/);
    expect(fields(header, "X-Priority")).toEqual(["1 (Highest)"]);
    const normal = await arrived(letter({ headers: { "X-Priority": "3" } }));
    expect(fields(normal.header, "X-Priority")).toEqual(["3"]);
  });

  it("has the caller's Date and Message-ID instead of its own", async () => {
    const headers = { Date: "Mon, 13 Jul 1992 12:00:00 +0100", "Message-ID": "<note-g@example.com>" };
    const { header, receipt } = await arrived(letter({ headers }));
    expect(fields(header, "Date")).toEqual([headers.Date]);
    expect(fields(header, "Message-ID")).toEqual(["<note-g@example.com>"]);
    expect(receipt).toMatchObject({ messageId: "<note-g@example.com>" });
  });

  it("has a Date, and a Message-ID of its own for each message", async () => {
    const message = letter();
    const [first, second] = [await arrived(message), await arrived(message)];
    expect(Math.abs(Date.now() - Number(first.parsed.date))).toBeLessThan(60_000);
    expect(fields(first.header, "Date")).toEqual([expect.stringMatching(/ \+0000$/)]);
    const [id] = fields(first.header, "Message-ID");
    expect(id).toMatch(/^<[^<>@\s]+@example\.com>$/);
    expect(first.receipt).toMatchObject({ messageId: id });
    expect(fields(second.header, "Message-ID")).not.toEqual([id]);
  });

  it("has no tags: SMTP has nothing like them", async () => {
    const { raw } = await arrived(letter({ tags: ["campaign-7"] }));
    expect(raw).not.toContain("campaign-7");
  });

  it("cannot be forged by line ends in a message that was made by hand", async () => {
    const crlf = "x\r\nX-Forged: yes";
    const message: Message = {
      ...letter(),
      sender: { name: crlf, address: "ada@example.com" },
      subject: crlf,
      replyRecipients: [{ name: crlf, address: "r@example.com" }],
      attachments: [
        attachment(new Uint8Array([1]), { inline: true, filename: crlf, contentId: crlf, contentType: crlf }),
      ],
    };
    const { raw } = await arrived(message);
    expect(raw).not.toMatch(/^X-Forged:/m);
  });
});

describe("the idempotency key", () => {
  it("makes the Message-ID, so that each attempt has the same, and does not show", async () => {
    const message = letter({ idempotencyKey: "order-4711 paid" });
    const [first, second] = [await arrived(message), await arrived(message)];
    const [id] = fields(first.header, "Message-ID");
    expect(id).toMatch(/^<[0-9a-f]{32}@example\.com>$/);
    expect(fields(second.header, "Message-ID")).toEqual([id]);
    expect(first.receipt).toMatchObject({ messageId: id });
    expect(first.raw).not.toContain("4711");
  });

  it("makes another Message-ID for another key, and for another sender", async () => {
    const ids = await Promise.all(
      [
        letter({ idempotencyKey: "1" }),
        letter({ idempotencyKey: "2" }),
        letter({ idempotencyKey: "1", from: "mary@example.com" }),
        letter(),
      ].map(async (message) => fields((await arrived(message)).header, "Message-ID")[0]),
    );
    expect(new Set(ids).size).toBe(4);
  });

  it("counts less than a Message-ID that the caller chose", async () => {
    const chosen = await arrived(letter({ idempotencyKey: "1", headers: { "message-id": "<own@example.com>" } }));
    expect(fields(chosen.header, "Message-ID")).toEqual(["<own@example.com>"]);
  });
});

describe("the content", () => {
  it.each<[string, MessageConstructor["content"], string]>([
    ["text", { text: "Hi!\r\n" }, "text/plain"],
    ["HTML", { html: "<p>Grüße</p>" }, "text/html"],
    ["both", { text: "Grüße\n", html: "<p>Grüße</p>" }, "multipart/alternative"],
    ["nothing", { text: "" }, "text/plain"],
  ])("is %s", async (_, content, type) => {
    const { header, parsed } = await arrived(letter({ content }));
    expect(fields(header, "Content-Type")).toEqual([expect.stringMatching(new RegExp(`^${type}`))]);
    const text: string | undefined = "text" in content ? content.text : undefined;
    if (text !== undefined) expect((parsed.text ?? "").trim()).toBe(text.trim());
    if ("html" in content) expect(String(parsed.html).trim()).toBe(content.html);
  });

  it("keeps text of any kind, in lines that are not too long", async () => {
    const text = [
      "한국어 텍스트입니다. ".repeat(60),
      "日本語のテキスト".repeat(60),
      "👩‍👩‍👧‍👧 🎉",
      "a".repeat(3000),
      ". a dot",
      "From me",
      "tab\t= equals ",
      "",
    ].join("\n");
    const { raw, parsed } = await arrived(letter({ content: { text, html: `<pre>${text}</pre>` } }));
    expect(parsed.text?.replace(/[ \t]+\n/g, "\n")).toBe(text.replace(/[ \t]+\n/g, "\n"));
    expect(Math.max(...raw.split("\r\n").map(({ length }) => length))).toBeLessThanOrEqual(998);
  });
});

describe("attachments", () => {
  it.each(["report.pdf", 'a "quoted"; name.txt', "보고서 최종.pdf", "tablé – 2.csv", "長".repeat(120)])(
    "have their file names: %s",
    async (filename) => {
      const { raw, parsed } = await arrived(letter({ attachments: attachment(new Uint8Array([1, 2]), { filename }) }));
      expect(parsed.attachments.map((one) => one.filename)).toEqual([filename]);
      expect(/^[\x00-\x7f]*$/.test(raw)).toBe(true);
    },
  );

  it("keep every octet, many and few", async () => {
    const large = new Uint8Array(1_000_003).map((_, index) => (index * 7919) % 251);
    const empty = new Uint8Array();
    const { parsed } = await arrived(letter({ attachments: [attachment(large), attachment(empty)] }));
    const [first, second] = parsed.attachments;
    expect(first?.content.equals(large)).toBe(true);
    expect(second?.content).toHaveLength(0);
  });

  it("are inline beside the HTML that shows them, and attached beside text", async () => {
    const inline = attachment(new Uint8Array([0x89]), {
      inline: true,
      contentType: "image/png",
      contentId: "logo@example.com",
    });
    const regular = attachment(new Uint8Array([1]), { contentType: "application/pdf", contentId: "none@example.com" });
    const html = await arrived(
      letter({ content: { html: '<img src="cid:logo@example.com">' }, attachments: [inline, regular] }),
    );
    expect(fields(html.header, "Content-Type")).toEqual([expect.stringMatching(/^multipart\/mixed/)]);
    expect(html.parsed.attachments).toMatchObject([
      { cid: "logo@example.com", contentDisposition: "inline", related: true, contentType: "image/png" },
      { contentDisposition: "attachment", contentType: "application/pdf" },
    ]);
    expect(html.raw).not.toContain("none@example.com");
    const text = await arrived(letter({ content: { text: "" }, attachments: [inline] }));
    expect(fields(text.header, "Content-Type")).toEqual([expect.stringMatching(/^multipart\/mixed/)]);
    expect(text.parsed.attachments).toMatchObject([{ cid: "logo@example.com", contentDisposition: "inline" }]);
  });

  it("may be files and messages", async () => {
    const file = new File(["operation,variable\n"], "tablé.csv", { type: "text/csv" });
    const nameless = new File(["x"], "y", { type: "" });
    const message = attachment(new TextEncoder().encode("Subject: inner\r\n\r\nHi!\r\n"), {
      contentType: "message/rfc822",
      filename: "m.eml",
    });
    const { raw, parsed } = await arrived(letter({ attachments: [file, nameless, message] }));
    expect(parsed.attachments.map((one) => one.contentType)).toEqual(
      expect.arrayContaining(["text/csv", "application/octet-stream"]),
    );
    expect(raw).toContain("Subject: inner");
  });
});

/** A message with fields of Upyo 0.6, which the types of the installed version lack. */
function later(fields: object): Message {
  return { ...letter({ headers: { "In-Reply-To": "<custom@example.com>" } }), ...fields };
}

describe("messages of Upyo 0.6", () => {
  it("choose their Message-ID, date and thread", async () => {
    const date = new Date(Date.UTC(1992, 6, 13, 11, 0, 0));
    const { header, receipt } = await arrived(
      later({
        messageId: "own@example.com",
        date,
        inReplyTo: ["a@example.com"],
        references: ["b@example.com", "a@example.com"],
      }),
    );
    expect(fields(header, "Message-ID")).toEqual(["<own@example.com>"]);
    expect(receipt).toMatchObject({ messageId: "<own@example.com>" });
    expect(fields(header, "Date")).toEqual(["Mon, 13 Jul 1992 11:00:00 +0000"]);
    expect(fields(header, "In-Reply-To")).toEqual(["<a@example.com>"]);
    expect(fields(header, "References")).toEqual(["<b@example.com> <a@example.com>"]);
  });

  it("leave the thread to the custom fields, or to none", async () => {
    expect(fields((await arrived(later({}))).header, "In-Reply-To")).toEqual(["<custom@example.com>"]);
    expect(fields((await arrived(later({ inReplyTo: [] }))).header, "In-Reply-To")).toEqual([]);
  });

  it("carry an invitation", async () => {
    const content = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n";
    const { raw, header } = await arrived(later({ calendar: { method: "REQUEST", content } }));
    expect(fields(header, "Content-Type")).toEqual([expect.stringMatching(/^multipart\/alternative/)]);
    expect(raw).toMatch(/Content-Type: text\/calendar; charset=utf-8; method=REQUEST/i);
    expect(raw).toContain(btoa(content).slice(0, 60));
  });
});
