/** Calls without waiting: their order, their failures, and the commands that the server gets (SECURITY.md, rule 7). */
import { expect } from "vitest";
import {
  type Body,
  type SMTP,
  SMTPException,
  type SMTPOptions,
  SMTPRecipientsRefused,
  SMTPSenderRefused,
  SMTPServerDisconnected,
} from "../../src/index.ts";
import {
  type Act,
  callback,
  close,
  delay,
  drip,
  ehlo,
  inOrder,
  pieces,
  reset,
  server,
  stall,
} from "../support/scripted-server.ts";
import { HELLO, MESSAGE_ON_WIRE, type Scenario, scenarios, sendOne } from "./scenario.ts";

const PIPELINING = ehlo("PIPELINING", "8BITMIME");
const LOCK_STEP = ehlo("8BITMIME");
const silent = { debug() {}, info() {}, warn() {}, error() {} };

type Mode = {
  readonly name: string;
  readonly hello: Act;
  readonly options?: SMTPOptions;
  readonly bodyOf?: (text: string) => Body;
};

/** How a message is sent: as a group of commands, or command by command. */
const MODES: readonly Mode[] = [
  { name: "lock-step", hello: LOCK_STEP },
  { name: "pipelined", hello: PIPELINING },
  { name: "pipelined and observed", hello: PIPELINING, options: { logger: silent } },
  {
    name: "pipelined from streams",
    hello: PIPELINING,
    bodyOf: async function* (text) {
      yield text;
    },
  },
];

/** Sends three messages at once; returns their outcomes. */
function three(smtp: SMTP, bodyOf: (text: string) => Body = (text) => text): Promise<unknown[]> {
  const sends = ["one", "two", "three"].map((name) =>
    smtp.sendmail(`${name}@client.test`, `${name}@lab.test`, bodyOf(`${name}\r\n`)).then(
      () => "ok",
      (error: Error & { delivery?: string; smtp_code?: number }) =>
        [error.name, error.smtp_code, error.delivery].filter((part) => part !== undefined).join(" "),
    ),
  );
  return Promise.all(sends);
}

const wire = (name: string): string => `${name}\r\n.\r\n`;

type Middle = {
  readonly name: string;
  readonly answers: { readonly [verb: string]: Act };
  readonly lockStep: readonly string[];
  readonly pipelined: readonly string[];
  readonly connected: boolean;
  readonly taken: readonly [lockStep: number, pipelined: number];
};

const MIDDLES: readonly Middle[] = [
  {
    name: "nothing fails",
    answers: {},
    lockStep: ["ok", "ok", "ok"],
    pipelined: ["ok", "ok", "ok"],
    connected: true,
    taken: [3, 3],
  },
  {
    name: "the second MAIL is refused, DATA gets 354 all the same",
    answers: { MAIL: inOrder("250 ok", "550 no", "250 ok") },
    lockStep: ["ok", "SMTPSenderRefused 550 rejected", "ok"],
    pipelined: ["ok", "SMTPSenderRefused 550 rejected", "ok"],
    connected: true,
    taken: [2, 3],
  },
  {
    name: "the second MAIL, RCPT and DATA are refused",
    answers: {
      MAIL: inOrder("250 ok", "550 no", "250 ok"),
      RCPT: inOrder("250 ok", "503 no", "250 ok"),
      DATA: inOrder("354 go", "503 no", "354 go"),
    },
    lockStep: ["ok", "SMTPSenderRefused 550 rejected", "SMTPRecipientsRefused rejected"],
    pipelined: ["ok", "SMTPSenderRefused 550 rejected", "ok"],
    connected: true,
    taken: [1, 2],
  },
  {
    name: "the second RCPT is refused, DATA gets 354 all the same",
    answers: { RCPT: inOrder("250 ok", "550 no", "250 ok") },
    lockStep: ["ok", "SMTPRecipientsRefused rejected", "ok"],
    pipelined: ["ok", "SMTPRecipientsRefused rejected", "ok"],
    connected: true,
    taken: [2, 3],
  },
  {
    name: "the second RCPT is refused, and so is DATA",
    answers: { RCPT: inOrder("250 ok", "550 no", "250 ok"), DATA: inOrder("354 go", "554 no", "354 go") },
    lockStep: ["ok", "SMTPRecipientsRefused rejected", "SMTPDataError 554 rejected"],
    pipelined: ["ok", "SMTPRecipientsRefused rejected", "ok"],
    connected: true,
    taken: [1, 2],
  },
  {
    name: "the second DATA is refused",
    answers: { DATA: inOrder("354 go", "451 later", "354 go") },
    lockStep: ["ok", "SMTPDataError 451 rejected", "ok"],
    pipelined: ["ok", "SMTPDataError 451 rejected", "ok"],
    connected: true,
    taken: [2, 2],
  },
  {
    name: "the second message is refused after its dot",
    answers: { ".": inOrder("250 ok", "554 spam", "250 ok") },
    lockStep: ["ok", "SMTPDataError 554 rejected", "ok"],
    pipelined: ["ok", "SMTPDataError 554 rejected", "ok"],
    connected: true,
    taken: [2, 2],
  },
  {
    name: "421 to the second MAIL",
    answers: { MAIL: inOrder("250 ok", ["421 bye", close]) },
    lockStep: ["ok", "SMTPSenderRefused 421 rejected", "SMTPServerDisconnected not-sent"],
    pipelined: ["ok", "SMTPSenderRefused 421 rejected", "SMTPServerDisconnected not-sent"],
    connected: false,
    taken: [1, 1],
  },
  {
    name: "421 to the second RCPT",
    answers: { RCPT: inOrder("250 ok", ["421 bye", close]) },
    lockStep: ["ok", "SMTPRecipientsRefused rejected", "SMTPServerDisconnected not-sent"],
    pipelined: ["ok", "SMTPRecipientsRefused rejected", "SMTPServerDisconnected not-sent"],
    connected: false,
    taken: [1, 1],
  },
  {
    name: "421 to the second message after its dot",
    answers: { ".": inOrder("250 ok", ["421 bye", close]) },
    lockStep: ["ok", "SMTPDataError 421 rejected", "SMTPServerDisconnected not-sent"],
    pipelined: ["ok", "SMTPDataError 421 rejected", "SMTPServerDisconnected not-sent"],
    connected: false,
    taken: [1, 1],
  },
  {
    name: "the connection dies after the second dot",
    answers: { ".": inOrder("250 ok", reset) },
    lockStep: ["ok", "SMTPServerDisconnected unknown", "SMTPServerDisconnected not-sent"],
    pipelined: ["ok", "SMTPServerDisconnected unknown", "SMTPServerDisconnected not-sent"],
    connected: false,
    taken: [1, 1],
  },
  {
    name: "the connection dies at the second MAIL",
    answers: { MAIL: inOrder("250 ok", close) },
    lockStep: ["ok", "SMTPServerDisconnected not-sent", "SMTPServerDisconnected not-sent"],
    pipelined: ["ok", "SMTPServerDisconnected not-sent", "SMTPServerDisconnected not-sent"],
    connected: false,
    taken: [1, 1],
  },
  {
    name: "the connection dies at the second DATA",
    answers: { DATA: inOrder("354 go", close) },
    lockStep: ["ok", "SMTPServerDisconnected not-sent", "SMTPServerDisconnected not-sent"],
    pipelined: ["ok", "SMTPServerDisconnected not-sent", "SMTPServerDisconnected not-sent"],
    connected: false,
    taken: [1, 1],
  },
];

const middles: Scenario[] = MODES.flatMap(({ name, hello, options, bodyOf }) =>
  MIDDLES.map(
    (middle): Scenario => ({
      name: `three messages at once, ${name}: ${middle.name}`,
      server: server({ EHLO: hello, ...middle.answers }),
      options: options ?? {},
      call: (smtp) => three(smtp, bodyOf),
      gives: hello === LOCK_STEP ? middle.lockStep : middle.pipelined,
      connected: middle.connected,
      taken: middle.taken[hello === LOCK_STEP ? 0 : 1],
      check: (_, { bodies, lines }) => {
        // No message arrives twice, and a message that was refused before its data has no content.
        for (const name of ["one", "two", "three"]) {
          expect(bodies.filter((body) => body === wire(name)).length).toBeLessThanOrEqual(1);
        }
        expect(bodies.every((body) => [".\r\n", ...["one", "two", "three"].map(wire)].includes(body))).toBe(true);
        expect(lines.filter((line) => line.startsWith("EHLO"))).toHaveLength(1);
      },
    }),
  ),
);

const lost: Scenario[] = [
  {
    name: "a command that the server loses does not shift answers to other messages: the session ends in time",
    server: server({ RCPT: inOrder("250 ok", [], "250 ok") }),
    options: { timeouts: { envelope: 0.15, dataInit: 0.15, dataDone: 0.15 } },
    call: (smtp) => three(smtp),
    connected: false,
    check: (_, { taken }, outcome) => {
      const results: unknown[] = "value" in outcome && Array.isArray(outcome.value) ? outcome.value : [];
      expect(results[0]).toBe("ok");
      expect(results.filter((result) => result === "ok")).toHaveLength(taken);
    },
  },
  {
    name: "one answer too many between two messages",
    server: server({ ".": inOrder("250 one\r\n250 stray", "250 two", "250 three") }),
    call: (smtp) => three(smtp),
    connected: false,
    check: (_, { taken, bodies }, outcome) => {
      const results: unknown[] = "value" in outcome && Array.isArray(outcome.value) ? outcome.value : [];
      expect(results[0]).toBe("ok");
      expect(taken).toBe(1);
      expect(bodies[0]).toBe(wire("one"));
      expect(results.slice(1)).not.toContain("ok");
    },
  },
];

const order: Scenario[] = [
  {
    name: "not offered: one command, one reply",
    server: server({ EHLO: LOCK_STEP, MAIL: [delay(0.01), "250 ok"], RCPT: [delay(0.01), "250 ok"] }),
    call: (smtp) => three(smtp),
    gives: ["ok", "ok", "ok"],
    connected: true,
    check: (_, { pipelined }) => expect(pipelined).toEqual([]),
  },
  {
    name: "offered, but switched off: one command, one reply",
    server: server({ EHLO: PIPELINING, MAIL: [delay(0.01), "250 ok"] }),
    options: { pipelining: false },
    call: (smtp) => three(smtp),
    gives: ["ok", "ok", "ok"],
    connected: true,
    check: (_, { pipelined }) => expect(pipelined).toEqual([]),
  },
  {
    name: "offered: the envelope goes in one flight",
    server: server({ EHLO: PIPELINING }),
    call: sendOne,
    gives: {},
    connected: true,
    check: (_, { pipelined }) => expect(pipelined).toEqual(["MAIL", "RCPT"]),
  },
  {
    name: "offered by an earlier EHLO only: one command, one reply",
    server: server({ EHLO: inOrder(PIPELINING, LOCK_STEP) }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.ehlo();
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    check: (_, { pipelined }) => expect(pipelined).toEqual([]),
  },
  {
    name: "offered before a HELO: one command, one reply",
    server: server({ EHLO: inOrder(PIPELINING, "502 no") }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.ehlo();
      await smtp.helo();
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    check: (_, { pipelined }) => expect(pipelined).toEqual([]),
  },
  ...MODES.map(
    ({ name: mode, hello, options = {} }): Scenario => ({
      options,
      name: `a noop and a vrfy between two messages stay out of their transactions, ${mode}`,
      server: server({ EHLO: hello, VRFY: "252 maybe" }),
      call: (smtp) =>
        Promise.all([sendOne(smtp), smtp.noop(), smtp.vrfy("x"), sendOne(smtp), smtp.rset()]).then((all) => all.length),
      gives: 5,
      connected: true,
      lines: [HELLO, /^MAIL/, /^RCPT/, "DATA", "NOOP", "VRFY x", /^MAIL/, /^RCPT/, "DATA", "RSET"],
      bodies: [MESSAGE_ON_WIRE, MESSAGE_ON_WIRE],
    }),
  ),
  {
    name: "calls queue behind one that fails, and go on",
    server: server({ NOOP: inOrder("250 one", "250 two") }),
    call: (smtp) => Promise.all([smtp.noop(), smtp.vrfy("\r\n").catch((error: Error) => error.name), smtp.noop()]),
    gives: [[250, "one"], "RangeError", [250, "two"]],
    connected: true,
    lines: ["NOOP", "NOOP"],
  },
  {
    name: "a hundred calls at once are answered in order",
    server: server({ NOOP: inOrder(...Array.from({ length: 100 }, (_, i) => `250 ${i}`)) }),
    call: async (smtp) => {
      const replies = await Promise.all(Array.from({ length: 100 }, () => smtp.noop()));
      return replies.every(([, text], i) => text === String(i));
    },
    gives: true,
    connected: true,
  },
  {
    name: "replies of a pipelined envelope that come octet by octet",
    server: server({ EHLO: PIPELINING, MAIL: drip("250 ok\r\n"), RCPT: drip("250 ok\r\n"), DATA: drip("354 go\r\n") }),
    call: (smtp) => three(smtp),
    gives: ["ok", "ok", "ok"],
    connected: true,
    taken: 3,
  },
  {
    name: "replies of a pipelined envelope that come all at once, cut oddly",
    server: [
      "220 hi",
      { does: "expect", line: "EHLO" },
      PIPELINING,
      { does: "expect", line: "MAIL" },
      { does: "expect", line: "RCPT" },
      { does: "expect", line: "DATA" },
      pieces("250 mail\r\n250-rcpt\r\n250 rcpt\r\n354 go", 3, 9, 10, 14, 30),
      { does: "body" },
      "250 queued",
      stall,
    ],
    gives: {},
    connected: true,
  },
  {
    name: "2,000 recipients with long replies",
    server: server({ EHLO: PIPELINING, RCPT: `250 2.1.5 ${"x".repeat(480)}` }),
    call: (smtp) =>
      smtp.sendmail(
        "a@client.test",
        Array.from({ length: 2000 }, (_, i) => `recipient${i}@lab.test`),
        "x\r\n",
      ),
    gives: {},
    connected: true,
    taken: 1,
    within: 10,
  },
];

const resets: Scenario[] = [
  ...MODES.map(
    ({ name, hello, options, bodyOf = (text) => text }): Scenario => ({
      name: `DATA refused, ${name}: the transaction is reset before the call rejects`,
      server: server({ EHLO: hello, DATA: "554 no" }),
      options: options ?? {},
      call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", bodyOf("x\r\n")).catch((error: Error) => error.name),
      gives: "SMTPDataError",
      connected: true,
      lines: [HELLO, /^MAIL/, /^RCPT/, "DATA", "RSET"],
    }),
  ),
  {
    name: "the caller's own RSET is refused: his open transaction is not forgotten",
    server: server({ EHLO: LOCK_STEP, RSET: inOrder("550 no", "250 ok") }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.mail("old@client.test");
      await smtp.rcpt("old@lab.test");
      await smtp.rset();
      return sendOne(smtp).catch((error: Error) => error.name);
    },
    connected: true,
    lines: [HELLO, /^MAIL/, /^RCPT TO:<old/, "RSET", "RSET", /^MAIL/, /^RCPT TO:<b@/, "DATA"],
  },
  {
    name: "the caller's own EHLO in an open transaction is refused: it is not forgotten",
    server: server({ EHLO: inOrder(LOCK_STEP, "550 no") }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.mail("old@client.test");
      await smtp.rcpt("old@lab.test");
      await smtp.ehlo();
      await smtp.helo();
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
  },
  {
    name: "DATA refused in a transaction of the caller's own: RSET goes before the next message",
    server: server({ EHLO: LOCK_STEP, DATA: inOrder("554 no", "354 go") }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.mail("old@client.test");
      await smtp.rcpt("old@lab.test");
      await smtp.data("x").catch(() => {});
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    lines: [HELLO, /^MAIL/, /^RCPT TO:<old/, "DATA", "RSET", /^MAIL/, /^RCPT TO:<b@/, "DATA"],
  },
  {
    name: "MAIL by docmd opens a transaction as well",
    server: server({ EHLO: LOCK_STEP }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.docmd("mail", "FROM:<old@client.test>");
      await smtp.docmd("rcpt", "TO:<old@lab.test>");
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    lines: [HELLO, /^mail/i, /^rcpt/i, "RSET", /^MAIL/, /^RCPT TO:<b@/, "DATA"],
  },
  {
    name: "DATA by docmd: the session is in the message, and no command of another call becomes a part of it",
    server: server({ EHLO: LOCK_STEP }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.mail("old@client.test");
      await smtp.rcpt("old@lab.test");
      await smtp.docmd("DATA");
      return sendOne(smtp);
    },
    throws: { type: SMTPException, delivery: "not-sent" },
    connected: true,
    check: (_, { text }) => expect(text.slice(text.indexOf("DATA"))).toBe("DATA\r\n"),
  },
  {
    name: "RSET goes before the next MAIL after a transaction that failed, lock-step",
    server: server({ EHLO: LOCK_STEP, RCPT: inOrder("550 no", "250 ok") }),
    call: async (smtp) => {
      await sendOne(smtp).catch(() => {});
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    lines: [HELLO, /^MAIL/, /^RCPT/, "RSET", /^MAIL/, /^RCPT/, "DATA"],
  },
  {
    name: "RSET goes before sendmail's MAIL when the caller left a transaction open",
    server: server({ EHLO: LOCK_STEP }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.mail("old@client.test");
      await smtp.rcpt("old@lab.test");
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    lines: [HELLO, "MAIL FROM:<old@client.test>", "RCPT TO:<old@lab.test>", "RSET", /^MAIL/, /^RCPT/, "DATA"],
  },
  {
    name: "an open transaction whose RSET is refused: the session is dropped, and no message goes to the old recipient",
    server: server({ EHLO: LOCK_STEP, RSET: "500 what" }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.mail("old@client.test");
      await smtp.rcpt("old@lab.test");
      return sendOne(smtp);
    },
    throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
    connected: false,
    taken: 0,
  },
  {
    name: "354 although all recipients were refused: an empty message, and never a success",
    server: server({ EHLO: PIPELINING, RCPT: "550 no" }),
    throws: { type: SMTPRecipientsRefused, delivery: "rejected", temporary: false },
    connected: true,
    bodies: [".\r\n"],
  },
  {
    name: "354 although MAIL was refused: an empty message, and never a success",
    server: server({ EHLO: PIPELINING, MAIL: "550 no", RCPT: "503 no" }),
    throws: { type: SMTPSenderRefused, smtp_code: 550, delivery: "rejected" },
    connected: true,
    bodies: [".\r\n"],
  },
  {
    name: "354 although all recipients were refused, and the server goes away then",
    server: server({ EHLO: PIPELINING, RCPT: "550 no", ".": close }),
    throws: { type: SMTPRecipientsRefused, delivery: "rejected" },
    connected: false,
  },
  {
    name: "354 although all recipients were refused, and the server says nothing then",
    server: server({ EHLO: PIPELINING, RCPT: "550 no", ".": stall }),
    options: { timeouts: { dataDone: 0.1 } },
    throws: { type: SMTPRecipientsRefused, delivery: "rejected" },
    connected: false,
  },
];

const closes: Scenario[] = MODES.flatMap(({ name: mode, hello, options = {} }) =>
  (
    [
      ["MAIL", "not-sent"],
      ["RCPT", "not-sent"],
      ["DATA", "not-sent"],
      [".", "unknown"],
    ] as const
  ).map(([verb, delivery]): Scenario => {
    let end: () => void = () => {};
    return {
      options,
      name: `close() while the answer to ${verb} is awaited ends every call, ${mode}`,
      server: server({ EHLO: hello, [verb]: [callback(() => end()), stall] }),
      call: async (smtp) => {
        end = () => smtp.close();
        const last = smtp.noop().catch((error: Error) => error.name);
        await last;
        const all = await three(smtp);
        smtp.close();
        return [...all, await smtp.noop().catch((error: Error) => error.name)];
      },
      gives: [
        `SMTPServerDisconnected ${delivery}`,
        "SMTPServerDisconnected not-sent",
        "SMTPServerDisconnected not-sent",
        "SMTPServerDisconnected",
      ],
      connected: false,
      taken: 0,
      within: 0.5,
    };
  }),
);

scenarios("pipelining: three at once", middles, ["loopback", "memory"]);
scenarios("pipelining: out of step", lost);
scenarios("pipelining: order", order);
scenarios("pipelining: RSET", resets, ["loopback", "memory"]);
scenarios("pipelining: close()", closes);
