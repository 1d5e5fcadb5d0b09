/** No argument of a call adds a command, a parameter or a recipient to those of the call (SECURITY.md, rule 1). */
import { describe, expect, it } from "vitest";
import { SMTP, SMTPNotSupportedError, type SMTPOptions, SMTPRecipientsRefused } from "../../src/index.ts";
import { ehlo, inOrder, type ScriptedServer, server, startScriptedServer } from "../support/scripted-server.ts";
import { HELLO, MESSAGE, type Scenario, scenarios, settled, watchForLeaks } from "./scenario.ts";

const EXTENSIONS = ehlo("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE", "AUTH PLAIN LOGIN CRAM-MD5", "STARTTLS");

/** A value that TypeScript would refuse. */
function untyped<T>(value: unknown): T {
  return value as T;
}

/** An argument that reaches the wire: how to pass a value, and its name in the error. */
type Place = {
  readonly at: string;
  readonly names: RegExp;
  readonly call: (smtp: SMTP, value: string) => unknown;
  /** The text before the poison; an address for most. */
  readonly prefix?: string;
  /** Types that are valid here. */
  readonly may?: readonly string[];
};

const FROM = "a@client.test";
const TO = "b@lab.test";

const PLACES: readonly Place[] = [
  { at: "sendmail's sender", names: /from_addr/, call: (s, v) => s.sendmail(v, TO, MESSAGE) },
  { at: "sendmail's recipient", names: /to_addrs/, call: (s, v) => s.sendmail(FROM, v, MESSAGE) },
  { at: "sendmail's last recipient", names: /to_addrs/, call: (s, v) => s.sendmail(FROM, [TO, v], MESSAGE) },
  { at: "sendmail's MAIL options", names: /mail_options/, call: (s, v) => s.sendmail(FROM, TO, MESSAGE, [v]) },
  { at: "sendmail's RCPT options", names: /rcpt_options/, call: (s, v) => s.sendmail(FROM, TO, MESSAGE, [], [v]) },
  { at: "the option envid", names: /envid/, call: (s, v) => s.sendmail(FROM, TO, MESSAGE, { envid: v }) },
  { at: "the option auth", names: /auth/, call: (s, v) => s.sendmail(FROM, TO, MESSAGE, { auth: v }) },
  {
    at: "the option orcpt",
    names: /orcpt/,
    prefix: "rfc822;x",
    call: (s, v) => s.sendmail(FROM, TO, MESSAGE, {}, { orcpt: v }),
  },
  { at: "the option ret", names: /ret/, call: (s, v) => s.sendmail(FROM, TO, MESSAGE, { ret: untyped(v) }) },
  { at: "the option body", names: /body/, call: (s, v) => s.sendmail(FROM, TO, MESSAGE, { body: untyped(v) }) },
  {
    at: "the option notify",
    names: /notify/,
    call: (s, v) => s.sendmail(FROM, TO, MESSAGE, {}, { notify: untyped([v]) }),
  },
  {
    at: "the option size",
    names: /size/,
    may: ["a number"],
    call: (s, v) => s.sendmail(FROM, TO, MESSAGE, { size: untyped(v) }),
  },
  { at: "send_message's sender", names: /from_addr/, call: (s, v) => s.send_message(MESSAGE, v, TO) },
  { at: "send_message's recipient", names: /to_addrs/, call: (s, v) => s.send_message(MESSAGE, FROM, [TO, v]) },
  { at: "deliver's sender", names: /from/, call: (s, v) => s.deliver({ from: v, to: [TO], body: MESSAGE }) },
  { at: "deliver's recipient", names: /to/, call: (s, v) => s.deliver({ from: FROM, to: [TO, v], body: MESSAGE }) },
  {
    at: "deliver's recipient object",
    names: /address/,
    call: (s, v) => s.deliver({ from: FROM, to: [{ address: v }], body: MESSAGE }),
  },
  {
    at: "deliver's envid",
    names: /envid/,
    call: (s, v) => s.deliver({ from: FROM, to: [TO], body: MESSAGE, envid: v }),
  },
  { at: "mail()", names: /sender/, call: (s, v) => s.mail(v) },
  { at: "mail()'s options", names: /mail_options|option/, call: (s, v) => s.mail(FROM, [v]) },
  { at: "rcpt()", names: /recipient/, call: (s, v) => s.rcpt(v) },
  { at: "rcpt()'s options", names: /rcpt_options|option/, call: (s, v) => s.rcpt(TO, [v]) },
  { at: "helo()", names: /name/, call: (s, v) => s.helo(v) },
  { at: "ehlo()", names: /name/, call: (s, v) => s.ehlo(v) },
  { at: "vrfy()", names: /address/, call: (s, v) => s.vrfy(v) },
  { at: "verify()", names: /address/, call: (s, v) => s.verify(v) },
  { at: "expn()", names: /address/, call: (s, v) => s.expn(v) },
  { at: "help()", names: /arg/, call: (s, v) => s.help(v) },
  { at: "docmd()'s verb", names: /command|verb/, call: (s, v) => s.docmd(v) },
  { at: "docmd()'s argument", names: /arg/, call: (s, v) => s.docmd("NOOP", v) },
  { at: "putcmd()'s verb", names: /command|verb/, call: (s, v) => s.putcmd(v) },
  { at: "putcmd()'s argument", names: /arg/, call: (s, v) => s.putcmd("NOOP", v) },
  { at: "login()'s user", names: /user/, call: (s, v) => s.login(v, "secret") },
  { at: "login()'s password", names: /password/, call: (s, v) => s.login("user", v) },
  {
    at: "login()'s mechanisms",
    names: /mechanism/,
    call: (s, v) => s.login("user", "secret", { mechanisms: [v] }),
  },
  { at: "auth()'s mechanism", names: /mechanism/, prefix: "PLAIN", call: (s, v) => s.auth(v, () => "x") },
  { at: "starttls()'s server name", names: /servername/, call: (s, v) => s.starttls({ servername: v }) },
  { at: "connect()'s host", names: /host/, prefix: "localhost", call: (s, v) => s.connect(v, 25) },
  {
    at: "local_hostname",
    names: /local_hostname/,
    prefix: "client.test",
    call: async (s, v) => {
      s.local_hostname = v;
    },
  },
];

const POISONS: readonly [name: string, text: string][] = [
  ["CR LF and a command", "\r\nRCPT TO:<evil@evil.test>"],
  ["LF and a command", "\nRCPT TO:<evil@evil.test>"],
  ["CR and a command", "\rRSET"],
  ["CR LF alone", "\r\n"],
  ["NUL", "\0"],
  ["NUL in the middle", "\0x"],
  ["DEL", "\x7f"],
  ["a tab", "\tx"],
  ["a lone surrogate", "\ud800x"],
  ["a lone low surrogate at the end", "\udc00"],
];

/** Values that must not be accepted as strings, although they may behave like one. */
const WRONG_TYPES: readonly [name: string, value: unknown][] = [
  ["a number", 42],
  ["an object", {}],
  ["an object that becomes a string", { toString: () => "a@client.test" }],
  ["a String object", new String("a@client.test")],
  ["an array", [["a@client.test"]]],
  ["a symbol", Symbol("a@client.test")],
  ["a function", () => "a@client.test"],
  ["a boolean", true],
  ["octets", new Uint8Array([97])],
];

/** Opens a session and sends EHLO; after the call the session must still work, and the call must have sent nothing. */
async function untouched(options: SMTPOptions, call: (smtp: SMTP) => unknown): Promise<unknown> {
  const answering = await startScriptedServer(server({ EHLO: EXTENSIONS }));
  const smtp = new SMTP(answering.host, answering.port, { timeout: 5, ...options });
  try {
    await smtp.ehlo("client.test");
    const outcome = await settled(async () => call(smtp));
    const [code] = await smtp.noop();
    expect(code).toBe(250);
    await smtp.quit();
    await answering.finish();
    expect(answering.first.lines).toEqual(["EHLO client.test", "NOOP", "QUIT"]);
    return "error" in outcome ? outcome.error : undefined;
  } finally {
    smtp.close();
    await answering.finish();
  }
}

describe("[injection]", () => {
  watchForLeaks();

  describe.each(PLACES)("$at", ({ names, call, prefix = "x", may = [] }) => {
    it.each(POISONS)("is refused with %s, before one octet is sent", async (_, poison) => {
      const error = await untouched({}, (smtp) => call(smtp, `${prefix}${poison}`));
      expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true);
      expect(String(error)).toMatch(names);
      expect(String(error)).not.toMatch(/[\r\n\0]/);
    });

    it.each(WRONG_TYPES.filter(([name]) => !may.includes(name)))("is refused if it is %s", async (_, value) => {
      const error = await untouched({}, (smtp) => call(smtp, untyped(value)));
      expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true);
      expect(String(error)).toMatch(names);
    });
  });

  it.each(["host", "local_hostname", "source_address"])("the constructor refuses a bad %s", (where) => {
    const bad = "x\r\nNOOP";
    const host = where === "host" ? bad : "localhost";
    const options: SMTPOptions =
      where === "local_hostname"
        ? { local_hostname: bad }
        : where === "source_address"
          ? { source_address: [bad, 0] }
          : {};
    expect(() => new SMTP(host, 1, options)).toThrow(RangeError);
  });

  it.each<[string, unknown]>([
    ["a fraction", 1.5],
    ["negative", -1],
    ["not a number", Number.NaN],
    ["infinite", Number.POSITIVE_INFINITY],
    ["unsafe", 2 ** 53],
    ["a text with a parameter in it", "1 AUTH=<x>"],
    ["a text", "10"],
    ["a bigint", 10n],
  ])("the option size is refused if it is %s", async (_, size) => {
    const error = await untouched({}, (s) => s.sendmail(FROM, TO, MESSAGE, { size: untyped(size) }));
    expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true);
    expect(String(error)).toMatch(/size/);
  });

  it.each<[string, readonly string[]]>([
    ["two parameters in one", ["SIZE=1 AUTH=<x>"]],
    ["an empty one", [""]],
    ["a blank", [" "]],
  ])("raw options are refused with %s", async (_, options) => {
    expect(await untouched({}, (s) => s.sendmail(FROM, TO, MESSAGE, options))).toBeInstanceOf(RangeError);
    expect(await untouched({}, (s) => s.sendmail(FROM, TO, MESSAGE, [], options))).toBeInstanceOf(RangeError);
    expect(await untouched({}, (s) => s.mail(FROM, options))).toBeInstanceOf(RangeError);
    expect(await untouched({}, (s) => s.rcpt(TO, options))).toBeInstanceOf(RangeError);
  });

  it.each<[string, unknown]>([
    ["an unknown typed option", { sizee: 1 }],
    ["a prototype's name", { constructor: "x" }],
    ["a string in place of a list", "SIZE=1"],
    ["null", null],
  ])("options of MAIL are refused if they are %s", async (_, options) => {
    const error = await untouched({}, (s) => s.sendmail(FROM, TO, MESSAGE, untyped(options ?? { x: null })));
    expect(error).toBeInstanceOf(TypeError);
  });
});

/** The recipient as the caller passes it, and its line; undefined: it must be refused. */
const ADDRESSES: readonly [given: string, line: string | undefined][] = [
  ["a@x> SIZE=1 AUTH=<b", undefined],
  ["a@x.test>", undefined],
  ["<a@lab.test> SIZE=1", undefined],
  ["Jane <a@lab.test> c@y.test", undefined],
  ["<a@x.test", undefined],
  ["a@x.test, c@y.test", undefined],
  ["<a@x.test>, <c@y.test>", undefined],
  ["a@x.test; c@y.test", undefined],
  ["a@x.test c@y.test", undefined],
  ["friends: a@x.test, c@y.test;", undefined],
  ["a@b@x.test", undefined],
  ["evil@x.test <a@lab.test>", undefined],
  ["a b@lab.test", undefined],
  ["a@lab test", undefined],
  ["@lab.test", undefined],
  ["a@", undefined],
  ['"open@lab.test', undefined],
  ["a@lab.test (open", undefined],
  ["", undefined],
  ["<>", undefined],
  ['"a@evil.test x"@lab.test', 'RCPT TO:<"a@evil.test x"@lab.test>'],
  ['"a@evil.test"@lab.test', 'RCPT TO:<"a@evil.test"@lab.test>'],
  ['"a\\"b"@lab.test', 'RCPT TO:<"a\\"b"@lab.test>'],
  ['"x> RCPT TO:<y"@lab.test', 'RCPT TO:<"x> RCPT TO:<y"@lab.test>'],
  ['"evil@x.test" <a@lab.test>', "RCPT TO:<a@lab.test>"],
  ['"Doe, Jane" <a@lab.test>', "RCPT TO:<a@lab.test>"],
  ["a@lab.test (evil@x.test)", "RCPT TO:<a@lab.test>"],
  ["(evil@x.test) a@lab.test", "RCPT TO:<a@lab.test>"],
  ["<@relay.test:a@lab.test>", "RCPT TO:<a@lab.test>"],
  ["a@[127.0.0.1]", "RCPT TO:<a@[127.0.0.1]>"],
  ["postmaster", "RCPT TO:<postmaster>"],
  ["__proto__", "RCPT TO:<__proto__>"],
  ["čĊ@lab.test", "RCPT TO:<čĊ@lab.test>"],
];

const addresses: Scenario[] = ADDRESSES.map(([given, line]) => ({
  name: `the recipient ${JSON.stringify(given)} is ${line === undefined ? "refused" : "one recipient"}`,
  server: server(),
  call: async (smtp) => {
    await smtp.ehlo("client.test");
    return smtp.sendmail("a@client.test", [given], MESSAGE);
  },
  ...(line === undefined ? { throws: { type: RangeError, message: /to_addrs/ } } : { gives: {} }),
  connected: true,
  lines: line === undefined ? ["EHLO client.test"] : ["EHLO client.test", /^MAIL FROM:<a@client\.test>/, line, "DATA"],
}));

const rest: Scenario[] = [
  {
    name: "a bad servername of the option context is refused before connecting",
    server: server({ EHLO: EXTENSIONS }),
    options: { context: { servername: "x\r\nNOOP" } },
    call: (smtp) => smtp.ehlo(),
    throws: { type: RangeError, message: /servername/ },
    connected: false,
    connections: 0,
  },
  {
    name: "U+010D U+010A in a help text stay two characters and never become CR LF",
    server: server({ HELP: "214 no" }),
    call: (smtp) => smtp.help("a\u010d\u010aRSET"),
    permits: /RFC 6531 3.4/,
    gives: "no",
    connected: true,
    lines: ["HELP a\u010d\u010aRSET"],
    check: (_, { text }) => text.split("\r\n").length === 2 || Promise.reject(new Error(text)),
  },
  {
    name: "U+560A U+560D in an address are sent as UTF-8",
    server: server(),
    call: (smtp) => smtp.sendmail("a@client.test", "\u560a\u560d@lab.test", MESSAGE),
    gives: {},
    connected: true,
    lines: [HELLO, /^MAIL FROM:<a@client\.test>.* SMTPUTF8/, "RCPT TO:<\u560a\u560d@lab.test>", "DATA"],
  },
  {
    name: "a local part beyond ASCII without SMTPUTF8 is not sent",
    server: server({ EHLO: ehlo("PIPELINING") }),
    call: (smtp) => smtp.sendmail("a@client.test", ["b@lab.test", "\u010a@lab.test"], MESSAGE),
    throws: { type: SMTPNotSupportedError, delivery: "not-sent", temporary: false },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "a domain beyond ASCII without SMTPUTF8 goes as A-label",
    server: server({ EHLO: ehlo("PIPELINING") }),
    call: (smtp) => smtp.sendmail("a@client.test", ["b@b\u00fccher.test"], MESSAGE),
    gives: {},
    connected: true,
    lines: [HELLO, "MAIL FROM:<a@client.test>", "RCPT TO:<b@xn--bcher-kva.test>", "DATA"],
  },
  {
    name: "DSN options without DSN are refused before MAIL",
    server: server({ EHLO: ehlo("PIPELINING") }),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", MESSAGE, { ret: "HDRS" }),
    throws: { type: SMTPNotSupportedError, delivery: "not-sent", fields: { capability: "DSN" } },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "requiretls without REQUIRETLS is refused before MAIL",
    server: server(),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", MESSAGE, { requiretls: true }),
    throws: { type: SMTPNotSupportedError, delivery: "not-sent", fields: { capability: "REQUIRETLS" } },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "envid and orcpt go out as xtext",
    server: server(),
    call: (smtp) =>
      smtp.sendmail("a@client.test", "b@lab.test", MESSAGE, { envid: "a+b=c d" }, { orcpt: "rfc822;x+y@z.test" }),
    gives: {},
    connected: true,
    lines: [HELLO, /ENVID=a\+2Bb\+3Dc\+20d/, /ORCPT=rfc822;x\+2By@z\.test$/, "DATA"],
  },
  {
    name: "EHLO keywords that are names of prototypes are only data",
    server: server({ EHLO: ehlo("__proto__ polluted", "constructor", "toString x", "__defineGetter__", "valueOf") }),
    call: async (smtp) => {
      await smtp.ehlo();
      return [smtp.has_extn("__proto__"), smtp.has_extn("constructor"), smtp.has_extn("hasOwnProperty")];
    },
    gives: [false, true, false],
    connected: true,
    check: (smtp) => {
      expect(Object.getPrototypeOf(smtp.esmtp_features)).toBeNull();
      expect(smtp.esmtp_features).toEqual({ constructor: "", tostring: "x", valueof: "" });
      expect(Reflect.get({}, "polluted")).toBeUndefined();
    },
  },
  {
    name: "names of prototypes are not offered by a server that did not",
    server: server(),
    call: async (smtp) => {
      await smtp.ehlo();
      return ["constructor", "__proto__", "toString", "hasOwnProperty", ""].map((name) => smtp.has_extn(name));
    },
    gives: [false, false, false, false, false],
    connected: true,
  },
  {
    name: "refused recipients with names of prototypes show up in Refused",
    server: server({ RCPT: inOrder("250 ok", "550 no a", "550 no b", "550 no c") }),
    call: (smtp) => smtp.sendmail("a@client.test", ["b@lab.test", "__proto__", "constructor", "toString"], MESSAGE),
    connected: true,
    check: (_, __, outcome) => {
      const refused = "value" in outcome && outcome.value;
      expect(Object.getPrototypeOf(refused)).toBeNull();
      expect(Object.entries(refused || {}).map(([key, reply]) => [key, reply.code])).toEqual([
        ["__proto__", 550],
        ["constructor", 550],
        ["toString", 550],
      ]);
    },
  },
  {
    name: "a recipient that changes after it was checked is sent as it was checked",
    server: server(),
    call: (smtp) => {
      let asked = 0;
      const to = {
        get address(): string {
          return asked++ === 0 ? "b@lab.test" : "x@lab.test>\r\nRCPT TO:<evil@evil.test";
        },
      };
      return smtp.deliver({ from: "a@client.test", to: [to], body: MESSAGE });
    },
    connected: true,
    lines: [HELLO, /^MAIL/, "RCPT TO:<b@lab.test>", "DATA"],
  },
  {
    name: "options that change after they were checked are sent as they were checked",
    server: server({ EHLO: [ehlo("PIPELINING", "X")] }),
    call: (smtp) => {
      const options = ["X=1"];
      const sent = smtp.sendmail("a@client.test", "b@lab.test", MESSAGE, options, options);
      options[0] = "X=1\r\nRCPT TO:<evil@evil.test>";
      return sent;
    },
    gives: {},
    connected: true,
    lines: [HELLO, "MAIL FROM:<a@client.test> X=1", "RCPT TO:<b@lab.test> X=1", "DATA"],
  },
  {
    name: "typed options that change after they were checked are sent as they were checked",
    server: server({ EHLO: ehlo("DSN", "DELIVERBY") }),
    call: (smtp) => {
      const by: { seconds: number; mode: "notify" | "return" } = { seconds: 60, mode: "notify" };
      const notify: ("FAILURE" | "DELAY")[] = ["FAILURE"];
      const sent = smtp.sendmail("a@client.test", "b@lab.test", MESSAGE, { by }, { notify });
      by.seconds = untyped("1\r\nRCPT TO:<evil@evil.test>");
      notify.push(untyped("X\r\nRCPT TO:<evil@evil.test>"));
      return sent;
    },
    gives: {},
    connected: true,
    lines: [HELLO, "MAIL FROM:<a@client.test> BY=60;N", "RCPT TO:<b@lab.test> NOTIFY=FAILURE", "DATA"],
  },
  {
    name: "a list of recipients that changes after it was checked is sent as it was checked",
    server: server(),
    call: (smtp) => {
      const to = ["b@lab.test"];
      const sent = smtp.sendmail("a@client.test", to, MESSAGE);
      to.push("evil@evil.test");
      return sent;
    },
    gives: {},
    connected: true,
    lines: [HELLO, /^MAIL/, "RCPT TO:<b@lab.test>", "DATA"],
  },
  {
    name: "a one-shot iterable of recipients is read once",
    server: server(),
    call: (smtp) => smtp.sendmail("a@client.test", new Set(["b@lab.test", "c@lab.test"]).values(), MESSAGE),
    gives: {},
    connected: true,
    lines: [HELLO, /^MAIL/, "RCPT TO:<b@lab.test>", "RCPT TO:<c@lab.test>", "DATA"],
  },
  {
    name: "no recipients: nothing is sent",
    server: server(),
    call: async (smtp: SMTP, _: ScriptedServer) => {
      await smtp.noop();
      return smtp.sendmail("a@client.test", [], MESSAGE);
    },
    throws: { type: SMTPRecipientsRefused, delivery: "not-sent" },
    connected: true,
    lines: ["NOOP"],
  },
  {
    name: "a header field with NUL in an address is no sender",
    server: server(),
    call: async (smtp) => {
      await smtp.noop();
      return smtp.send_message("From: a\0b@client.test\r\nTo: b@lab.test\r\n\r\nx\r\n");
    },
    throws: { type: RangeError },
    connected: true,
    check: (_, { lines }) => expect(lines.join()).not.toMatch(/MAIL/),
  },
  {
    name: "STARTTLS by docmd is refused",
    server: server(),
    call: async (smtp) => {
      await smtp.noop();
      return smtp.docmd("starttls");
    },
    throws: { type: RangeError, message: /starttls/ },
    connected: true,
    lines: ["NOOP"],
  },
  {
    name: "a path over 256 octets is sent whole, and the server's 501 is the answer",
    server: server({ RCPT: "501 5.1.3 too long" }),
    call: (smtp) => smtp.sendmail("a@client.test", `${"x".repeat(600)}@lab.test`, MESSAGE),
    throws: { type: SMTPRecipientsRefused, delivery: "rejected" },
    connected: true,
    lines: [HELLO, /^MAIL/, `RCPT TO:<${"x".repeat(600)}@lab.test>`, "DATA"],
    bodies: [".\r\n"],
  },
];

scenarios("injection: addresses", addresses);
scenarios("injection", rest);
