/**
 * Errors that name the remedy: the name in EHLO, STARTTLS before AUTH, missing recipients, a session that has ended.
 */
import { describe, expect, test } from "vitest";
import { LMTP, SMTP, SMTP_SSL, SMTPPool } from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { reasonOf, session } from "../support/session.ts";

const MESSAGE = "Subject: x\r\n\r\nx\r\n";
const withoutSession = async (): Promise<SMTP> => new SMTP();

describe("EHLO refused", () => {
  test("names what was said and the option that says it", async () => {
    const { smtp } = await session({ on: { EHLO: "501 bad name", HELO: "501 bad name" } }, { local_hostname: "pc" });
    for (const call of [() => smtp.ehlo_or_helo_if_needed(), () => smtp.sendmail("a@b.c", "d@e.f", MESSAGE)]) {
      const error = await reasonOf(call());
      if (error === "no rejection") continue;
      expect(error).toMatchObject({
        message: '501 bad name (the answer to "EHLO pc"; the option local_hostname sets this name)',
        smtp_error: "501 bad name".slice(4),
        stack: expect.stringContaining("local_hostname"),
      });
    }
  });

  test("by 421 names what was said only", async () => {
    const { smtp } = await session({ on: { EHLO: "421 busy" } }, { local_hostname: "pc" });
    expect(await reasonOf(smtp.ehlo_or_helo_if_needed())).toHaveProperty(
      "message",
      '421 busy (the answer to "EHLO pc")',
    );
  });
});

describe("an extension that is missing after HELO", () => {
  const calls: readonly [name: string, call: (smtp: SMTP) => Promise<unknown>, delivery: string | undefined][] = [
    ["login()", (smtp) => smtp.login("user", "secret"), undefined],
    ["starttls()", (smtp) => smtp.starttls(), undefined],
    ["sendmail() to an address", (smtp) => smtp.sendmail("a@b.c", "d\u00fc@e.f", MESSAGE), "not-sent"],
    ["sendmail() of octets over 127", (smtp) => smtp.sendmail("a@b.c", "d@e.f", Uint8Array.of(200)), "not-sent"],
    ["mail()", (smtp) => smtp.ehlo_or_helo_if_needed().then(() => smtp.mail("d\u00fc@e.f")), "not-sent"],
  ];

  test.each(calls)("is told with the refusal of EHLO: %s", async (_, call, delivery) => {
    for (const refusal of ["550 5.7.1 bad name", "451 4.3.2 later"]) {
      const { smtp } = await session({ on: { EHLO: refusal } }, { local_hostname: "pc" });
      const temporary = refusal.startsWith("4");
      const because = `${refusal} (the answer to "EHLO pc"; the option local_hostname sets this name)`;
      expect(await reasonOf(call(smtp))).toMatchObject({
        name: "SMTPNotSupportedError",
        capability: expect.any(String),
        message: expect.stringContaining(`; the server refused EHLO, which lists its extensions: ${because}`),
        temporary,
        delivery,
        cause: { name: "SMTPHeloError", smtp_code: Number(refusal.slice(0, 3)), message: because },
      });
    }
  });

  test("says nothing of a refusal that a good EHLO followed, or of another session", async () => {
    const { smtp } = await session({ on: { EHLO: ["550 bad name", "250 fake"] } });
    await smtp.ehlo();
    await smtp.ehlo();
    expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({
      message: "SMTP AUTH extension not supported by server",
      temporary: false,
    });
    await smtp.connect("mail.example.com");
    await smtp.helo();
    expect(await reasonOf(smtp.login("user", "secret"))).not.toHaveProperty("cause");
  });
});

describe("login() before STARTTLS", () => {
  test("says to call starttls() where that is offered and AUTH is not", async () => {
    const { smtp } = await session({ ehlo: ["STARTTLS"] });
    expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability: "AUTH",
      message: expect.stringMatching(/^SMTP AUTH extension not supported by server: .*starttls\(\)/),
    });
  });

  test("does not where STARTTLS is not offered either, or the session is encrypted", async () => {
    const tls = {
      protocol: "TLSv1.3",
      cipher: undefined,
      verified: true,
      fingerprint256: undefined,
      group: undefined,
      exporter: undefined,
    };
    const scripts: Script[] = [{ ehlo: [] }, { ehlo: ["STARTTLS"], peer: { tls } }];
    for (const script of scripts) {
      const { smtp } = await session(script);
      expect(await reasonOf(smtp.login("user", "secret"))).toHaveProperty(
        "message",
        "SMTP AUTH extension not supported by server",
      );
    }
  });

  test("in a pool names the option", async () => {
    const { transport } = new FakeServer({ ehlo: ["STARTTLS"] });
    const auth = { user: "user", password: "secret" };
    const pool = new SMTPPool({ host: "mail.example.com", transport, auth, starttls: "never" });
    expect(await reasonOf(pool.sendmail("a@b.c", "d@e.f", MESSAGE))).toMatchObject({
      message: expect.stringContaining("option starttls"),
      delivery: "not-sent",
    });
    await pool.close();
  });
});

describe("no recipients", () => {
  test.each<[name: string, call: (smtp: SMTP | SMTPPool) => Promise<unknown>, why: string]>([
    ["sendmail", (smtp) => smtp.sendmail("a@b.c", [], MESSAGE), "to_addrs is empty"],
    ["sendmail of a Set", (smtp) => smtp.sendmail("a@b.c", new Set<string>(), MESSAGE), "to_addrs is empty"],
    ["deliver", (smtp) => smtp.deliver({ from: "a@b.c", to: [], body: MESSAGE }), "to is empty"],
    ["send_message", (smtp) => smtp.send_message(`From: a@b.c\r\n${MESSAGE}`), "To, Cc or Bcc"],
    ["send_message with an empty list", (smtp) => smtp.send_message(MESSAGE, "a@b.c", []), "to_addrs is empty"],
    ["send_message of an object", (smtp) => smtp.send_message({ toString: () => `From: a@b.c\r\n${MESSAGE}` }), "Bcc"],
  ])("of %s are told as that", async (_, call, why) => {
    const { server, smtp } = await session();
    const pool = new SMTPPool({ host: "mail.example.com", transport: server.transport });
    for (const sender of [smtp, pool]) {
      expect(await reasonOf(call(sender))).toMatchObject({
        name: "SMTPRecipientsRefused",
        message: expect.stringMatching(new RegExp(`^no recipient was given: .*${why}`)),
        recipients: {},
        delivery: "not-sent",
      });
    }
    await pool.close();
    expect(server.lines.join()).not.toMatch(/MAIL|RCPT/);
  });
});

describe("a call without a session", () => {
  test.each([
    ["starttls", (smtp: SMTP) => smtp.starttls()],
    ["login", (smtp: SMTP) => smtp.login("u", "p")],
    ["mail with an address that is not ASCII", (smtp: SMTP) => smtp.mail("jürgen@b.c")],
    ["mail with options", (smtp: SMTP) => smtp.mail("a@b.c", { requiretls: true })],
    ["rcpt with an address that is not ASCII", (smtp: SMTP) => smtp.rcpt("jürgen@b.c")],
    ["vrfy of what is not ASCII", (smtp: SMTP) => smtp.vrfy("jürgen")],
    ["expn of what is not ASCII", (smtp: SMTP) => smtp.expn("jürgen")],
    ["data with octets over 127", (smtp: SMTP) => smtp.data("ü")],
  ])("that never was is told to connect: %s", async (_, call) => {
    for (const smtp of [await withoutSession(), new SMTP_SSL(), new LMTP()]) {
      expect(await reasonOf(call(smtp))).toMatchObject({
        name: "SMTPServerDisconnected",
        message: "please run connect() first",
      });
    }
  });

  test("still has its arguments checked", async () => {
    // @ts-expect-error: no option
    expect(await reasonOf(new SMTP().starttls({ nonsense: 1 }))).toBeInstanceOf(TypeError);
  });

  test.each<[name: string, end: (smtp: SMTP) => unknown, message: RegExp]>([
    ["quit()", (smtp) => smtp.quit(), /^the session was ended by quit\(\)$/],
    ["close()", (smtp) => smtp.close(), /^the connection was closed by close\(\)$/],
    ["a 421", (smtp) => smtp.docmd("BYE"), /^the server is closing: 421 go away$/],
    ["a close", (smtp) => reasonOf(smtp.docmd("CLOSE")), /^connection lost: the server closed the connection$/],
    ["a timeout", (smtp) => reasonOf(smtp.docmd("SILENCE")), /^timed out after 0.05 s \(command\)/],
    ["garbage", (smtp) => reasonOf(smtp.docmd("GARBAGE")), /^the server broke the protocol: not a reply: "what\?"$/],
  ])("that was ended by %s says so, in an exception of its own", async (_, end, message) => {
    const on = { BYE: "421 go away", CLOSE: "close", SILENCE: () => undefined, GARBAGE: "what?" };
    const { smtp } = await session({ on }, { timeouts: { command: 0.05 } });
    await end(smtp);
    const calls = [() => smtp.noop(), () => smtp.sendmail("a@b.c", "d@e.f", MESSAGE), () => smtp.mail("ü@b.c")];
    const errors = [];
    for (const call of calls) errors.push(await reasonOf(call()));
    for (const error of errors) {
      expect(error).toHaveProperty("message", expect.stringMatching(message));
      expect(error).toHaveProperty("temporary", true);
    }
    expect(new Set(errors).size).toBe(3);
    expect(errors[1]).toHaveProperty("delivery", "not-sent");
  });

  test("that an abort ended says so", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const { smtp } = await session({}, { signal: controller.signal });
    controller.abort(reason);
    expect(await reasonOf(smtp.noop())).toMatchObject({
      name: "SMTPServerDisconnected",
      message: "the session was aborted: enough",
      cause: reason,
    });
  });

  test("that could not be established says why, each call by an exception of its own", async () => {
    const cause = new Error("no route to host");
    const transport = () => Promise.reject(cause);
    const constructed = new SMTP("mail.example.com", 2525, { transport });
    const connected = new SMTP(undefined, undefined, { transport });
    const first = await Promise.all([1, 2, 3].map(() => reasonOf(constructed.sendmail("a@b.c", "d@e.f", MESSAGE))));
    expect(await reasonOf(connected.connect("mail.example.com"))).toHaveProperty("name", "SMTPConnectError");
    const errors = [...first, await reasonOf(connected.noop()), await reasonOf(connected.noop())];
    expect(new Set(errors).size).toBe(5);
    for (const error of errors) {
      expect(error).toMatchObject({ message: expect.stringContaining("no route to host"), temporary: true });
    }
    expect(first).toMatchObject(first.map(() => ({ delivery: "not-sent" })));
  });

  test("whose greeting was refused says so", async () => {
    const { transport } = new FakeServer({ greeting: "554 5.7.1 go away" });
    const smtp = new SMTP("mail.example.com", 25, { transport });
    expect(await reasonOf(smtp.noop())).toMatchObject({ name: "SMTPConnectError", smtp_code: 554 });
    expect(await reasonOf(smtp.noop())).toMatchObject({
      message: "there is no session: 554 5.7.1 go away",
      temporary: false,
    });
  });
});

describe("what needs an extension before EHLO", () => {
  test.each<[name: string, call: (smtp: SMTP) => Promise<unknown>, capability: string]>([
    ["mail with an address that is not ASCII", (smtp) => smtp.mail("jürgen@b.c"), "SMTPUTF8"],
    ["rcpt with an address that is not ASCII", (smtp) => smtp.rcpt("jürgen@b.c"), "SMTPUTF8"],
    ["vrfy", (smtp) => smtp.vrfy("jürgen@b.c"), "SMTPUTF8"],
    ["expn", (smtp) => smtp.expn("jürgen"), "SMTPUTF8"],
    ["data with octets over 127", (smtp) => smtp.data("ü"), "8BITMIME"],
  ])("says that EHLO was not sent: %s", async (_, call, capability) => {
    const { server, smtp } = await session({ ehlo: [capability] });
    expect(await reasonOf(call(smtp))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability,
      message: expect.stringMatching(/before EHLO: call ehlo\(\) first$/),
    });
    expect(server.lines).toEqual([]);
    await smtp.ehlo();
    expect(await reasonOf(call(smtp))).not.toMatchObject({ name: "SMTPNotSupportedError" });
  });

  test("says that the server does not offer it after EHLO", async () => {
    const { smtp } = await session();
    await smtp.ehlo();
    expect(await reasonOf(smtp.mail("jürgen@b.c"))).toHaveProperty(
      "message",
      expect.stringContaining("does not offer"),
    );
  });
});

describe.each([
  ["EHLO", SMTP, (smtp: SMTP) => smtp.ehlo()],
  ["HELO", SMTP, (smtp: SMTP) => smtp.helo()],
  ["LHLO", LMTP, (smtp: SMTP) => smtp.ehlo()],
] as const)("220 as the answer to %s", (verb, Class, greet) => {
  const open = async (): Promise<{ server: FakeServer; smtp: SMTP }> => {
    const server = new FakeServer({
      on: { [verb]: "220 late greeting", ...(verb === "HELO" ? { EHLO: "502 no" } : {}) },
    });
    return { server, smtp: await Class.connect("mail.example.com", 25, { transport: server.transport }) };
  };

  test("is no success: the replies are out of step, and the session ends", async () => {
    for (const call of [greet, (smtp: SMTP) => smtp.ehlo_or_helo_if_needed()]) {
      const { smtp } = await open();
      expect(await reasonOf(call(smtp))).toMatchObject({ name: "SMTPHeloError", smtp_code: 220, temporary: true });
      expect(smtp).toMatchObject({ connected: false, does_esmtp: false });
    }
  });

  test("lets no message out", async () => {
    const { server, smtp } = await open();
    expect(await reasonOf(smtp.sendmail("a@b.c", "d@e.f", MESSAGE))).toMatchObject({
      name: "SMTPHeloError",
      delivery: "not-sent",
    });
    expect(server.lines.join()).not.toContain("MAIL");
  });

  test.each([
    ["221 bye", "answers QUIT"],
    ["235 2.7.0 in", "answers AUTH"],
    ["334 ", "answers AUTH"],
    ["354 go on", "answers DATA"],
  ])("nor is a code that answers another command: %s", async (answer, what) => {
    const script: Script = { on: { [verb]: answer, ...(verb === "HELO" ? { EHLO: "502 no" } : {}) } };
    const server = new FakeServer(script);
    for (const call of [greet, (smtp: SMTP) => smtp.sendmail("a@b.c", "d@e.f", MESSAGE)]) {
      const smtp = await Class.connect("mail.example.com", 25, { transport: server.transport });
      expect(await reasonOf(call(smtp))).toMatchObject({
        name: "SMTPHeloError",
        smtp_code: Number(answer.slice(0, 3)),
        temporary: true,
        message: expect.stringContaining(`this code ${what}, so the replies are out of step`),
        cause: { message: expect.stringContaining("out of step") },
      });
      expect(smtp.connected).toBe(false);
    }
    expect(server.lines.join()).not.toContain("MAIL");
  });

  test("other codes of success are one", async () => {
    for (const code of [250, 251, 299]) {
      const server = new FakeServer({ on: { [verb]: `${code} hello` } });
      const smtp = await Class.connect("mail.example.com", 25, { transport: server.transport });
      expect((await greet(smtp)).code).toBe(code);
      expect(await smtp.sendmail("a@b.c", "d@e.f", MESSAGE)).toEqual({});
    }
  });
});
