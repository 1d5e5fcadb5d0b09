/** Messages by BDAT (RFC 3030): the bytes on the wire, and the outcome if the server refuses a chunk. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LMTP, type SMTP, type SMTPOptions } from "../../src/index.ts";
import { preparedSession } from "../support/session.ts";
import { FakeServer, type Script } from "./fake-server.ts";

const from = "a@example.com";
const to = ["b@example.com", "c@example.com"];
const offers = ["PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME"];
const ENVELOPE = `MAIL FROM:<${from}>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\n`;
const CHUNK = 262_144;

const session = (script: Script = {}, options: SMTPOptions = {}) =>
  preparedSession({ ehlo: offers, ...script }, { chunking: true, ...options });

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error) => error,
  );

const verbs = (server: FakeServer): string[] => server.lines.map((line) => line.replace(/[ :]?(FROM|TO|\d).*/, ""));
const bdats = (server: FakeServer): string[] => server.lines.filter((line) => line.startsWith("BDAT"));

describe("a message in memory", () => {
  test("is one chunk behind the replies to the envelope, not stuffed, with CRLF line ends", async () => {
    const { server, smtp } = await session();
    const refused = await smtp.sendmail(from, to, ".one\ntwo\r.\r\n\nend");
    expect(refused).toEqual({});
    expect(server.messages).toEqual([".one\r\ntwo\r\n.\r\n\r\nend\r\n"]);
    expect(server.writes).toEqual([ENVELOPE, `BDAT 21 LAST\r\n.one\r\ntwo\r\n.\r\n\r\nend\r\n`]);
  });

  test.each([
    ["text", "text\r\n"],
    ["text\r\n", "text\r\n"],
    ["text\r", "text\r\n"],
    ["text\n", "text\r\n"],
    ["a\r\n\r\nb", "a\r\n\r\nb\r\n"],
  ])("ends in one CRLF: %j", async (body, stored) => {
    const { server, smtp } = await session();
    await smtp.sendmail(from, to, body);
    expect(server.messages).toEqual([stored]);
  });

  test("may be empty", async () => {
    const { server, smtp } = await session();
    await smtp.sendmail(from, to, "");
    expect(server.lines.at(-1)).toBe("BDAT 0 LAST");
    expect(await smtp.noop()).toEqual([250, "ok"]);
  });

  test("gives the last reply to deliver(), in an object that can be copied and written down", async () => {
    const { smtp } = await session({ on: { BDAT: "250 2.0.0 queued as 7" } });
    const delivery = await smtp.deliver({ from, to, body: "x\n" });
    expect(delivery.reply.message).toBe("2.0.0 queued as 7");
    expect(JSON.parse(JSON.stringify({ ...delivery }))).toEqual({
      accepted: to,
      refused: {},
      reply: [250, "2.0.0 queued as 7"],
      replies: [
        [250, "ok"],
        [250, "ok"],
      ],
    });
  });

  test("that is large goes in several chunks, of which the last is not empty", async () => {
    const { server, smtp } = await session();
    const body = `${"x".repeat(76)}\r\n`.repeat(10_000);
    await smtp.sendmail(from, to, body);
    expect(server.messages).toEqual([body]);
    expect(bdats(server)).toEqual([`BDAT ${CHUNK}`, `BDAT ${CHUNK}`, `BDAT ${body.length - 2 * CHUNK} LAST`]);
  });

  test("is not sent if the session ends with the last reply to its envelope", async () => {
    const { server, smtp } = await session({ on: { RCPT: ["250 ok", "250 ok\r\n421 closing"] } });
    await smtp.sendmail(from, "b@example.com", "1\n");
    expect(await failure(smtp.sendmail(from, "b@example.com", "2\n"))).toMatchObject({
      name: "SMTPServerDisconnected",
      delivery: "not-sent",
    });
    expect(server.messages).toEqual(["1\r\n"]);
  });

  test("is not sent if every recipient is refused", async () => {
    const { server, smtp } = await session({ on: { RCPT: "550 no" } });
    expect(await failure(smtp.sendmail(from, to, "x\n"))).toMatchObject({
      name: "SMTPRecipientsRefused",
      delivery: "rejected",
    });
    expect(verbs(server)).toEqual(["MAIL", "RCPT", "RCPT", "RSET"]);
    expect(await smtp.noop()).toEqual([250, "ok"]);
  });
});

describe("messages that queue", () => {
  test("wait for the reply to the last chunk, so that no RSET is needed: servers count those", async () => {
    const { server, smtp } = await session();
    await Promise.all(["1\n", "2\n"].map((body) => smtp.sendmail(from, to, body)));
    expect(server.writes).toEqual([ENVELOPE, "BDAT 3 LAST\r\n1\r\n", ENVELOPE, "BDAT 3 LAST\r\n2\r\n"]);
    expect(server.messages).toEqual(["1\r\n", "2\r\n"]);
  });

  test("each get their own verdict", async () => {
    const { smtp } = await session({ on: { BDAT: ["250 one", "554 spam", "250 three"] } });
    const results = await Promise.allSettled(["1", "2", "3"].map((body) => smtp.deliver({ from, to, body })));
    const views = results.map((r) =>
      r.status === "fulfilled" ? r.value.reply.message : `${r.reason.name} ${r.reason.smtp_error}`,
    );
    expect(views).toEqual(["one", "SMTPDataError spam", "three"]);
  });

  test("need no RSET behind a message whose acceptance is known, and need it behind one that was refused", async () => {
    const { server, smtp } = await session({ on: { BDAT: ["250 ok", "554 spam", "250 ok"] } });
    await smtp.sendmail(from, "b@example.com", "1\n");
    await failure(smtp.sendmail(from, "b@example.com", "2\n"));
    await smtp.sendmail(from, "b@example.com", "3\n");
    expect(verbs(server)).toEqual(["MAIL", "RCPT", "BDAT", "MAIL", "RCPT", "BDAT", "RSET", "MAIL", "RCPT", "BDAT"]);
  });
});

describe("a streamed message", () => {
  test("goes in chunks whose size does not depend on the source's, and none of them is stuffed", async () => {
    const { server, smtp } = await session();
    async function* source(): AsyncGenerator<string> {
      for (let i = 0; i < 60_000; i++) yield ".line\n";
    }
    await smtp.sendmail(from, to, source());
    expect(server.messages).toEqual([".line\r\n".repeat(60_000)]);
    expect(bdats(server)).toHaveLength(2);
  });

  test("is the same on the wire wherever it is cut", async () => {
    const { server, smtp } = await session();
    const text = fc.array(fc.constantFrom("a", ".", "\r", "\n", "\r\n"), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 8 }), async (parts) => {
        const chunks = parts.map((part) => part.join(""));
        await smtp.sendmail(from, to, chunks);
        const whole = chunks.join("").replace(/\r\n?|\n/g, "\r\n");
        expect(server.messages.pop()).toBe(whole === "" || whole.endsWith("\r\n") ? whole : `${whole}\r\n`);
      }),
      { numRuns: 200 },
    );
  });

  test("waits for the reply to each chunk where commands are not pipelined", async () => {
    const { server, smtp } = await session({}, { pipelining: false });
    await smtp.sendmail(from, "b@example.com", ["x".repeat(CHUNK), "y".repeat(CHUNK), "z"]);
    expect(server.messages).toEqual([`${"x".repeat(CHUNK)}${"y".repeat(CHUNK)}z\r\n`]);
    expect(bdats(server)).toEqual([`BDAT ${CHUNK}`, `BDAT ${CHUNK}`, "BDAT 3 LAST"]);
  });

  test("whose source fails never ends in LAST", async () => {
    const { server, smtp } = await session();
    const broken = new Error("disk gone");
    async function* source(): AsyncGenerator<string> {
      yield "x".repeat(CHUNK);
      yield "y".repeat(CHUNK);
      throw broken;
    }
    const error = await failure(smtp.sendmail(from, to, source()));
    expect(error).toMatchObject({ name: "SMTPException", delivery: "not-sent", cause: broken });
    expect(bdats(server).some((line) => line.endsWith("LAST"))).toBe(false);
    expect(server.messages).toEqual([]);
    expect(smtp.connected).toBe(false);
  });

  test("rejects at once if the connection dies while the source hangs", async () => {
    const { server, smtp } = await session();
    let returned = false;
    const source: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          server.streams.at(-1)?.abort();
          return new Promise(() => {});
        },
        return: async () => {
          returned = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const error = await failure(smtp.sendmail(from, to, source));
    expect(error).toMatchObject({ name: "SMTPServerDisconnected", delivery: "not-sent" });
    expect(returned).toBe(true);
  });

  test("is stopped by a chunk that is refused: no further chunk, then RSET, and the session goes on", async () => {
    const { server, smtp } = await session({ on: { BDAT: ["250 ok", "552 too much", "503 no"] } });
    let asked = 0;
    async function* source(): AsyncGenerator<string> {
      for (; asked < 1000; asked++) {
        yield "x".repeat(CHUNK);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    const error = await failure(smtp.sendmail(from, to, source()));
    expect(error).toMatchObject({ name: "SMTPDataError", smtp_code: 552, delivery: "rejected" });
    expect(asked).toBeLessThan(100);
    expect(bdats(server).some((line) => line.endsWith("LAST"))).toBe(false);
    expect(server.lines.at(-1)).toBe("RSET");
    expect(await smtp.noop()).toEqual([250, "ok"]);
  });

  test("is unknown if a server takes it although it refused a part of it", async () => {
    const { smtp } = await session({
      on: { BDAT: (line) => (line.endsWith("LAST") ? "552 no\r\n250 ok" : undefined) },
    });
    const error = await failure(smtp.sendmail(from, to, ["x".repeat(CHUNK), "y"]));
    expect(error).toMatchObject({ name: "SMTPServerDisconnected", delivery: "unknown" });
  });

  test("is refused as a whole if a chunk is refused when all of it is on its way", async () => {
    const { smtp } = await session({
      on: { BDAT: (line) => (line.endsWith("LAST") ? "552 no\r\n503 no" : undefined) },
    });
    const error = await failure(smtp.sendmail(from, to, ["x".repeat(CHUNK), "y"]));
    expect(error).toMatchObject({ name: "SMTPDataError", smtp_code: 552, delivery: "rejected" });
    expect(await smtp.noop()).toEqual([250, "ok"]);
  });
});

describe("after a chunk that was refused, the session", () => {
  const refused: readonly [string, string | string[], NonNullable<Script["on"]>][] = [
    ["the last one", "x", { BDAT: "554 no" }],
    [
      "one before the last",
      ["x".repeat(CHUNK), "y"],
      { BDAT: (line) => (line.endsWith("LAST") ? "552 no\r\n503 no" : undefined) },
    ],
  ];
  const next: readonly [string, (smtp: SMTP) => Promise<unknown>, readonly string[]][] = [
    ["noop()", (smtp) => smtp.noop(), ["RSET", "NOOP"]],
    ["vrfy()", (smtp) => smtp.vrfy("someone"), ["RSET", "VRFY someone"]],
    ["mail()", (smtp) => smtp.mail(from), ["RSET", "MAIL"]],
    ["rset()", (smtp) => smtp.rset(), ["RSET"]],
    ["ehlo()", (smtp) => smtp.ehlo("client"), ["EHLO client"]],
    ["quit()", (smtp) => smtp.quit(), ["QUIT"]],
    [
      "sendmail()",
      (smtp) => smtp.sendmail(from, "b@example.com", "x").catch(() => {}),
      ["RSET", "MAIL", "RCPT", "BDAT"],
    ],
  ];
  test.each(
    refused.flatMap(([which, body, on]) => next.map(([name, call, sends]) => ({ which, body, on, name, call, sends }))),
  )("says no command before RSET (RFC 3030 2): $which, then $name", async ({ body, on, call, sends }) => {
    const { server, smtp } = await session({ on });
    expect(await failure(smtp.sendmail(from, "b@example.com", body))).toMatchObject({ delivery: "rejected" });
    server.lines.length = 0;
    await call(smtp);
    expect(verbs(server)).toEqual(sends);
  });
});

describe("a session that ends", () => {
  test.each([
    [
      "before the last chunk",
      ["x".repeat(CHUNK), "y".repeat(CHUNK)],
      (line: string) => !line.endsWith("LAST"),
      "not-sent",
    ],
    ["behind the last chunk", ["x"], () => true, "unknown"],
  ] as const)("%s says what is known of the message", async (_, body, dies, delivery) => {
    const { smtp } = await session(
      { on: { BDAT: (line) => (dies(line) ? "close" : "250 ok") } },
      { pipelining: false },
    );
    const error = await failure(smtp.sendmail(from, "b@example.com", body));
    expect(error).toMatchObject({ name: "SMTPServerDisconnected", delivery });
  });

  test("with 421 to a chunk has refused the message", async () => {
    const { smtp } = await session({ on: { BDAT: "421 closing" } }, { pipelining: false });
    const error = await failure(smtp.sendmail(from, "b@example.com", ["x".repeat(CHUNK), "y"]));
    expect(error).toMatchObject({ name: "SMTPDataError", smtp_code: 421, delivery: "rejected", temporary: true });
    expect(smtp.connected).toBe(false);
  });

  test("with a 354 to BDAT leaves the message unknown", async () => {
    const { smtp } = await session({ on: { BDAT: "354 what" } });
    const error = await failure(smtp.sendmail(from, to, "x"));
    expect(error).toMatchObject({ name: "SMTPServerDisconnected", delivery: "unknown" });
  });
});

describe("BODY=BINARYMIME", () => {
  test("lets each octet go as it is", async () => {
    const { server, smtp } = await session();
    await smtp.sendmail(from, "b@example.com", "a\nb\rc\0.\n.", ["BODY=BINARYMIME"]);
    expect(server.lines[0]).toContain("BODY=BINARYMIME");
    expect(server.messages).toEqual(["a\nb\rc\0.\n."]);
  });
});

describe("LMTP", () => {
  async function lmtp(script: Script): Promise<{ server: FakeServer; lmtp: LMTP }> {
    const server = new FakeServer({ ehlo: offers, ...script });
    const options = { transport: server.transport, chunking: true };
    return { server, lmtp: await LMTP.connect("mail.example.com", 24, options) };
  }

  test("answers the last chunk once for each accepted recipient", async () => {
    const answers = { RCPT: (line: string) => (line.includes("b@") ? "550 no" : "250 ok") };
    const { lmtp: client } = await lmtp({
      on: { ...answers, BDAT: (line) => (line.endsWith("LAST") ? "250 c\r\n452 d" : "250 more") },
    });
    const delivery = await client.deliver({
      from,
      to: ["b@example.com", "c@example.com", "d@example.com"],
      body: ["x".repeat(CHUNK), "y"],
    });
    expect(delivery.accepted).toEqual(["c@example.com"]);
    expect(Object.entries(delivery.refused).map(([address, [code]]) => [address, code])).toEqual([
      ["b@example.com", 550],
      ["d@example.com", 452],
    ]);
    expect(await client.noop()).toEqual([250, "ok"]);
  });

  test("that dies between these answers leaves the message unknown, with those that had come", async () => {
    const { lmtp: client, server } = await lmtp({
      on: {
        BDAT: () => {
          setTimeout(() => server.streams.at(-1)?.close(), 1);
          return "250 one";
        },
      },
    });
    const error = await failure(client.sendmail(from, to, "x"));
    expect(error).toMatchObject({ name: "SMTPServerDisconnected", delivery: "unknown", replies: [[250, "one"]] });
  });
});
