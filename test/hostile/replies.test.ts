/** The grammar and the meaning of replies, and the client's reaction to anything else (SECURITY.md, rule 4). */
import { expect } from "vitest";
import {
  SMTPConnectError,
  SMTPDataError,
  SMTPHeloError,
  SMTPRecipientsRefused,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import { type Act, close, delay, drip, ehlo, inOrder, pieces, raw, server, stall } from "../support/scripted-server.ts";
import { ENVELOPE, HELLO, MESSAGE, type Scenario, scenarios, sendOne, type Thrown } from "./scenario.ts";

const dead = (message?: RegExp): Thrown => ({
  type: SMTPServerDisconnected,
  delivery: "not-sent",
  temporary: true,
  ...(message === undefined ? {} : { message }),
});

const lockStep = ehlo("8BITMIME");
const two = ["b@lab.test", "c@lab.test"];

/** Texts that are no reply, in place of the reply to MAIL. */
const broken: Scenario[] = [
  "000 x",
  "100 x",
  "199 x",
  "600 x",
  "999 x",
  "25 ok",
  "25",
  "2x0 ok",
  "2500 ok",
  "250_ok",
  "250\tok",
  "250.ok",
  " 250 ok",
  "OK",
  "-50 ok",
  "+25 ok",
  "\u0662\u0665\u0660 ok",
  "",
  "\0",
  "250-a\r\n550 b",
  "250-a\r\n250_b",
  "250-a\r\n\r\n250 b",
  "250-a\r\n251-b\r\n250 c",
].map((reply) => ({
  name: `${JSON.stringify(reply)} to MAIL is a protocol error`,
  server: server({ EHLO: lockStep, MAIL: reply }),
  throws: dead(/protocol/),
  connected: false,
  lines: [HELLO, "MAIL FROM:<a@client.test>"],
}));

/** Unusual, but valid replies. */
const odd: Scenario[] = [
  "250",
  "250 ",
  "250-",
  "250   ok  ",
  "259 whatever",
  "299",
  "250-a\r\n250",
  "250-a\r\n250-\r\n250 b",
  "250 5.1.1 no such user",
  "250 550 no",
  `250 ${"x".repeat(8000)}`,
].map((reply) => ({
  name: `${JSON.stringify(reply.slice(0, 40))} to MAIL, RCPT and the message is a yes`,
  server: server({
    EHLO: lockStep,
    MAIL: reply.endsWith("-") ? [reply, "250 x"] : reply,
    RCPT: reply.endsWith("-") ? [reply, "250 x"] : reply,
    ".": reply.endsWith("-") ? [reply, "250 x"] : reply,
  }),
  gives: {},
  connected: true,
  lines: [HELLO, ...ENVELOPE],
  taken: 1,
}));

const grammar: Scenario[] = [
  {
    name: "replies whose lines end in a bare LF",
    server: server(
      {
        EHLO: raw("250-scripted.test\n250-PIPELINING\n250 8BITMIME\n"),
        MAIL: raw("250 ok\n"),
        RCPT: raw("250-ok\n250 ok\r\n"),
        DATA: raw("354 go\n"),
        ".": raw("250 queued\n"),
      },
      raw("220 hi\n"),
    ),
    gives: {},
    connected: true,
    check: (smtp) => expect(smtp.esmtp_features).toEqual({ pipelining: "", "8bitmime": "" }),
  },
  {
    name: "replies that come octet by octet",
    server: server(
      {
        EHLO: drip(`${ehlo("PIPELINING", "8BITMIME")}\r\n`),
        MAIL: drip("250 ok\r\n"),
        ".": drip("250-a\r\n250 b\r\n"),
      },
      drip("220-hello\r\n220 hi\r\n"),
    ),
    gives: {},
    connected: true,
  },
  {
    name: "a reply cut inside of CR LF and inside of a character",
    server: server({ NOOP: pieces("250-gr\u00fc\u00dfe\r\n250 \u{1f600}", 3, 7, 8, 12, 13, 14, 19, 20) }),
    call: (smtp) => smtp.noop(),
    gives: [250, "gr\u00fc\u00dfe\n\u{1f600}"],
    connected: true,
  },
  {
    name: "invalid UTF-8 is read as Latin-1",
    server: server({ NOOP: Uint8Array.of(50, 53, 48, 32, 0xff, 0xc3, 13, 10) }),
    call: (smtp) => smtp.noop(),
    gives: [250, "\u00ff\u00c3"],
    connected: true,
  },
  {
    name: "control characters are kept in the reply and escaped in the error's message",
    server: server({ MAIL: "550 \x1b[31mred\x07\x9b\x7f\x00" }),
    throws: { type: SMTPSenderRefused, smtp_code: 550, message: /\\x1b\[31mred\\x07/ },
    connected: true,
    check: (_, __, outcome) => {
      const error: unknown = "error" in outcome && outcome.error;
      expect(error instanceof Error && error.message).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
      expect(error).toHaveProperty("reply.lines[0]", "\x1b[31mred\x07\x9b\x7f\x00");
    },
  },
  {
    name: "a server that breaks the protocol with control characters does not reach the terminal",
    server: server({ NOOP: "\x1b]0;evil\x07" }),
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPServerDisconnected },
    connected: false,
    check: (_, __, outcome) =>
      expect(String("error" in outcome && outcome.error)).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/),
  },
  {
    name: "a NUL in a reply's text is kept",
    server: server({ NOOP: "250 a\0b" }),
    call: (smtp) => smtp.noop(),
    gives: [250, "a\0b"],
    connected: true,
  },
];

const codes: Scenario[] = [
  { name: "251 to RCPT", server: server({ RCPT: "251 will forward to <x@y.test>" }), gives: {}, connected: true },
  { name: "252 to RCPT", server: server({ RCPT: "252 cannot verify" }), gives: {}, connected: true },
  ...(
    [
      ["551 try <other@lab.test>", false],
      ["552 mailbox full", true],
      ["452 too many", true],
      ["499 what", true],
      ["599 what", false],
      ["354 what", false],
      ["550 2.0.0 ok", false],
      ["450 5.1.1 ok", true],
    ] as const
  ).map(
    ([reply, temporary]): Scenario => ({
      name: `${reply} to the only RCPT`,
      server: server({ EHLO: lockStep, RCPT: reply }),
      throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary },
      connected: true,
      lines: [HELLO, ...ENVELOPE.slice(0, 2), "RSET"],
      taken: 0,
      check: (_, __, outcome) =>
        expect("error" in outcome && outcome.error).toHaveProperty(
          ["recipients", "b@lab.test", "code"],
          Number(reply.slice(0, 3)),
        ),
    }),
  ),
  {
    name: "550 and 450 to two recipients",
    server: server({ EHLO: lockStep, RCPT: inOrder("550 no", "450 later") }),
    call: (smtp) => smtp.sendmail("a@client.test", two, MESSAGE),
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: true },
    connected: true,
  },
  ...(
    [
      ["MAIL", SMTPSenderRefused],
      ["DATA", SMTPDataError],
      [".", SMTPDataError],
    ] as const
  ).flatMap(([verb, type]) =>
    (
      [
        ["450 later", true],
        ["552 too big", false],
        ["550 no", false],
        ["499 what", true],
        ["599 what", false],
      ] as const
    ).map(
      ([reply, temporary]): Scenario => ({
        name: `${reply} to ${verb}`,
        server: server({ EHLO: lockStep, [verb]: reply }),
        throws: { type, smtp_code: Number(reply.slice(0, 3)), delivery: "rejected", temporary },
        connected: true,
        taken: 0,
      }),
    ),
  ),
  ...["354 what", "334 what"].flatMap((reply): Scenario[] => [
    {
      name: `${reply} to MAIL is no yes`,
      server: server({ EHLO: lockStep, MAIL: reply }),
      throws: { type: SMTPSenderRefused, delivery: "rejected", temporary: false },
      connected: true,
      taken: 0,
    },
    {
      name: `${reply} to the message is neither yes nor no`,
      server: server({ EHLO: lockStep, ".": reply }),
      throws: { type: SMTPServerDisconnected, delivery: "unknown", temporary: true },
      connected: false,
      taken: 0,
    },
  ]),
  {
    name: "a refused recipient beside an accepted one",
    server: server({ RCPT: inOrder("250 ok", "550 5.1.1 no such user") }),
    call: (smtp) => smtp.sendmail("a@client.test", two, MESSAGE),
    gives: { "c@lab.test": [550, "5.1.1 no such user"] },
    connected: true,
    taken: 1,
  },
  {
    name: "551 is not followed",
    server: server({ RCPT: inOrder("250 ok", "551 please try <other@lab.test>") }),
    call: (smtp) => smtp.sendmail("a@client.test", two, MESSAGE),
    gives: { "c@lab.test": [551, "please try <other@lab.test>"] },
    connected: true,
    lines: [HELLO, /^MAIL/, "RCPT TO:<b@lab.test>", "RCPT TO:<c@lab.test>", "DATA"],
  },
  {
    name: "the same address twice, both refused: no DATA",
    server: server({ EHLO: lockStep, RCPT: "550 no" }),
    call: (smtp) => smtp.sendmail("a@client.test", ["b@lab.test", "b@lab.test"], MESSAGE),
    throws: { type: SMTPRecipientsRefused, delivery: "rejected" },
    connected: true,
    lines: [HELLO, "MAIL FROM:<a@client.test>", "RCPT TO:<b@lab.test>", "RCPT TO:<b@lab.test>", "RSET"],
  },
];

const greetings: Scenario[] = [
  ...["554 no", "421 busy", "250 ok", "221 bye", "354 go", "450 later"].map(
    (greeting): Scenario => ({
      name: `the greeting ${greeting}`,
      server: server({}, greeting),
      throws: { type: SMTPConnectError, smtp_code: Number(greeting.slice(0, 3)), temporary: /^4/.test(greeting) },
      connected: false,
      check: (_, { text }) => expect(text).not.toMatch(/EHLO|MAIL/),
    }),
  ),
  {
    name: "connect() gives any greeting",
    server: server({}, "554 no"),
    call: (smtp, { host, port }) => {
      smtp.close();
      return smtp.connect(host, port);
    },
    gives: [554, "no"],
    connected: true,
    connections: 1,
  },
  {
    name: "a greeting of several lines",
    server: server({}, "220-one\r\n220-two\r\n220 three"),
    gives: {},
    connected: true,
  },
  {
    name: "a greeting that comes late is waited for, and nothing is said before",
    server: server({}, [delay(0.1), "220 hi"]),
    gives: {},
    connected: true,
    lines: [HELLO, /^MAIL/, /^RCPT/, "DATA"],
  },
  {
    name: "a server that says more than its greeting",
    server: server({}, "220 hi\r\n250 and more"),
    throws: { type: SMTPServerDisconnected },
    connected: false,
    check: (_, { text }) => expect(text).not.toMatch(/MAIL/),
  },
  {
    name: "an HTTP server",
    server: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n",
    throws: { type: SMTPConnectError, smtp_code: -1, message: /did not greet/ },
    connected: false,
  },
];

const hellos: Scenario[] = [
  ...["500 what", "502 no", "550 no", "450 later"].map(
    (reply): Scenario => ({
      name: `${reply} to EHLO leads to HELO`,
      server: server({ EHLO: reply }),
      gives: {},
      connected: true,
      lines: [HELLO, /^HELO \[127\.0\.0\.1\]$/, ...ENVELOPE],
      check: (smtp) => expect(smtp.does_esmtp).toBe(false),
    }),
  ),
  {
    name: "EHLO and HELO refused: no MAIL",
    server: server({ EHLO: "502 no", HELO: "550 5.7.1 go away" }),
    throws: { type: SMTPHeloError, smtp_code: 550, delivery: "not-sent", temporary: false },
    connected: true,
    lines: [HELLO, /^HELO/],
  },
  {
    name: "a refused EHLO forgets what an earlier one offered",
    server: server({ EHLO: inOrder(ehlo("PIPELINING", "SMTPUTF8"), "502 no more") }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.ehlo();
      return [smtp.does_esmtp, Object.keys(smtp.esmtp_features)];
    },
    gives: [false, []],
    connected: true,
  },
  {
    name: "keywords in any case, AUTH in both forms, the last of two others, nonsense left out",
    server: server({
      EHLO: ehlo("pipelining", "Size 10", "SIZE 20000", "AUTH=LOGIN", "auth PLAIN LOGIN", "", "-x", "_y", "A.B c"),
    }),
    call: async (smtp) => {
      await smtp.ehlo();
      return { ...smtp.esmtp_features };
    },
    gives: { pipelining: "", size: "20000", auth: "LOGIN PLAIN", a: ".B c" },
    connected: true,
  },
];

const big = (lines: number, width = 60): string =>
  `${Array.from({ length: lines }, (_, i) => `250-X${i} ${"x".repeat(width)}`).join("\r\n")}\r\n250 end`;

const sizes: Scenario[] = [
  {
    name: "a line over the limit",
    server: server({ NOOP: `250 ${"x".repeat(9000)}` }),
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPServerDisconnected, message: /8192/ },
    connected: false,
  },
  {
    name: "a line over the limit that never ends",
    server: server({ NOOP: [raw(`250 ${"x".repeat(100_000)}`), stall] }),
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPServerDisconnected, message: /8192/ },
    connected: false,
  },
  {
    name: "a reply over the limit",
    server: server({ NOOP: big(1000, 80) }),
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPServerDisconnected, message: /65536/ },
    connected: false,
  },
  {
    name: "a reply of too many short lines",
    server: server({ NOOP: `${"250-\r\n".repeat(2000)}250 end` }),
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPServerDisconnected, message: /lines/ },
    connected: false,
  },
  {
    name: "a reply that never ends",
    server: server({ NOOP: [...Array.from({ length: 400 }, () => "250-more ".repeat(30)), stall] }),
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPServerDisconnected, message: /65536/ },
    connected: false,
  },
  {
    name: "an answer to EHLO over the limit of others",
    server: server({ EHLO: big(2000) }),
    call: async (smtp) => (await smtp.ehlo()).code,
    gives: 250,
    connected: true,
  },
  {
    name: "an answer to EHLO over its limit",
    server: server({ EHLO: big(5000) }),
    call: (smtp) => smtp.ehlo(),
    throws: { type: SMTPServerDisconnected, message: /262144/ },
    connected: false,
  },
  {
    name: "a line within a limit of the caller's",
    server: server({ NOOP: `250 ${"x".repeat(20_000)}` }),
    options: { limits: { line: 30_000 } },
    call: async (smtp) => (await smtp.noop()).message.length,
    gives: 20_000,
    connected: true,
  },
  {
    name: "a reply over a limit of the caller's",
    server: server({ NOOP: big(10) }),
    options: { limits: { reply: 300 } },
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPServerDisconnected, message: /300/ },
    connected: false,
  },
];

const twice = async (smtp: Parameters<typeof sendOne>[0]): Promise<unknown> => {
  await sendOne(smtp);
  for (let i = 0; i < 15 && smtp.connected; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  return sendOne(smtp);
};

/** Unsolicited bytes while the session is idle; the next call must not take them for its reply. */
const surplus: Scenario[] = (
  [
    ["another reply in the same packet", "250 queued\r\n250 stray", /./],
    ["another reply a little later", ["250 queued", delay(0.01), "250 stray"], /./],
    ["a 421 a little later", ["250 queued", delay(0.01), "421 4.4.2 idle too long"], /421/],
    ["a 421 in the same packet", "250 queued\r\n421 4.4.2 bye", /421/],
    ["half a reply", ["250 queued", delay(0.01), raw("25")], /./],
    ["half a reply in the same packet", raw("250 queued\r\n250 str"), /./],
    ["nonsense", ["250 queued", delay(0.01), "<html>"], /./],
    ["an end of the connection", ["250 queued", close], /./],
  ] satisfies [string, Act, RegExp][]
).flatMap(([name, act, message]) =>
  [ehlo("PIPELINING", "8BITMIME"), lockStep].map(
    (hello): Scenario => ({
      name: `${name} behind the last reply, ${hello === lockStep ? "lock-step" : "pipelined"}`,
      server: server({ EHLO: hello, ".": act }),
      call: twice,
      throws: { type: SMTPServerDisconnected, delivery: "not-sent", temporary: true },
      connected: false,
      taken: 1,
      check: (_, { lines }, outcome) => {
        expect(lines.filter((line) => line.startsWith("MAIL"))).toHaveLength(1);
        const error = "error" in outcome && outcome.error;
        expect(`${String(error)} ${String(error instanceof Error && error.cause)}`).toMatch(message);
      },
    }),
  ),
);

const desync: Scenario[] = [
  ...[ehlo("PIPELINING", "8BITMIME"), lockStep].flatMap((hello): Scenario[] => {
    const mode = hello === lockStep ? "lock-step" : "pipelined";
    return [
      {
        name: `a yes to the message in the same packet as the 354, before the message, is no yes, ${mode}`,
        server: server({ EHLO: hello, DATA: "354 go\r\n250 queued", ".": "554 no" }),
        throws: { type: SMTPServerDisconnected },
        connected: false,
        taken: 0,
      },
      {
        name: `a no to the message in the same packet as the 354 ends it before the message, ${mode}`,
        server: server({ EHLO: hello, DATA: "354 go\r\n554 but not this one" }),
        throws: { type: SMTPDataError, smtp_code: 554, delivery: "rejected" },
        connected: false,
        taken: 0,
      },
      {
        name: `421 in the same packet as the 354, ${mode}`,
        server: server({ EHLO: hello, DATA: ["354 go\r\n421 bye", close] }),
        throws: { type: SMTPDataError, smtp_code: 421, delivery: "rejected", temporary: true },
        connected: false,
        taken: 0,
      },
      {
        name: `half a reply behind the 354, before the message, ${mode}`,
        server: server({ EHLO: hello, DATA: raw("354 go\r\n554 but"), ".": " this is spam" }),
        throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
        connected: false,
        taken: 0,
      },
    ];
  }),
  {
    name: "two replies to NOOP: the first is its answer, and the session is over",
    server: server({ NOOP: "250 one\r\n250 two" }),
    call: async (smtp) => [await smtp.noop(), await smtp.rset().catch((error: Error) => error.name)],
    gives: [[250, "one"], "SMTPServerDisconnected"],
    connected: false,
    lines: ["NOOP"],
  },
  {
    name: "answers that come before the commands",
    server: server({ EHLO: `${lockStep}\r\n250 mail\r\n250 rcpt\r\n354 go\r\n250 queued` }),
    throws: dead(),
    connected: false,
    taken: 0,
    check: (_, { lines }) => expect(lines).toHaveLength(1),
  },
  {
    name: "one reply too many in a pipelined envelope ends the session before the body",
    server: server({ MAIL: "250 ok\r\n250 stray" }),
    throws: { type: SMTPDataError, smtp_code: 250, delivery: "rejected" },
    connected: false,
    taken: 0,
  },
  {
    name: "a reply that is missing in a pipelined envelope",
    server: server({ RCPT: [] }),
    options: { timeouts: { envelope: 0.1, dataInit: 0.1 } },
    // The 354 to DATA seems to answer RCPT, which it does not accept.
    throws: { type: SMTPRecipientsRefused, delivery: "rejected" },
    connected: false,
    taken: 0,
  },
  {
    name: "a late reply to a call that ran out of time is nobody's answer",
    server: server({ NOOP: [delay(0.2), "250 late"] }),
    options: { timeouts: { command: 0.1 } },
    call: async (smtp) => {
      const first = await smtp.noop().catch((error: Error) => error.name);
      await new Promise((resolve) => setTimeout(resolve, 150));
      return [first, await smtp.rset().catch((error: Error) => error.name)];
    },
    gives: ["SMTPTimeoutError", "SMTPTimeoutError"],
    connected: false,
    lines: ["NOOP"],
  },
  {
    name: "RSET refused after a refused sender: the session is dropped",
    server: server({ EHLO: lockStep, MAIL: "550 no", RSET: "500 what" }),
    throws: { type: SMTPSenderRefused, smtp_code: 550, delivery: "rejected" },
    connected: false,
  },
  {
    name: "RSET not answered after a refused sender: the refusal is reported in time",
    server: server({ EHLO: lockStep, MAIL: "550 no", RSET: stall }),
    options: { timeouts: { command: 0.1 } },
    throws: { type: SMTPSenderRefused, smtp_code: 550, delivery: "rejected" },
    connected: false,
  },
  {
    name: "the connection lost behind a refused sender: the refusal is reported",
    server: server({ EHLO: lockStep, MAIL: ["550 no", close] }),
    throws: { type: SMTPSenderRefused, smtp_code: 550, delivery: "rejected" },
    connected: false,
  },
];

/** 421 in place of each reply (RFC 5321 3.8). */
const closing: Scenario[] = [lockStep, ehlo("PIPELINING", "8BITMIME")].flatMap((hello) =>
  (
    [
      ["EHLO", SMTPHeloError, "not-sent"],
      ["MAIL", SMTPSenderRefused, "rejected"],
      ["RCPT", SMTPRecipientsRefused, "rejected"],
      ["DATA", SMTPDataError, "rejected"],
      [".", SMTPDataError, "rejected"],
    ] as const
  ).flatMap(([verb, type, delivery]) =>
    [false, true].map((closes): Scenario => {
      const act: Act = closes ? ["421 4.3.2 shutting down", close] : "421 4.3.2 shutting down";
      return {
        name: `421 to ${verb}${closes ? " and the end" : ""}, ${hello === lockStep ? "lock-step" : "pipelined"}`,
        server: server(verb === "EHLO" ? { EHLO: act } : { EHLO: hello, [verb]: act }),
        throws: {
          type,
          delivery,
          temporary: true,
          ...(type === SMTPRecipientsRefused ? {} : { smtp_code: 421 }),
        },
        connected: false,
        taken: 0,
      };
    }),
  ),
);

const closingElsewhere: Scenario[] = [
  {
    name: "421 to NOOP is its answer, and the session is over",
    server: server({ NOOP: "421 bye" }),
    call: (smtp) => smtp.noop(),
    gives: [421, "bye"],
    connected: false,
  },
  {
    name: "421 to the second RCPT, lock-step: nobody gets the message",
    server: server({ EHLO: lockStep, RCPT: inOrder("250 ok", "421 4.7.0 bye") }),
    call: (smtp) => smtp.sendmail("a@client.test", two, MESSAGE),
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: true },
    connected: false,
    taken: 0,
  },
  {
    name: "421 to the second RCPT, pipelined: nobody gets the message",
    server: server({ RCPT: inOrder("250 ok", "421 4.7.0 bye") }),
    call: (smtp) => smtp.sendmail("a@client.test", two, MESSAGE),
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: true },
    connected: false,
    taken: 0,
  },
  {
    name: "421 between two calls is named by the next one",
    server: server({ NOOP: ["250 ok", delay(0.02), "421 4.4.2 idle"] }),
    call: async (smtp) => {
      await smtp.noop();
      await new Promise((resolve) => setTimeout(resolve, 60));
      return smtp.rset();
    },
    throws: { type: SMTPServerDisconnected, cause: /421/ },
    connected: false,
    lines: ["NOOP"],
  },
];

/** A byte now and then does not count as progress. */
const dribbled: Scenario[] = [
  {
    name: "a reply that dribbles runs out of time as one that does not come",
    server: server({ EHLO: lockStep, MAIL: drip("250 ok in a while\r\n", 0.03) }),
    options: { timeouts: { envelope: 0.15 } },
    throws: { type: SMTPTimeoutError, phase: "envelope", delivery: "not-sent" },
    connected: false,
    within: 0.5,
  },
  {
    name: "a greeting that dribbles",
    server: server({}, drip("220 hello in a while\r\n", 0.03)),
    options: { timeouts: { greeting: 0.15 } },
    throws: { type: SMTPTimeoutError, phase: "greeting" },
    connected: false,
    within: 0.5,
  },
  {
    name: "a last reply that dribbles",
    server: server({ ".": drip("250 queued in a while\r\n", 0.03) }),
    options: { timeouts: { dataDone: 0.15 } },
    throws: { type: SMTPTimeoutError, phase: "dataDone", delivery: "unknown", temporary: true },
    connected: false,
    within: 0.6,
  },
  {
    name: "endless lines of one reply",
    server: server({ NOOP: drip("250-a\r\n250-b\r\n250-c\r\n250-d\r\n250-e\r\n250-f\r\n250 g\r\n", 0.01) }),
    options: { timeouts: { command: 0.15 } },
    call: (smtp) => smtp.noop(),
    throws: { type: SMTPTimeoutError, phase: "command" },
    connected: false,
    within: 0.5,
  },
  {
    name: "slow but complete replies of a pipelined group each have their own time",
    server: server({ RCPT: [delay(0.06), "250 ok"] }),
    options: { timeouts: { envelope: 0.25, dataInit: 0.25 } },
    call: (smtp) =>
      smtp.sendmail(
        "a@client.test",
        ["b", "c", "d", "e", "f"].map((name) => `${name}@lab.test`),
        MESSAGE,
      ),
    gives: {},
    connected: true,
    taken: 1,
  },
  {
    name: "`total` bounds a delivery whose replies are all in time",
    server: server({ RCPT: [delay(0.06), "250 ok"] }),
    options: { timeouts: { total: 0.15 } },
    call: (smtp) =>
      smtp.sendmail(
        "a@client.test",
        ["b", "c", "d", "e", "f"].map((name) => `${name}@lab.test`),
        MESSAGE,
      ),
    throws: { type: SMTPTimeoutError, phase: "total", delivery: "not-sent", temporary: true },
    connected: false,
    within: 0.5,
  },
];

scenarios("replies: broken", broken, ["loopback", "memory"]);
scenarios("replies: odd", odd, ["loopback", "memory"]);
scenarios("replies: grammar", grammar);
scenarios("replies: codes", codes, ["loopback", "memory"]);
scenarios("replies: greeting", greetings);
scenarios("replies: hello", hellos);
scenarios("replies: size", sizes);
scenarios("replies: surplus", surplus);
scenarios("replies: desync", desync);
scenarios("replies: 421", [...closing, ...closingElsewhere], ["loopback", "memory"]);
scenarios("replies: dribbled", dribbled);
