/** The option `chunking`: which messages use BDAT (RFC 3030), and servers that offer it without knowing it. */
import { describe, expect, test } from "vitest";
import { type Body, LMTP, SMTP, SMTPDataError, type SMTPOptions, SMTPPool } from "../../src/index.ts";
import { FakeServer, type Script } from "./fake-server.ts";

const [from, to] = ["a@example.com", "b@example.com"];
const KIB_64 = 65_536;
const line = `${"x".repeat(62)}\r\n`;
const octets = (count: number): string => line.repeat(count / line.length);

async function session(
  options: SMTPOptions = {},
  script: Script = {},
  Client: typeof SMTP | typeof LMTP = SMTP,
): Promise<{ server: FakeServer; smtp: SMTP }> {
  const server = new FakeServer({ ehlo: ["PIPELINING", "CHUNKING", "BINARYMIME"], ...script });
  const smtp = new Client("mail.example.com", 25, { transport: server.transport, ...options });
  return { server, smtp };
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => expect.fail("it was to be rejected"),
    (error: unknown) => error,
  );

const verbs = (server: FakeServer): string[] =>
  server.lines.filter((text) => /^(DATA|BDAT)/.test(text)).map((text) => text.slice(0, 4));

async function* stream(): AsyncGenerator<string> {
  yield "streamed\r\n";
}

describe("a server that offers CHUNKING", () => {
  test.each<[string, SMTPOptions, string, () => Body, "DATA" | "BDAT"]>([
    ["", {}, "a small message", () => "small\r\n", "DATA"],
    ["", {}, "a message of 64 KiB", () => octets(KIB_64), "DATA"],
    ["", {}, "a larger message", () => octets(KIB_64 + 64), "BDAT"],
    ["", {}, "a message whose line ends make it larger", () => `\n${octets(KIB_64)}`, "BDAT"],
    ["", {}, "a stream", stream, "BDAT"],
    ["", {}, "a list of chunks", () => ["small\r\n"], "BDAT"],
    ["", {}, "a Blob", () => new Blob(["small\r\n"]), "BDAT"],
    ['with pipelining "eager"', { pipelining: "eager" }, "a small message", () => "small\r\n", "BDAT"],
    ["with pipelining false", { pipelining: false }, "a small message", () => "small\r\n", "DATA"],
    ["with chunking true", { chunking: true }, "a small message", () => "small\r\n", "BDAT"],
    ["with chunking false", { chunking: false }, "a stream", stream, "DATA"],
    ["with chunking false", { chunking: false }, "a large message", () => octets(4 * KIB_64), "DATA"],
    ["with chunking false", { chunking: false, pipelining: "eager" }, "an eager message", () => "small\r\n", "DATA"],
  ])("%s %o: %s goes by DATA or BDAT as it gains", async (_, options, __, body, verb) => {
    for (const Client of [SMTP, LMTP]) {
      const { server, smtp } = await session(options, {}, Client);
      await smtp.sendmail(from, to, body());
      expect(new Set(verbs(server))).toEqual(new Set([verb]));
      expect(server.messages).toHaveLength(1);
      await smtp.quit();
    }
    const server = new FakeServer({ ehlo: ["PIPELINING", "CHUNKING"] });
    const pool = new SMTPPool({ host: "mail.example.com", transport: server.transport, ...options });
    await pool.sendmail(from, to, body());
    expect(new Set(verbs(server))).toEqual(new Set([verb]));
    await pool.close();
  });

  test("gets BODY=BINARYMIME by BDAT, however small; with chunking false it is refused before MAIL", async () => {
    const { server, smtp } = await session();
    await smtp.sendmail(from, to, "\0\n", ["BODY=BINARYMIME"]);
    expect(verbs(server)).toEqual(["BDAT"]);
    const other = await session({ chunking: false });
    for (const options of [["BODY=BINARYMIME"], { body: "BINARYMIME" as const }]) {
      expect(await failure(other.smtp.sendmail(from, to, "\0\n", options))).toMatchObject({
        name: "SMTPNotSupportedError",
        capability: "CHUNKING",
        delivery: "not-sent",
        message: expect.stringContaining("the option chunking"),
      });
    }
    expect(other.server.lines.join()).not.toContain("MAIL");
  });

  test("but not PIPELINING gets small messages by DATA in eager mode, which is not possible there", async () => {
    const { server, smtp } = await session({ pipelining: "eager" }, { ehlo: ["CHUNKING"] });
    await smtp.sendmail(from, to, "small\r\n");
    expect(verbs(server)).toEqual(["DATA"]);
  });
});

test("messages that queue need no RSET, whatever carries them and whoever is refused", async () => {
  const on = { RCPT: (text: string) => (text.includes("no") ? "550 no" : "250 ok") };
  const { server, smtp } = await session({}, { on });
  const people = ["no1@example.com", "yes@example.com"];
  const sent = Array.from({ length: 12 }, (_, index) =>
    smtp.sendmail(from, index % 3 === 0 ? people : [to], index % 2 === 0 ? "small\r\n" : octets(2 * KIB_64)),
  );
  await Promise.all(sent);
  expect(server.messages).toHaveLength(12);
  expect(server.lines).not.toContain("RSET");
});

/** A server, or a proxy before it, that offers CHUNKING without knowing BDAT: it reads the content as commands. */
const unknowing = (code: number, offered: Script = {}): Script => ({
  ...offered,
  on: { BDAT: `${code} 5.5.1 what?`, ...offered.on },
});

describe.each([500, 502, 504])("a server that answers BDAT by %i", (code) => {
  test.each<[string, SMTPOptions, () => Body]>([
    ["a stream", {}, stream],
    ["a large message", {}, () => octets(8 * KIB_64)],
    ["a large message, without pipelining", { pipelining: false }, () => octets(8 * KIB_64)],
    ["an eager message", { pipelining: "eager" }, () => "eager\r\n"],
    ["any message", { chunking: true }, () => "small\r\n"],
  ])("is dropped, and the error names the option: %s", async (_, options, body) => {
    const { server, smtp } = await session(options, unknowing(code));
    const error = await failure(smtp.sendmail(from, to, body()));
    expect(error).toBeInstanceOf(SMTPDataError);
    expect(error).toMatchObject({
      smtp_code: code,
      smtp_error: "5.5.1 what?",
      delivery: "rejected",
      temporary: options.chunking !== true,
      message: expect.stringMatching(/does not know BDAT.*option chunking/),
    });
    expect(smtp.connected).toBe(false);
    expect(server.lines.at(-1)).not.toBe("RSET");
  });

  test("gets DATA from the same instance when it connects again, but not where chunking is true", async () => {
    const { server, smtp } = await session({}, unknowing(code));
    await failure(smtp.sendmail(from, to, stream()));
    await smtp.connect("mail.example.com", 25);
    expect(await smtp.sendmail(from, to, stream())).toEqual({});
    expect(verbs(server)).toEqual(["BDAT", "DATA"]);
    await smtp.connect("other.example.com", 25);
    await failure(smtp.sendmail(from, to, stream()));
    expect(verbs(server)).toEqual(["BDAT", "DATA", "BDAT"]);

    const insisting = await session({ chunking: true }, unknowing(code));
    await failure(insisting.smtp.sendmail(from, to, "small\r\n"));
    await insisting.smtp.connect("mail.example.com", 25);
    await failure(insisting.smtp.sendmail(from, to, "small\r\n"));
    expect(verbs(insisting.server)).toEqual(["BDAT", "BDAT"]);
  });

  test("gets DATA from a pool from then on, by the connections that are open, too", async () => {
    const server = new FakeServer(unknowing(code, { ehlo: ["PIPELINING", "CHUNKING"] }));
    const pool = new SMTPPool({ host: "mail.example.com", transport: server.transport, maxConnections: 2 });
    // Both connections are open before the first stream is sent.
    await Promise.all(["1\r\n", "2\r\n"].map((body) => pool.sendmail(from, to, body)));
    expect(server.streams).toHaveLength(2);
    expect(await failure(pool.sendmail(from, to, stream()))).toMatchObject({ smtp_code: code, temporary: true });
    expect(await pool.sendmail(from, to, stream())).toEqual({});
    expect(server.streams).toHaveLength(2);
    await Promise.all(Array.from({ length: 4 }, () => pool.sendmail(from, to, stream())));
    expect(verbs(server).filter((verb) => verb === "BDAT")).toHaveLength(1);
    await pool.close();
  });

  test("gets BDAT from a pool again where chunking is true", async () => {
    const server = new FakeServer(unknowing(code, { ehlo: ["CHUNKING"] }));
    const pool = new SMTPPool({ host: "mail.example.com", transport: server.transport, chunking: true });
    for (let count = 1; count < 3; count++) {
      expect(await failure(pool.sendmail(from, to, "small\r\n"))).toMatchObject({ smtp_code: code, temporary: false });
      expect(verbs(server)).toEqual(Array.from({ length: count }, () => "BDAT"));
    }
    await pool.close();
  });
});

/** All cases in which a message uses BDAT: streams, large messages, all messages, whole messages in one flight. */
const WAYS: readonly [string, SMTPOptions, () => Body][] = [
  ["a stream", {}, stream],
  ["a small message", { chunking: true }, () => "small\r\n"],
  ["a message, without pipelining", { chunking: true, pipelining: false }, () => "small\r\n"],
  ["an eager message", { pipelining: "eager" }, () => "eager\r\n"],
];

describe.each([500, 502, 504])("%i to BDAT from a server that knows the command", (code) => {
  const people = [to, "c@example.com"];
  const no = `${code} 5.3.0 mailbox failed`;

  test.each(WAYS)("is one recipient's refusal in LMTP: %s", async (_, options, body) => {
    for (const answers of [`250 saved\r\n${no}`, `${no}\r\n250 saved`]) {
      const on = { BDAT: (text: string) => (text.endsWith("LAST") ? answers : "250 go on") };
      const { smtp } = await session(options, { on }, LMTP);
      const refused = answers.startsWith("250") ? people[1] : people[0];
      expect(await smtp.sendmail(from, people, body())).toEqual({ [String(refused)]: [code, "5.3.0 mailbox failed"] });
      expect(smtp.connected).toBe(true);
      await smtp.quit();
    }
  });

  test.each(WAYS)("leaves the message unknown in LMTP while a reply is owed: %s", async (_, options, body) => {
    const { server, smtp } = await session(options, { on: { BDAT: no } }, LMTP);
    expect(await failure(smtp.sendmail(from, people, body()))).toMatchObject({
      name: "SMTPServerDisconnected",
      delivery: "unknown",
      replies: [{ code }],
    });
    expect(smtp.connected).toBe(false);
    await smtp.connect("mail.example.com", 25);
    await smtp.sendmail(from, to, body()).catch(() => {});
    expect(verbs(server).at(-1)).toBe(options.chunking === true ? "BDAT" : "DATA");
  });

  test.each([1, 2])("refuses the message after chunk %i of it was accepted", async (accepted) => {
    let chunks = 0;
    const { smtp } = await session({}, { on: { BDAT: () => (++chunks <= accepted ? "250 go on" : no) } });
    expect(await failure(smtp.sendmail(from, to, octets(12 * KIB_64)))).toMatchObject({
      name: "SMTPDataError",
      smtp_code: code,
      message: no,
      delivery: "rejected",
      temporary: false,
    });
    expect(smtp.connected).toBe(true);
    chunks = -9;
    expect(await smtp.sendmail(from, to, stream())).toEqual({});
  });

  test.each(WAYS)("refuses the message after another one was accepted: %s", async (_, options, body) => {
    const on = { BDAT: ["250 ok", no, "250 ok"] };
    const { server, smtp } = await session(options, { on });
    await smtp.sendmail(from, to, body());
    expect(await failure(smtp.sendmail(from, to, body()))).toMatchObject({ message: no, temporary: false });
    expect(await smtp.sendmail(from, to, body())).toEqual({});
    expect(server.streams).toHaveLength(1);
  });

  test("does not hide that all recipients of an eager message were refused, and takes no other message along", async () => {
    let accepted = false;
    const on = {
      RCPT: (text: string) => {
        accepted = !text.includes("no@");
        return accepted ? "250 ok" : "550 no such user";
      },
      BDAT: () => (accepted ? "250 ok" : no),
    };
    for (const Client of [SMTP, LMTP]) {
      const { smtp } = await session({ pipelining: "eager" }, { on }, Client);
      const [refused, sent] = await Promise.all([
        failure(smtp.sendmail(from, "no@example.com", "1\r\n")),
        smtp.sendmail(from, to, "2\r\n"),
      ]);
      expect(refused).toMatchObject({ name: "SMTPRecipientsRefused", delivery: "rejected", temporary: false });
      expect(sent).toEqual({});
      await smtp.quit();
    }
  });
});

test.each([501, 503, 552, 554, 452])("%i to BDAT refuses the message and not the verb", async (code) => {
  const { server, smtp } = await session({}, { on: { BDAT: `${code} no` } });
  expect(await failure(smtp.sendmail(from, to, stream()))).toMatchObject({ smtp_code: code, delivery: "rejected" });
  expect(smtp.connected).toBe(true);
  await failure(smtp.sendmail(from, to, stream()));
  expect(verbs(server)).toEqual(["BDAT", "BDAT"]);
});

test.each([null, "yes", 1, "eager"])("chunking: %j is a TypeError", (chunking) => {
  expect(() => new SMTP("mail.example.com", 25, { chunking: chunking as never })).toThrow(
    /^chunking must be a boolean/,
  );
  expect(() => new SMTPPool({ host: "mail.example.com", chunking: chunking as never })).toThrow(/^chunking must be/);
});
