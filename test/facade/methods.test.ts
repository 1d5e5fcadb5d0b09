/** The simple methods: their lines, results and errors (docs/guide/from-python.md). */
import { describe, expect, test } from "vitest";
import { type Reply, SMTP, SMTPException, SMTPServerDisconnected } from "../../src/index.ts";
import type { FakeServer, Script } from "../client/fake-server.ts";
import { reasonOf, session } from "../support/session.ts";

const CALLS: [line: string, call: (smtp: SMTP) => Promise<unknown>][] = [
  ["HELO client", (smtp) => smtp.helo("client")],
  ["EHLO client", (smtp) => smtp.ehlo("client")],
  ["MAIL FROM:<a@b.c>", (smtp) => smtp.mail("a@b.c")],
  ["MAIL FROM:<a@b.c>", (smtp) => smtp.mail("A. B. <a@b.c>")],
  ["MAIL FROM:<>", (smtp) => smtp.mail("")],
  ["RCPT TO:<a@b.c>", (smtp) => smtp.rcpt("a@b.c")],
  ["RCPT TO:<postmaster>", (smtp) => smtp.rcpt("postmaster")],
  ["RSET", (smtp) => smtp.rset()],
  ["NOOP", (smtp) => smtp.noop()],
  ["VRFY a@b.c", (smtp) => smtp.verify("A <a@b.c>")],
  ["VRFY smith", (smtp) => smtp.vrfy("smith")],
  ["VRFY <>", (smtp) => smtp.vrfy("<>")],
  ['VRFY "John Smith"', (smtp) => smtp.vrfy(" John Smith ")],
  ['VRFY "root SMTPUTF8"', (smtp) => smtp.vrfy("root SMTPUTF8")],
  ['EXPN "John, Smith"', (smtp) => smtp.expn('"John, Smith"')],
  ["MAIL FROM:<>", (smtp) => smtp.mail("<>")],
  ["EXPN staff", (smtp) => smtp.expn("staff")],
  ["XFOO", (smtp) => smtp.docmd("XFOO")],
  ["xfoo a b", (smtp) => smtp.docmd("xfoo", "a b")],
];

describe("a method that sends a line", () => {
  test.each(CALLS)("sends %s and gives the reply, whatever its code", async (line, call) => {
    const verb = line.split(/[ :]/)[0]?.toUpperCase() ?? "";
    for (const answer of ["250 fine", "550-5.1.1 no\r\n550 5.1.1 never", "299 odd"]) {
      const { server, smtp } = await session({ on: { [verb]: answer } });
      const reply = await call(smtp);
      expect(server.lines).toEqual([line]);
      expect(reply).toStrictEqual([
        Number(answer.slice(0, 3)),
        answer.replace(/(^|\r\n)\d+[- ]/g, "$1").replace("\r\n", "\n"),
      ]);
    }
  });

  test.each(CALLS)("rejects without a session: %s", async (_, call) => {
    const error = await reasonOf(call(new SMTP()));
    expect(error).toBeInstanceOf(SMTPServerDisconnected);
    expect(error).toHaveProperty("delivery", undefined);
  });

  test.each(CALLS)("gives a 421, and the session is over: %s", async (line, call) => {
    const verb = line.split(/[ :]/)[0]?.toUpperCase() ?? "";
    const { smtp } = await session({ on: { [verb]: "421 4.3.2 bye" } });
    expect(await call(smtp)).toStrictEqual([421, "4.3.2 bye"]);
    expect(smtp.connected).toBe(false);
    const error = await reasonOf(smtp.noop());
    expect(error).toBeInstanceOf(SMTPServerDisconnected);
    expect(error).toHaveProperty("cause.message", expect.stringContaining("421"));
  });

  const HOSTILE = ["a\r\nRSET", "a\nRSET", "a\rb", "a\0b", "\x7f"];
  const TAKERS: [name: string, call: (smtp: SMTP, text: string) => Promise<unknown>][] = [
    ["helo", (smtp, text) => smtp.helo(text)],
    ["ehlo", (smtp, text) => smtp.ehlo(text)],
    ["mail", (smtp, text) => smtp.mail(text)],
    ["mail's options", (smtp, text) => smtp.mail("a@b.c", [text])],
    ["rcpt", (smtp, text) => smtp.rcpt(text)],
    ["rcpt's options", (smtp, text) => smtp.rcpt("a@b.c", [text])],
    ["verify", (smtp, text) => smtp.verify(text)],
    ["vrfy", (smtp, text) => smtp.vrfy(text)],
    ["expn", (smtp, text) => smtp.expn(text)],
    ["help", (smtp, text) => smtp.help(text)],
    ["docmd", (smtp, text) => smtp.docmd(text)],
    ["docmd's argument", (smtp, text) => smtp.docmd("NOOP", text)],
    ["putcmd", (smtp, text) => smtp.putcmd(text)],
    ["putcmd's argument", (smtp, text) => smtp.putcmd("NOOP", text)],
    ["auth's mechanism", (smtp, text) => smtp.auth(text, () => "x")],
    ["sendmail's sender", (smtp, text) => smtp.sendmail(text, ["a@b.c"], "x")],
    ["sendmail's recipients", (smtp, text) => smtp.sendmail("a@b.c", ["a@b.c", text], "x")],
    ["sendmail's mail_options", (smtp, text) => smtp.sendmail("a@b.c", ["a@b.c"], "x", [text])],
    ["sendmail's rcpt_options", (smtp, text) => smtp.sendmail("a@b.c", ["a@b.c"], "x", [], [text])],
    ["deliver's envid", (smtp, text) => smtp.deliver({ from: "a@b.c", to: ["a@b.c"], body: "x", envid: text })],
    ["send_message's sender", (smtp, text) => smtp.send_message("To: a@b.c\n\nx", text)],
  ];

  test.each(TAKERS)("refuses control characters before a byte is written, and goes on: %s", async (_, call) => {
    const { server, smtp } = await session();
    for (const text of HOSTILE) {
      const error = await reasonOf(call(smtp, text));
      expect(error instanceof RangeError || error instanceof TypeError, `${text}: ${error}`).toBe(true);
    }
    expect(server.lines).toEqual([]);
    expect(await smtp.noop()).toStrictEqual([250, "ok"]);
  });
});

describe.each(["VRFY", "EXPN"] as const)("%s of what is not ASCII", (verb) => {
  const ask = (smtp: SMTP, text: string): Promise<Reply> => (verb === "VRFY" ? smtp.verify(text) : smtp.expn(text));

  test.each([
    ["Jürgen <jürgen@b.c>", `${verb} jürgen@b.c SMTPUTF8`],
    ["Jürgen", `${verb} Jürgen SMTPUTF8`],
    ["Jürgen Müller", `${verb} "Jürgen Müller" SMTPUTF8`],
    ["jürgen@bücher.example", `${verb} jürgen@bücher.example SMTPUTF8`],
    ["a@bücher.example", `${verb} a@xn--bcher-kva.example`],
    ["a@b.c", `${verb} a@b.c`],
  ])("is announced where SMTPUTF8 is offered: %s (RFC 6531 3.7.4.2)", async (text, line) => {
    const { server, smtp } = await session({ ehlo: ["SMTPUTF8"] });
    await smtp.ehlo();
    await ask(smtp, text);
    expect(server.lines.at(-1)).toBe(line);
  });

  test.each([
    "",
    " ",
    "B. Smith <b@example.com",
    "b@example.com>",
    "a@b> SIZE=1",
    "a@b, c@d",
    "<a@b> x",
    "a@b c@d",
    "a\\b",
    '"a',
    '"a" "b"',
    "g: a@b;",
    "(x)",
  ])("that is neither an address nor a name is refused: %j", async (text) => {
    const { server, smtp } = await session();
    const error = await reasonOf(ask(smtp, text));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toHaveProperty("message", expect.stringMatching(/^address /));
    expect(server.lines).toEqual([]);
  });

  test("goes with A-labels where it is not, if only the domain is not ASCII", async () => {
    const { server, smtp } = await session();
    await smtp.ehlo();
    await ask(smtp, "a@bücher.example");
    expect(server.lines.at(-1)).toBe(`${verb} a@xn--bcher-kva.example`);
  });

  test.each(["jürgen@b.c", "Jürgen"])("is refused otherwise: %s", async (text) => {
    const { server, smtp } = await session();
    await smtp.ehlo();
    const seen = server.lines.length;
    expect(await reasonOf(ask(smtp, text))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability: "SMTPUTF8",
      delivery: undefined,
    });
    expect(server.lines.length).toBe(seen);
    expect(await smtp.noop()).toStrictEqual([250, "ok"]);
  });
});

describe("help", () => {
  test("gives the text only", async () => {
    const { server, smtp } = await session({ on: { HELP: ["214-one\r\n214 two", "214 topic"] } });
    expect(await smtp.help()).toBe("one\ntwo");
    expect(await smtp.help("MAIL")).toBe("topic");
    expect(server.lines).toEqual(["HELP", "HELP MAIL"]);
  });
});

describe("putcmd, getreply and send", () => {
  test("send and read by themselves", async () => {
    const { server, smtp } = await session();
    await smtp.putcmd("NOOP");
    expect(await smtp.getreply()).toStrictEqual([250, "ok"]);
    await smtp.putcmd("XFOO", "a b");
    expect(await smtp.getreply()).toStrictEqual([250, "ok"]);
    await smtp.send("NOOP\r\n");
    expect(await smtp.getreply()).toStrictEqual([250, "ok"]);
    await smtp.send(new TextEncoder().encode("NOOP\r\n"));
    expect(await smtp.getreply()).toStrictEqual([250, "ok"]);
    expect(server.lines).toEqual(["NOOP", "XFOO a b", "NOOP", "NOOP"]);
    expect(await smtp.noop()).toStrictEqual([250, "ok"]);
  });

  test("read replies one by one that came together or apart", async () => {
    const { server, smtp } = await session({ on: { XFOO: () => undefined } });
    await smtp.putcmd("XFOO");
    await smtp.putcmd("XFOO");
    const first = smtp.getreply();
    server.say("250 one\r\n");
    expect(await first).toStrictEqual([250, "one"]);
    server.say("250 two\r\n");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await smtp.getreply()).toStrictEqual([250, "two"]);
  });

  test("do a transaction by hand, as in Python", async () => {
    const { server, smtp } = await session();
    await smtp.ehlo();
    await smtp.mail("a@b.c");
    await smtp.rcpt("d@e.f");
    expect((await smtp.docmd("DATA")).code).toBe(354);
    await smtp.send("by hand\r\n.\r\n");
    expect((await smtp.getreply()).code).toBe(250);
    expect(server.messages).toEqual(["by hand\r\n"]);
    expect(await smtp.sendmail("a@b.c", "d@e.f", "next")).toEqual({});
  });

  test("end a message by docmd, as in Python", async () => {
    const { server, smtp } = await session();
    await smtp.mail("a@b.c");
    await smtp.rcpt("d@e.f");
    await smtp.docmd("DATA");
    await smtp.send("by hand\r\n");
    expect((await smtp.docmd(".")).code).toBe(250);
    expect(server.messages).toEqual(["by hand\r\n"]);
  });

  test("run an AUTH exchange by hand, as in Python", async () => {
    const { server, smtp } = await session({
      on: { AUTH: "334 VXNlcm5hbWU6", "DXNLCG==": "334 UGFzc3dvcmQ6", CHDK: "235 in" },
    });
    expect((await smtp.docmd("AUTH", "LOGIN")).code).toBe(334);
    expect((await smtp.docmd("dXNlcg==")).code).toBe(334);
    expect((await smtp.docmd("cHdk")).code).toBe(235);
    expect(server.lines).toEqual(["AUTH LOGIN", "dXNlcg==", "cHdk"]);
  });

  test("tell at once of a session that is lost while they write", async () => {
    for (const call of [(smtp: SMTP) => smtp.putcmd("NOOP"), (smtp: SMTP) => smtp.send("NOOP\r\n")]) {
      const { server, smtp } = await session();
      server.streams.at(-1)?.abort(new Error("reset"));
      expect(await reasonOf(call(smtp))).toBeInstanceOf(SMTPServerDisconnected);
    }
  });

  test("answer a challenge with an empty line, if that is what is said", async () => {
    const { server, smtp } = await session({ on: { AUTH: "334 eA==", "": "235 in" } });
    expect((await smtp.docmd("AUTH", "EXTERNAL")).code).toBe(334);
    expect((await smtp.docmd("")).code).toBe(235);
    expect(server.lines).toEqual(["AUTH EXTERNAL", ""]);
  });

  test("send nothing for the empty text, and tell whether there is a session", async () => {
    const { server, smtp } = await session();
    await smtp.send("");
    expect(server.writes).toEqual([]);
    smtp.close();
    await expect(smtp.send("")).rejects.toBeInstanceOf(SMTPServerDisconnected);
    await expect(smtp.getreply()).rejects.toBeInstanceOf(SMTPServerDisconnected);
    await expect(new SMTP().send("")).rejects.toBeInstanceOf(SMTPServerDisconnected);
  });

  test.each([[1], [null], [{}], [["x"]]])("refuse what cannot be sent: %j", async (value) => {
    const { smtp } = await session();
    // @ts-expect-error: no string
    await expect(smtp.send(value)).rejects.toThrow(TypeError);
  });
});

describe("docmd", () => {
  test("refuses STARTTLS, which needs a handshake", async () => {
    const { server, smtp } = await session();
    for (const verb of ["STARTTLS", "starttls", " STARTTLS"])
      await expect(smtp.docmd(verb)).rejects.toThrow(/starttls\(\)/);
    expect(server.lines).toEqual([]);
  });

  test("may say QUIT; what follows is told that the session is over", async () => {
    const { smtp } = await session();
    expect((await smtp.docmd("QUIT")).code).toBe(221);
    expect(await reasonOf(smtp.noop())).toBeInstanceOf(SMTPException);
  });
});

describe("data", () => {
  const open = async (script: Script = {}): Promise<{ server: FakeServer; smtp: SMTP }> => {
    const both = await session({ ehlo: ["8BITMIME"], ...script });
    await both.smtp.ehlo();
    await both.smtp.mail("a@b.c");
    await both.smtp.rcpt("d@e.f");
    return both;
  };

  test("stuffs dots, ends lines in CRLF, and gives the last reply whatever it is", async () => {
    const { server, smtp } = await open({ on: { ".": ["250 ok", "554 spam"] } });
    expect(await smtp.data("a\n.b\r.c")).toStrictEqual([250, "ok"]);
    expect(server.messages).toEqual(["a\r\n..b\r\n..c\r\n"]);
    expect(await smtp.data("spam")).toStrictEqual([554, "spam"]);
    expect(smtp.connected).toBe(true);
  });

  test.each(["250 what", "451 later", "554 no"])("throws SMTPDataError unless DATA gets 354: %s", async (answer) => {
    const { smtp } = await open({ on: { DATA: answer } });
    expect(await reasonOf(smtp.data("x"))).toMatchObject({
      name: "SMTPDataError",
      smtp_code: Number(answer.slice(0, 3)),
      smtp_error: answer.slice(4),
      delivery: "rejected",
      temporary: answer.startsWith("4"),
    });
    expect(smtp.connected).toBe(true);
  });

  test("that gets 421 closes", async () => {
    const { smtp } = await open({ on: { DATA: "421 bye" } });
    expect(await reasonOf(smtp.data("x"))).toMatchObject({ name: "SMTPDataError", smtp_code: 421 });
    expect(smtp.connected).toBe(false);
  });
});

describe("quit", () => {
  test.each(["221 bye", "500 what"])("gives any reply and closes: %s", async (answer) => {
    const { smtp } = await session({ on: { QUIT: answer } });
    await smtp.ehlo();
    const reply: Reply = await smtp.quit();
    expect(reply.code).toBe(Number(answer.slice(0, 3)));
    expect(smtp).toMatchObject({ connected: false, does_esmtp: false, ehlo_resp: undefined, helo_resp: undefined });
    expect(Object.keys(smtp.esmtp_features)).toEqual([]);
    expect(await smtp.quit()).toMatchObject([-1, expect.stringContaining("QUIT")]);
  });

  test("says QUIT by await using, and throws for an answer other than 221", async () => {
    const { server, smtp } = await session({ on: { QUIT: ["250 odd"] } });
    expect(await reasonOf(smtp[Symbol.asyncDispose]())).toMatchObject({
      name: "SMTPResponseException",
      smtp_code: 250,
    });
    expect(server.lines).toEqual(["QUIT"]);
    expect(smtp.connected).toBe(false);
  });

  test("by await using is fine with a lost connection", async () => {
    for (const answer of ["221 bye", "close"]) {
      const { smtp } = await session({ on: { QUIT: answer } });
      await smtp[Symbol.asyncDispose]();
      await smtp[Symbol.asyncDispose]();
    }
    await new SMTP()[Symbol.asyncDispose]();
  });
});

test.each(["smtputf8", "SMTPUTF8", "SmtpUtf8"])("mail() announces SMTPUTF8 once: %s", async (parameter) => {
  const { server, smtp } = await session({ ehlo: ["SMTPUTF8"] });
  await smtp.ehlo();
  await smtp.mail("jürgen@b.c", [parameter]);
  expect(server.lines.at(-1)?.match(/smtputf8/gi)).toHaveLength(1);
});
