/** The contents of one write: an envelope, and the end of a body with the next envelope (docs/architecture.md). */
import { describe, expect, test } from "vitest";
import type { Body } from "../../src/client/content.ts";
import { SMTP } from "../../src/facade/smtp.ts";
import { preparedSession } from "../support/session.ts";
import { FakeServer, type Script } from "./fake-server.ts";

const offers = ["PIPELINING", "8BITMIME", "SIZE 1000000"];
const to = ["b@example.com", "c@example.com", "d@example.com"];
const from = "a@example.com";

const session = (script: Script = {}) => preparedSession({ ehlo: offers, ...script });

const RCPT = to.map((address) => `RCPT TO:<${address}>\r\n`).join("");

describe("with PIPELINING", () => {
  test("an envelope is one write, a small body with its end another", async () => {
    const { server, smtp } = await session();
    await smtp.sendmail(from, to, "Hi\n");
    expect(server.writes).toEqual([`MAIL FROM:<${from}> SIZE=4\r\n${RCPT}DATA\r\n`, "Hi\r\n.\r\n"]);
  });

  test("the next envelope leaves in one write with the body before it", async () => {
    const { server, smtp } = await session();
    await Promise.all(["1\n", "2\n", "3\n"].map((body) => smtp.sendmail(from, to, body)));
    const envelope = `MAIL FROM:<${from}> SIZE=3\r\n${RCPT}DATA\r\n`;
    expect(server.writes).toEqual([envelope, `1\r\n.\r\n${envelope}`, `2\r\n.\r\n${envelope}`, "3\r\n.\r\n"]);
    expect(server.messages).toEqual(["1\r\n", "2\r\n", "3\r\n"]);
  });

  test("each of several messages gets its own verdict", async () => {
    const { smtp } = await session({
      on: { ".": ["250 one", "554 spam", "250 three"], RCPT: (line) => (line.includes("c@") ? "550 no c" : "250 ok") },
    });
    const results = await Promise.allSettled(["1", "2", "3"].map((body) => smtp.deliver({ from, to, body })));
    const views = results.map((r) =>
      r.status === "fulfilled" ? r.value.reply.message : `${r.reason.name} ${r.reason.smtp_error}`,
    );
    expect(views).toEqual(["one", "SMTPDataError spam", "three"]);
  });

  test("another call waits for the end of the messages before it, and those behind wait for it", async () => {
    const { server, smtp } = await session();
    await Promise.all([
      smtp.sendmail(from, "b@example.com", "1"),
      smtp.noop(),
      smtp.sendmail(from, "b@example.com", "2"),
      smtp.rset(),
    ]);
    expect(server.lines.map((line) => line.split(/[ :]/)[0])).toEqual([
      "MAIL",
      "RCPT",
      "DATA",
      ".",
      "NOOP",
      "MAIL",
      "RCPT",
      "DATA",
      ".",
      "RSET",
    ]);
  });

  test("a message that fails in its envelope is reset before the next one begins", async () => {
    const { server, smtp } = await session({
      on: { MAIL: ["550 no", "250 ok"], DATA: ["503 no mail", "354 go"] },
    });
    const results = await Promise.allSettled([
      smtp.sendmail(from, "b@example.com", "1"),
      smtp.sendmail(from, "b@example.com", "2"),
    ]);
    expect(results.map((r) => r.status)).toEqual(["rejected", "fulfilled"]);
    expect(server.lines.map((line) => line.split(/[ :]/)[0])).toEqual([
      "MAIL",
      "RCPT",
      "DATA",
      "RSET",
      "MAIL",
      "RCPT",
      "DATA",
      ".",
    ]);
    expect(server.messages).toEqual(["2\r\n"]);
  });

  test("a 354 for nobody is ended by an empty message, whose acceptance is none (RFC 2920 3.1)", async () => {
    const { server, smtp } = await session({ on: { RCPT: "550 no", DATA: "354 go" } });
    await expect(smtp.sendmail(from, to, "secret\n")).rejects.toMatchObject({ name: "SMTPRecipientsRefused" });
    expect(server.messages).toEqual([""]);
    expect(await smtp.noop()).toEqual([250, "ok"]);
  });

  test("a large body goes out in pieces of some size, not line by line", async () => {
    const { server, smtp } = await session();
    const body = `${"x".repeat(76)}\n`.repeat(10_000);
    await smtp.sendmail(from, to, body);
    expect(server.messages[0]).toHaveLength(780_000);
    expect(server.writes.length).toBeLessThan(20);
  });

  test("small chunks of a stream are gathered", async () => {
    const { server, smtp } = await session();
    await smtp.sendmail(from, to, Array(5000).fill("0123456789\n"));
    expect(server.messages[0]).toHaveLength(60_000);
    expect(server.writes.length).toBeLessThan(5);
  });
});

describe("without PIPELINING, or with it turned off", () => {
  test.each([
    ["not offered", ["8BITMIME"], true],
    ["turned off", offers, false],
  ])("each command waits for the reply before it: %s", async (_, ehlo, pipelining) => {
    const server = new FakeServer({ ehlo });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport, pipelining });
    await Promise.all([smtp.sendmail(from, to, "1"), smtp.sendmail(from, to, "2")]);
    expect(server.writes.every((write) => write.split("\r\n").length === 2 || write.endsWith("\r\n.\r\n"))).toBe(true);
    expect(server.writes).toHaveLength(1 + 2 * 6);
    expect(server.messages).toEqual(["1\r\n", "2\r\n"]);
  });

  test("nothing follows a refused sender but RSET", async () => {
    const server = new FakeServer({ on: { MAIL: "550 no" } });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport });
    await expect(smtp.sendmail(from, to, "1")).rejects.toMatchObject({ name: "SMTPSenderRefused" });
    expect(server.lines.slice(1)).toEqual([`MAIL FROM:<${from}>`, "RSET"]);
  });

  test("no DATA follows when all recipients were refused", async () => {
    const server = new FakeServer({ on: { RCPT: "550 no" } });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport });
    await expect(smtp.sendmail(from, to, "1")).rejects.toMatchObject({ name: "SMTPRecipientsRefused" });
    expect(server.lines).not.toContain("DATA");
    expect(server.lines.at(-1)).toBe("RSET");
  });
});

describe("an answer that comes too early", () => {
  test.each([250, 451, 552])("in one packet with the 354 is no success: %d", async (code) => {
    const { smtp } = await session({ on: { DATA: `354 go\r\n${code} already` } });
    const error = await smtp.sendmail(from, "b@example.com", "1\n").then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).toMatchObject(
      code === 250 ? { name: "SMTPServerDisconnected" } : { name: "SMTPDataError", smtp_code: code },
    );
    expect(smtp.connected).toBe(false);
  });

  test("in one packet with the 354 is not taken for the final reply, nor does it shift those of the next message", async () => {
    const { smtp } = await session({
      on: { DATA: ["354 go\r\n250 not yours", "354 go"], ".": ["554 spam", "250 ok"] },
    });
    const results = await Promise.allSettled([
      smtp.sendmail(from, "b@example.com", "1\n"),
      smtp.sendmail(from, "b@example.com", "2\n"),
    ]);
    expect(results.map((r) => r.status)).toEqual(["rejected", "rejected"]);
  });

  test.each([
    ["whole", "354 go\r\n250 already"],
    ["half", "354 go\r\n250 alre"],
  ])(
    "to a message for nobody, %s, is not followed by one that another command would take for its own",
    async (_, data) => {
      const { server, smtp } = await session({ on: { RCPT: ["550 no", "250 ok"], DATA: [data, "354 go"] } });
      const results = await Promise.allSettled([
        smtp.sendmail(from, "b@example.com", "1\n"),
        smtp.sendmail(from, "b@example.com", "2\n"),
      ]);
      expect(results).toMatchObject([
        { reason: { name: "SMTPRecipientsRefused", delivery: "rejected" } },
        { reason: { name: "SMTPServerDisconnected", delivery: "not-sent" } },
      ]);
      expect(server.messages).toEqual([]);
      expect(smtp.connected).toBe(false);
    },
  );

  test("half of it, before a transaction, is not taken for the reply to MAIL", async () => {
    const { server, smtp } = await session({ on: { MAIL: "ay\r\n550 no" } });
    server.say("250 2.0.0 str");
    await new Promise((resolve) => setTimeout(resolve, 5));
    const error = await smtp.sendmail(from, "b@example.com", "1").then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).toMatchObject({ name: "SMTPServerDisconnected", delivery: "not-sent" });
    expect(server.lines).toEqual([]);
  });
});

describe("a message that ends the session", () => {
  async function* failing(): AsyncGenerator<string> {
    yield "half a message\n";
    throw new Error("no more");
  }

  test.each<[string, Script, () => Body]>([
    ["whose source fails, in lock-step", { ehlo: [] }, failing],
    ["whose source fails, pipelined", {}, failing],
    ["whose source fails, by BDAT", { ehlo: ["CHUNKING"] }, failing],
    ["that is refused too early", { on: { DATA: "354 go\r\n552 too big" } }, () => "1"],
    ["that is answered with nonsense", { on: { ".": "354 what" } }, () => "1"],
  ])("%s, leaves none waiting of those behind it", async (_, script, body) => {
    const { server, smtp } = await session(script);
    const results = await Promise.allSettled([
      smtp.sendmail(from, "b@example.com", body()),
      smtp.sendmail(from, "b@example.com", "2\n"),
      smtp.noop(),
    ]);
    expect(results).toMatchObject([
      { status: "rejected" },
      { reason: { name: "SMTPServerDisconnected", delivery: "not-sent" } },
      { reason: { name: "SMTPServerDisconnected" } },
    ]);
    expect(server.messages).not.toContain("2\r\n");
  });
});
