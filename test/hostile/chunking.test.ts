/**
 * BDAT and whole messages in one flight, with servers that refuse chunks, send too few or too many replies or
 * disconnect (SECURITY.md, rules 6 and 7).
 */
import { expect } from "vitest";
import {
  type Body,
  type SMTP,
  SMTPDataError,
  SMTPException,
  type SMTPOptions,
  SMTPRecipientsRefused,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import {
  type Act,
  type Answers,
  callback,
  close,
  delay,
  ehlo,
  freeze,
  halfClose,
  inOrder,
  raw,
  reset,
  server,
  stall,
} from "../support/scripted-server.ts";
import { HELLO, type Scenario, scenarios, type Thrown } from "./scenario.ts";

/** How chunks are sent. */
const MODES: readonly [name: string, hello: string][] = [
  ["lock-step", ehlo("8BITMIME", "CHUNKING")],
  ["pipelined", ehlo("PIPELINING", "8BITMIME", "CHUNKING")],
];
const [, PIPELINED = ""] = MODES[1] ?? [];
const EAGER: SMTPOptions = { pipelining: "eager" };

const CHUNK = 262_144;
const LINE = `.${"x".repeat(76)}\r\n`;
/** A little more than three chunks. */
const LARGE = LINE.repeat(Math.ceil((3.5 * CHUNK) / LINE.length));
const SMALL = "Subject: x\r\n\r\n.\r\nhello\r\n";

const sending =
  (body: Body | (() => Body), to: readonly string[] = ["b@lab.test"]) =>
  (smtp: SMTP): Promise<unknown> =>
    smtp.sendmail("a@client.test", to, typeof body === "function" ? body() : body);

async function* pieces(text: string): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += 50_000) yield text.slice(at, at + 50_000);
}

class SourceError extends Error {}

async function* failing(): AsyncGenerator<string> {
  yield* pieces(LARGE);
  throw new SourceError("the disk is gone");
}

/** A message that was not completed is never ended, whatever happens. */
const neverLast = (_: SMTP, { lines, taken }: { lines: string[]; taken: number }): void => {
  expect(lines.join("\n")).not.toMatch(/LAST/);
  expect(taken).toBe(0);
};

/** If the server accepted the message, the error never denies that, whatever the server sent before. */
const neverDenied: Scenario["check"] = (_, { taken }, outcome) => {
  if (taken > 0) expect("error" in outcome && outcome.error).toMatchObject({ delivery: "unknown" });
};

/** After a refused chunk, nothing of the message follows, except what was already sent (RFC 3030 2). */
const thenReset = (_: SMTP, { lines }: { lines: string[] }): void => {
  expect(lines.filter((line) => /LAST/.test(line))).toEqual([]);
  expect(lines.at(-1)).toBe("RSET");
};

const GONE: readonly [name: string, act: Act, throws: Thrown][] = [
  ["closes", close, { type: SMTPServerDisconnected }],
  ["resets", [delay(0.01), reset], { type: SMTPServerDisconnected }],
  ["ends its side only", halfClose, { type: SMTPServerDisconnected }],
  ["closes in the middle of a line", [raw("250 2.0.0 que"), close], { type: SMTPServerDisconnected }],
  ["closes in a multi-line reply", ["250-one", close], { type: SMTPServerDisconnected }],
  ["says nonsense", ["what?"], { type: SMTPServerDisconnected, message: /not a reply/ }],
  ["says 354", ["354 go"], { type: SMTPServerDisconnected, message: /protocol/ }],
];

/** The kinds of a large message. */
const FORMS: readonly [name: string, body: () => Body][] = [
  ["in memory", () => LARGE],
  ["in pieces", () => pieces(LARGE)],
];

const gone: Scenario[] = MODES.flatMap(([mode, hello]) =>
  GONE.flatMap(([name, act, throws]): Scenario[] => [
    {
      name: `a server that ${name} after BDAT LAST, ${mode}`,
      server: server({ EHLO: hello, ".": act }),
      call: sending(SMALL),
      throws: { ...throws, delivery: "unknown", temporary: true },
      connected: false,
      bodies: [SMALL],
    },
    ...FORMS.map(
      ([form, body]): Scenario => ({
        name: `a server that ${name} after the first chunk, ${form}, ${mode}`,
        server: server({ EHLO: hello, BDAT: act }),
        call: sending(body),
        // With PIPELINING, all of it may have been sent by then.
        throws: { ...throws, ...(mode === "lock-step" ? { delivery: "not-sent" } : {}), temporary: true },
        connected: false,
        within: 5,
        check: neverDenied,
      }),
    ),
    {
      name: `a server that ${name} in the middle of the last chunk, ${mode}`,
      server: server({ EHLO: hello, chunk: act }),
      call: sending(SMALL),
      throws: { ...throws, delivery: "unknown" },
      connected: false,
    },
  ]),
);

const silent: Scenario[] = MODES.flatMap(([mode, hello]): Scenario[] => [
  {
    name: `a server that says nothing after BDAT LAST, ${mode}`,
    server: server({ EHLO: hello, ".": stall }),
    options: { timeouts: { dataDone: 0.1 } },
    call: sending(SMALL),
    throws: { type: SMTPTimeoutError, phase: "dataDone", delivery: "unknown", temporary: true },
    connected: false,
  },
  {
    name: `a server that says nothing after a chunk, ${mode}`,
    server: server({ EHLO: hello, BDAT: stall }),
    options: { timeouts: { dataBlock: 0.2 } },
    call: sending(LARGE),
    throws: { type: SMTPTimeoutError, phase: "dataBlock", temporary: true },
    connected: false,
    taken: 0,
    within: 5,
  },
  {
    name: `a server that stops reading in a chunk, ${mode}`,
    server: server({ EHLO: hello, chunk: freeze }),
    options: { timeouts: { dataBlock: 0.2 } },
    call: sending(() => LINE.repeat(300_000)),
    throws: { type: SMTPTimeoutError, phase: "dataBlock", temporary: true },
    connected: false,
    taken: 0,
    within: 5,
  },
]);

const refusals: Scenario[] = MODES.flatMap(([mode, hello]): Scenario[] => [
  ...["552 5.3.4 too big", "452 4.3.1 disk full", "503 5.5.1 no", "599 what"].map(
    (reply): Scenario => ({
      name: `${reply} to the first chunk: no LAST, then RSET, and the session goes on, ${mode}`,
      server: server({ EHLO: hello, BDAT: reply, chunk: [] }),
      // A source that waits: otherwise all of the message would be sent before the reply.
      call: async (smtp) => sending(() => waiting(smtp))(smtp),
      throws: {
        type: SMTPDataError,
        smtp_code: Number(reply.slice(0, 3)),
        delivery: "rejected",
        temporary: reply.startsWith("4"),
      },
      connected: true,
      taken: 0,
      check: thenReset,
    }),
  ),
  {
    name: `552 to the first chunk, and RSET is refused: the session is dropped, ${mode}`,
    server: server({ EHLO: hello, BDAT: "552 too big", RSET: "500 what" }),
    call: async (smtp) => sending(() => waiting(smtp))(smtp),
    throws: { type: SMTPDataError, smtp_code: 552, delivery: "rejected" },
    connected: false,
    taken: 0,
  },
  {
    name: `552 to the first chunk, then the end, ${mode}`,
    server: server({ EHLO: hello, BDAT: ["552 too big", close] }),
    call: sending(LARGE),
    throws: { type: SMTPDataError, smtp_code: 552, delivery: "rejected" },
    connected: false,
    taken: 0,
  },
  {
    name: `552 to the first chunk of a message that is all at hand, ${mode}`,
    server: server({ EHLO: hello, BDAT: "552 too big", ".": "503 no" }),
    call: sending(LARGE),
    throws: { type: SMTPDataError, smtp_code: 552, delivery: "rejected" },
    connected: true,
    taken: 0,
    // With PIPELINING, all of it may have been sent before the reply; in lock-step, only one chunk.
    check: (_, { lines }) => {
      const chunks = lines.filter((line) => line.startsWith("BDAT"));
      if (mode === "lock-step") expect(chunks).toHaveLength(1);
    },
  },
  {
    name: `421 to the first chunk, ${mode}`,
    server: server({ EHLO: hello, BDAT: ["421 bye", close] }),
    call: sending(LARGE),
    throws: { type: SMTPDataError, smtp_code: 421, delivery: "rejected", temporary: true },
    connected: false,
    taken: 0,
  },
  {
    name: `554 to BDAT LAST, and the session goes on, ${mode}`,
    server: server({ EHLO: hello, ".": inOrder("554 5.7.1 spam", "250 ok") }),
    call: async (smtp) => [await sending(SMALL)(smtp).catch(({ smtp_code }) => smtp_code), await sending(SMALL)(smtp)],
    gives: [554, {}],
    connected: true,
    taken: 1,
    check: (_, { lines }) =>
      expect(lines.slice(-4)).toEqual(["RSET", /^MAIL/, /^RCPT/, /^BDAT/].map(matching(lines.slice(-4)))),
  },
  {
    name: `half a reply behind those to the envelope answers no chunk, ${mode}`,
    server: server({
      EHLO: hello,
      RCPT: raw("250 ok\r\n250 not"),
      ".": [raw(" for you\r\n"), "554 no"],
    }),
    call: sending(SMALL),
    throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
    connected: false,
    taken: 0,
    check: neverLast,
  },
]);

/** Returns the line itself if the pattern matches it, for a comparison of lines with lines. */
function matching(lines: readonly string[]): (pattern: string | RegExp, index: number) => string | RegExp | undefined {
  return (pattern, index) => (pattern instanceof RegExp && pattern.test(lines[index] ?? "") ? lines[index] : pattern);
}

/** A source that completes one chunk, then waits for the server's reply to it. */
async function* waiting(smtp: SMTP): AsyncGenerator<string> {
  yield* pieces(LARGE.slice(0, CHUNK + 100_000));
  for (let i = 0; i < 20 && smtp.connected; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  yield* pieces(LARGE);
}

const sources: Scenario[] = MODES.flatMap(([mode, hello]): Scenario[] => {
  const controller = new AbortController();
  let drop: () => void = () => {};
  return [
    {
      name: `a source that fails behind some chunks never ends in LAST, ${mode}`,
      server: server({ EHLO: hello }),
      call: sending(failing),
      throws: { type: SMTPException, delivery: "not-sent", temporary: false, cause: SourceError },
      connected: false,
      check: neverLast,
    },
    {
      name: `a source that gives something else than octets never ends in LAST, ${mode}`,
      server: server({ EHLO: hello }),
      call: sending(() => new Set<unknown>([LARGE, 42]).values() as unknown as Body),
      throws: { type: SMTPException, delivery: "not-sent", cause: TypeError },
      connected: false,
      check: neverLast,
    },
    {
      name: `an abort behind a chunk, ${mode}`,
      server: server({ EHLO: hello, BDAT: [callback(() => controller.abort(new SourceError("stop"))), stall] }),
      call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", hanging(), [], [], { signal: controller.signal }),
      throws: { type: SourceError, message: /stop/ },
      connected: false,
      check: neverLast,
    },
    {
      name: `close() behind a chunk, ${mode}`,
      server: server({ EHLO: hello, BDAT: [callback(() => drop()), stall] }),
      call: (smtp) => {
        drop = () => smtp.close();
        return sending(hanging)(smtp);
      },
      throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
      connected: false,
      check: neverLast,
    },
    {
      name: `a connection that is lost while the source hangs, ${mode}`,
      server: server({ EHLO: hello, BDAT: ["250 ok", delay(0.01), close] }),
      call: sending(hanging),
      throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
      connected: false,
      check: neverLast,
    },
    {
      name: `the whole message arrives, its dots as they were, ${mode}`,
      server: server({ EHLO: hello }),
      call: async (smtp) => [await sending(SMALL)(smtp), await sending(() => pieces(LARGE))(smtp)],
      gives: [{}, {}],
      connected: true,
      taken: 2,
      bodies: [SMALL, LARGE],
      within: 5,
    },
  ];
});

/** More than one chunk, and then nothing. */
async function* hanging(): AsyncGenerator<string> {
  yield* pieces(LARGE.slice(0, CHUNK + 100_000));
  await new Promise(() => {});
}

const THREE = ["b@lab.test", "c@lab.test", "d@lab.test"];

type LmtpRow = Omit<Scenario, "server" | "client" | "call"> & { readonly answers: Answers };

const lmtpRows: LmtpRow[] = [
  { name: "all delivered", answers: { ".": ["250 b", "250 c", "250 d"] }, gives: {}, connected: true },
  {
    name: "one of three fails after the data",
    answers: { ".": ["250 b", "550 5.2.2 full", "250 d"] },
    gives: { "c@lab.test": [550, "5.2.2 full"] },
    connected: true,
  },
  {
    name: "one is refused by RCPT, one after the data",
    answers: { RCPT: inOrder("250 ok", "551 moved", "250 ok"), ".": ["452 full", "250 d"] },
    gives: { "b@lab.test": [452, "full"], "c@lab.test": [551, "moved"] },
    connected: true,
  },
  {
    name: "all fail after the data, one of them for now",
    answers: { ".": ["550 b", "450 c", "550 d"] },
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: true },
    connected: true,
  },
  {
    name: "all are refused by RCPT: no BDAT",
    answers: { RCPT: "550 no" },
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: false },
    connected: true,
    taken: 0,
    check: (_, { lines }) => expect(lines.join()).not.toMatch(/BDAT/),
  },
  {
    name: "fewer replies than recipients, then the end",
    answers: { ".": ["250 b", "550 c", close] },
    throws: {
      type: SMTPServerDisconnected,
      delivery: "unknown",
      fields: { replies: [{ code: 250 }, { code: 550 }] },
    },
    connected: false,
  },
  {
    name: "fewer replies than recipients, then silence",
    options: { timeouts: { dataDone: 0.1 } },
    answers: { ".": ["250 b", stall] },
    throws: { type: SMTPTimeoutError, phase: "dataDone", delivery: "unknown", fields: { replies: [{ code: 250 }] } },
    connected: false,
  },
  {
    name: "a reply too many: the message counts, the session is over",
    answers: { ".": ["250 b\r\n250 c\r\n250 d\r\n250 e"] },
    gives: {},
    connected: false,
  },
  {
    name: "421 in place of the second reply",
    answers: { ".": ["250 b", "421 bye", close] },
    throws: { type: SMTPServerDisconnected, delivery: "unknown" },
    connected: false,
  },
];

const lmtp: Scenario[] = MODES.flatMap(([mode, hello]) => [
  ...lmtpRows.map(
    ({ answers, ...row }): Scenario => ({
      ...row,
      name: `${row.name}, ${mode}`,
      client: "LMTP",
      server: server({ LHLO: hello, ...answers }),
      call: sending(SMALL, THREE),
    }),
  ),
  {
    name: `a chunk that is refused has one reply, ${mode}`,
    client: "LMTP",
    server: server({ LHLO: hello, BDAT: "552 too big" }),
    call: async (smtp) => sending(() => waiting(smtp), THREE)(smtp),
    throws: { type: SMTPDataError, smtp_code: 552, delivery: "rejected" },
    connected: true,
    taken: 0,
    check: thenReset,
  },
]);

const lmtpEager: Scenario[] = lmtpRows
  .filter(({ name }) => !name.startsWith("all are refused"))
  .map(({ answers, ...row }) => ({
    ...row,
    name: `${row.name}, eager`,
    client: "LMTP",
    server: server({ LHLO: PIPELINED, ...answers }),
    options: { ...row.options, ...EAGER },
    call: sending(SMALL, THREE),
  }));

/** The outcomes of three messages that are sent at once. */
const three = (smtp: SMTP): Promise<unknown> =>
  Promise.all(
    [1, 2, 3].map((number) =>
      sending(`${number}\r\n`)(smtp).then(
        () => "ok",
        ({ name, delivery }: SMTPException) => `${name} ${delivery}`,
      ),
    ),
  );

/** Servers' reactions to the second of three messages. */
const MIDDLES: readonly {
  readonly name: string;
  readonly answers: Answers;
  /** The replies if the message was already sent. */
  readonly eager?: Answers;
  readonly becomes: readonly [pipelined: readonly string[], eager: readonly string[]];
  readonly connected: boolean;
}[] = [
  {
    name: "nothing fails",
    answers: {},
    becomes: [
      ["ok", "ok", "ok"],
      ["ok", "ok", "ok"],
    ],
    connected: true,
  },
  {
    name: "the second MAIL is refused",
    answers: {
      MAIL: inOrder("250 ok", "550 no", "250 ok"),
      RCPT: inOrder("250 ok", "503 no", "250 ok"),
    },
    eager: { ".": inOrder("250 1", "503 no", "250 3") },
    becomes: [
      ["ok", "SMTPSenderRefused rejected", "ok"],
      ["ok", "SMTPSenderRefused rejected", "ok"],
    ],
    connected: true,
  },
  {
    name: "the second RCPT is refused",
    answers: { RCPT: inOrder("250 ok", "550 no", "250 ok") },
    eager: { ".": inOrder("250 1", "503 no", "250 3") },
    becomes: [
      ["ok", "SMTPRecipientsRefused rejected", "ok"],
      ["ok", "SMTPRecipientsRefused rejected", "ok"],
    ],
    connected: true,
  },
  {
    name: "the second BDAT LAST is refused",
    answers: { ".": inOrder("250 1", "554 no", "250 3") },
    becomes: [
      ["ok", "SMTPDataError rejected", "ok"],
      ["ok", "SMTPDataError rejected", "ok"],
    ],
    connected: true,
  },
  {
    name: "421 to the second message",
    answers: { ".": inOrder("250 1", ["421 bye", close]) },
    becomes: [
      ["ok", "SMTPDataError rejected", "SMTPServerDisconnected not-sent"],
      ["ok", "SMTPDataError rejected", "SMTPServerDisconnected unknown"],
    ],
    connected: false,
  },
  {
    name: "the connection dies at the second message",
    answers: { ".": inOrder("250 1", close) },
    becomes: [
      ["ok", "SMTPServerDisconnected unknown", "SMTPServerDisconnected not-sent"],
      ["ok", "SMTPServerDisconnected unknown", "SMTPServerDisconnected unknown"],
    ],
    connected: false,
  },
];

const middles: Scenario[] = MIDDLES.flatMap(({ name, answers, eager, becomes, connected }): Scenario[] => {
  const taken = becomes[0].filter((outcome) => outcome === "ok").length;
  const expected = { call: three, connected, ...(connected ? { taken } : {}) };
  return [
    {
      ...expected,
      name: `three messages at once: ${name}`,
      server: server({ EHLO: PIPELINED, ...answers }),
      gives: becomes[0],
    },
    {
      ...expected,
      name: `three messages in one flight: ${name}`,
      server: server({ EHLO: PIPELINED, ...answers, ...eager }),
      options: EAGER,
      gives: becomes[1],
      check: (_, { lines }) => expect(lines.filter((line) => line === "RSET")).toHaveLength(3),
    },
  ];
});

const eager: Scenario[] = [
  {
    name: "a message goes as RSET, MAIL, RCPT, BDAT",
    server: server({ EHLO: PIPELINED }),
    options: EAGER,
    call: sending(SMALL),
    gives: {},
    connected: true,
    lines: [HELLO, "RSET", /^MAIL/, /^RCPT/, "BDAT 24 LAST"],
    bodies: [SMALL],
  },
  {
    name: "not without CHUNKING",
    server: server({ EHLO: ehlo("PIPELINING", "8BITMIME") }),
    options: EAGER,
    call: sending(SMALL),
    gives: {},
    connected: true,
    lines: [HELLO, /^MAIL/, /^RCPT/, "DATA"],
  },
  {
    name: "not without PIPELINING",
    server: server({ EHLO: ehlo("CHUNKING", "8BITMIME") }),
    options: EAGER,
    call: sending(SMALL),
    gives: {},
    connected: true,
    check: (_, { pipelined }) => expect(pipelined).toEqual([]),
  },
  {
    name: "MAIL refused, and BDAT LAST accepted: a broken server, nobody knows",
    server: server({ EHLO: PIPELINED, MAIL: "550 no", RCPT: "503 no" }),
    options: EAGER,
    call: sending(SMALL),
    throws: { type: SMTPServerDisconnected, delivery: "unknown" },
    connected: false,
  },
  {
    name: "MAIL refused, and everything behind it",
    server: server({ EHLO: PIPELINED, MAIL: "550 no", RCPT: "503 no", ".": "503 no" }),
    options: EAGER,
    call: sending(SMALL),
    throws: { type: SMTPSenderRefused, smtp_code: 550, delivery: "rejected" },
    connected: true,
    taken: 0,
  },
  {
    name: "RSET refused: the session is dropped, and nobody knows",
    server: server({ EHLO: PIPELINED, RSET: ["500 what", delay(0.02)] }),
    options: EAGER,
    call: sending(SMALL),
    throws: { type: SMTPServerDisconnected, delivery: "unknown", message: /RSET/ },
    connected: false,
  },
  {
    name: "421 to the second of two recipients, with the message on its way: nobody knows",
    server: server({ EHLO: PIPELINED, RCPT: inOrder("250 ok", [delay(0.02), "421 bye", delay(0.02)]) }),
    options: EAGER,
    call: sending(SMALL, ["b@lab.test", "c@lab.test"]),
    throws: { type: SMTPServerDisconnected, delivery: "unknown", message: /421/ },
    connected: false,
  },
  {
    name: "421 to the only recipient",
    server: server({ EHLO: PIPELINED, RCPT: ["421 bye", close] }),
    options: EAGER,
    call: sending(SMALL),
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: true },
    connected: false,
    taken: 0,
  },
  {
    name: "RSET refused, and the message accepted in the same packet: it counts, and the session is over",
    server: server({ EHLO: PIPELINED, RSET: [], MAIL: [], RCPT: [], ".": "500 what\r\n250 a\r\n250 b\r\n250 ok" }),
    options: EAGER,
    call: sending(SMALL),
    gives: {},
    connected: false,
  },
  ...GONE.map(
    ([name, act, throws]): Scenario => ({
      name: `a server that ${name} at RSET, with the message on its way`,
      server: server({ EHLO: PIPELINED, RSET: [act, delay(0.02)] }),
      options: EAGER,
      call: sending(SMALL),
      throws: { ...throws, delivery: "unknown", ...(name === "says 354" ? { message: /RSET/ } : {}) },
      connected: false,
    }),
  ),
  ...GONE.map(
    ([name, act, throws]): Scenario => ({
      name: `a server that ${name} at the end, with the message on its way`,
      server: server({ EHLO: PIPELINED, ".": act }),
      options: EAGER,
      call: sending(SMALL),
      throws: { ...throws, delivery: "unknown" },
      connected: false,
      taken: 0,
    }),
  ),
];

const shifted: Scenario[] = ["CHUNKING", "8BITMIME"].map((extension) => ({
  name: `half a reply behind that to MAIL answers no recipient, with ${extension}`,
  server: server({
    EHLO: ehlo(extension),
    MAIL: raw("250 ok\r\n250 not"),
    RCPT: [raw(" you\r\n"), delay(0.02), "250 ok"],
  }),
  call: sending(SMALL),
  throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
  connected: false,
  taken: 0,
}));

/** The same scenarios, in which small messages use BDAT, too. */
function always(...rows: readonly (readonly Scenario[])[]): Scenario[] {
  return rows.flat().map((row) => ({ ...row, options: { chunking: true, ...row.options } }));
}

scenarios("faults: BDAT", always(gone, silent));
scenarios("body-abort: BDAT", always(refusals, sources));
scenarios("replies: desync, lock-step", always(shifted));
scenarios("lmtp: BDAT", always(lmtp, lmtpEager));
scenarios("pipelining: BDAT", always(middles), ["loopback", "memory"]);
scenarios("pipelining: eager", eager);
