/** sendmail() and deliver(): their lines, results and errors (docs/guide/from-python.md). */
import { describe, expect, test } from "vitest";
import type { SMTP } from "../../src/index.ts";
import type { Script } from "../client/fake-server.ts";
import { reasonOf, session } from "../support/session.ts";

const [from, to] = ["a@example.com", "b@example.com"];
const message = "Subject: x\n\nHi\n";

const refusing = (pattern: RegExp, answer: string): Script => ({
  ehlo: ["PIPELINING"],
  on: { RCPT: (line) => (pattern.test(line) ? answer : "250 2.1.5 ok") },
});

describe("sendmail gives the refused recipients", () => {
  test("none", async () => {
    const { server, smtp } = await session();
    const refused = await smtp.sendmail(from, [to, "c@example.com"], message);
    expect({ ...refused }).toEqual({});
    expect(Object.getPrototypeOf(refused)).toBeNull();
    expect(server.lines.slice(1)).toEqual([
      `MAIL FROM:<${from}>`,
      `RCPT TO:<${to}>`,
      "RCPT TO:<c@example.com>",
      "DATA",
      ".",
    ]);
    expect(server.messages).toEqual(["Subject: x\r\n\r\nHi\r\n"]);
  });

  test("some, as they were given, each with its reply", async () => {
    const hostile = "__proto__";
    const { smtp } = await session(refusing(/bad|__proto__/, "550 5.1.1 who?"));
    const refused = await smtp.sendmail(from, [to, "Bad <bad@example.com>", hostile], message);
    expect(Object.keys(refused).sort()).toEqual(["Bad <bad@example.com>", hostile]);
    expect(refused[hostile]).toStrictEqual([550, "5.1.1 who?"]);
    expect(refused[hostile]?.enhancedCode).toBe("5.1.1");
  });

  test.each(["251 forwarded", "252 maybe", "299 odd"])("not those accepted by %s", async (answer) => {
    const { smtp } = await session({ on: { RCPT: answer, MAIL: "299 odd", ".": "299 odd" } });
    expect({ ...(await smtp.sendmail(from, to, message)) }).toEqual({});
  });

  test.each<[name: string, list: () => string | Iterable<string>]>([
    ["a text", () => to],
    ["an array", () => [to]],
    ["a Set", () => new Set([to])],
    [
      "a generator",
      function* () {
        yield to;
      },
    ],
  ])("of %s", async (_, list) => {
    const { server, smtp } = await session();
    await smtp.sendmail(from, list(), message);
    expect(server.lines).toContain(`RCPT TO:<${to}>`);
  });
});

describe("deliver", () => {
  test("takes its content from any iterable, in pieces", async () => {
    const { server, smtp } = await session();
    const lines = new Set(["one\r\n", "two\r\n"]);
    await smtp.deliver({ from, to: ["b@x.y"], body: lines.values() });
    expect(server.messages).toEqual(["one\r\ntwo\r\n"]);
  });

  test("is for somebody", async () => {
    const { server, smtp } = await session();
    expect(await reasonOf(smtp.deliver({ from, to: [], body: "x" }))).toMatchObject({ message: /recipient/ });
    expect(server.lines).toEqual([]);
  });

  test.each([5, null, "SIZE=5"])("takes no parameters that are neither an object nor an array: %j", async (options) => {
    const { server, smtp } = await session();
    // @ts-expect-error: a caller without types may pass any value
    expect(await reasonOf(smtp.mail(from, options))).toBeInstanceOf(TypeError);
    expect(server.lines).toEqual([]);
  });
});

describe("sendmail throws", () => {
  test.each(["550 no", "451 later", "250 but not to DATA"])(
    "SMTPSenderRefused or SMTPDataError by code: %s",
    async (answer) => {
      const code = Number(answer.slice(0, 3));
      const details = { smtp_code: code, smtp_error: answer.slice(4), temporary: code === 451, delivery: "rejected" };
      if (code !== 250) {
        const { smtp } = await session({ on: { MAIL: answer } });
        expect(await reasonOf(smtp.sendmail("A <a@b.c>", to, message))).toMatchObject({
          name: "SMTPSenderRefused",
          sender: "A <a@b.c>",
          ...details,
        });
      }
      const { server, smtp } = await session({ on: { DATA: answer } });
      expect(await reasonOf(smtp.sendmail(from, to, message))).toMatchObject({ name: "SMTPDataError", ...details });
      expect(server.lines.at(-1)).toBe("RSET");
      expect(smtp.connected).toBe(true);
    },
  );

  test("SMTPDataError for a refused message", async () => {
    const { smtp } = await session({ on: { ".": "554 5.6.0 spam" } });
    const error = await reasonOf(smtp.sendmail(from, to, message));
    expect(error).toMatchObject({ name: "SMTPDataError", smtp_code: 554, delivery: "rejected", temporary: false });
    expect(error).toHaveProperty("reply.enhancedCode", "5.6.0");
    expect((await smtp.noop()).code).toBe(250);
  });

  test.each<[answers: Record<string, string>, temporary: boolean]>([
    [{ b: "550 no", c: "550 no" }, false],
    [{ b: "550 no", c: "450 later" }, true],
    [{ b: "552 full", c: "550 no" }, true],
  ])("SMTPRecipientsRefused if all were refused: %j", async (answers, temporary) => {
    const { server, smtp } = await session({ on: { RCPT: (line) => answers[line.charAt(9)] ?? "250 ok" } });
    const error = await reasonOf(smtp.sendmail(from, ["b@x.y", "c@x.y"], message));
    expect(error).toMatchObject({ name: "SMTPRecipientsRefused", temporary, delivery: "rejected" });
    expect(error).toHaveProperty(
      "recipients",
      expect.objectContaining({ "b@x.y": expect.anything(), "c@x.y": expect.anything() }),
    );
    expect(server.lines).not.toContain("DATA");
    expect(server.lines.at(-1)).toBe("RSET");
  });

  test("SMTPRecipientsRefused for the same refused recipient twice, which Python forgets to count", async () => {
    const { server, smtp } = await session({ on: { RCPT: "550 no" } });
    expect(await reasonOf(smtp.sendmail(from, [to, to], message))).toMatchObject({ name: "SMTPRecipientsRefused" });
    expect(server.lines).not.toContain("DATA");
  });

  test("SMTPRecipientsRefused for nobody, without asking the server", async () => {
    const { server, smtp } = await session();
    expect(await reasonOf(smtp.sendmail(from, [], message))).toMatchObject({
      name: "SMTPRecipientsRefused",
      recipients: {},
      delivery: "not-sent",
    });
    expect(server.lines).toEqual([]);
  });

  test.each<[name: string, on: Record<string, string>, error: object]>([
    ["MAIL", { MAIL: "421 bye" }, { name: "SMTPSenderRefused", smtp_code: 421 }],
    ["RCPT", { RCPT: "421 bye" }, { name: "SMTPRecipientsRefused", recipients: { [to]: [421, "bye"] } }],
    ["DATA", { DATA: "421 bye" }, { name: "SMTPDataError", smtp_code: 421 }],
    ["the end", { ".": "421 bye" }, { name: "SMTPDataError", smtp_code: 421 }],
  ])("after a 421 to %s, pipelined or not, and the session is over", async (_, on, expected) => {
    for (const ehlo of [[], ["PIPELINING"]]) {
      const { smtp } = await session({ on, ehlo });
      expect(await reasonOf(smtp.sendmail(from, to, message))).toMatchObject({ ...expected, temporary: true });
      expect(smtp.connected).toBe(false);
    }
  });

  test.each<[name: string, call: (smtp: SMTP) => Promise<unknown>, argument: RegExp]>([
    // @ts-expect-error: a caller without types may pass any value
    ["a sender that is no text", (smtp) => smtp.sendmail(1, to, message), /from_addr/],
    // @ts-expect-error: the same
    ["recipients that are none", (smtp) => smtp.sendmail(from, 1, message), /to_addrs/],
    // @ts-expect-error: the same
    ["a recipient that is no text", (smtp) => smtp.sendmail(from, [to, {}], message), /to_addrs\[1\]/],
    // @ts-expect-error: the same
    ["a message that is none", (smtp) => smtp.sendmail(from, to, 1), /msg/],
    // @ts-expect-error: the same
    ["options that are none", (smtp) => smtp.sendmail(from, to, message, "SIZE=1"), /mail_options/],
    // @ts-expect-error: the same
    ["options of recipients that are none", (smtp) => smtp.sendmail(from, to, message, [], 5), /rcpt_options/],
    // @ts-expect-error: the same
    ["an option that is no text", (smtp) => smtp.sendmail(from, to, message, [1]), /mail_options/],
    // @ts-expect-error: the same
    ["a signal that is none", (smtp) => smtp.sendmail(from, to, message, [], [], { signal: 1 }), /signal/],
    // @ts-expect-error: the same
    ["a delivery that is none", (smtp) => smtp.deliver(), /delivery/],
    // @ts-expect-error: the same
    ["a delivery to a text", (smtp) => smtp.deliver({ from, to, body: "x" }), /to/],
    // @ts-expect-error: the same
    ["a delivery without an address", (smtp) => smtp.deliver({ from, to: [{}], body: "x" }), /to\[0\]\.address/],
    // @ts-expect-error: the same
    ["a delivery with an unknown option", (smtp) => smtp.deliver({ from, to: [to], body: "x", sice: 1 }), /sice/],
  ])("TypeError naming the argument, before a byte is written: %s", async (_, call, argument) => {
    const { server, smtp } = await session();
    const error = await reasonOf(call(smtp));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty("message", expect.stringMatching(argument));
    expect(server.lines).toEqual([]);
  });

  test("RangeError for what is not clearly one address", async () => {
    const { server, smtp } = await session();
    for (const bad of ["a@b, c@d", "a@b c@d", "a b@c", "", "<>", "group: a@b;", "a@b> SIZE=1 <c@d"]) {
      expect(await reasonOf(smtp.sendmail(from, [bad], message)), bad).toBeInstanceOf(RangeError);
    }
    expect(server.lines).toEqual([]);
  });
});
