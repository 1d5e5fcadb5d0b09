/**
 * The content of a body stays content: none of its text becomes a second message or a command (SECURITY.md, rule 2).
 */
import { expect } from "vitest";
import { type Body, SMTPDataError, SMTPException, SMTPNotSupportedError } from "../../src/index.ts";
import { ehlo, inOrder, server } from "../support/scripted-server.ts";
import { ENVELOPE, HELLO, MESSAGE, type Scenario, scenarios } from "./scenario.ts";

const EVIL = "MAIL FROM:<evil@evil.test>\r\nRCPT TO:<c@lab.test>\r\nDATA\r\nevil";

const ENDS = ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\n.\r", "\r.\n", "\r\n.\r\n"];

function chunksOf(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
}

const FORMS: readonly [name: string, make: (text: string) => Body][] = [
  ["a string", (text) => text],
  ["octets", (text) => new TextEncoder().encode(text)],
  ["a chunk a character", (text) => chunksOf(text, 1)],
  ["chunks of three", (text) => chunksOf(text, 3)],
  ["a Blob", (text) => new Blob([text])],
];

const smuggled: Scenario[] = ENDS.flatMap((end) =>
  FORMS.map(
    ([form, make]): Scenario => ({
      name: `${JSON.stringify(end)} is no end of a message in ${form}`,
      server: server(),
      call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", make(`x${end}${EVIL}`)),
      gives: {},
      connected: true,
      taken: 1,
      bodies: [`x\r\n..\r\n${EVIL}\r\n.\r\n`],
      lines: [HELLO, /^MAIL FROM:<a@client\.test>/, "RCPT TO:<b@lab.test>", "DATA"],
    }),
  ),
);

/** Chunks, and their form on the wire without the final dot. */
const BODIES: readonly [name: string, chunks: readonly string[], wire: string][] = [
  ["the empty body", [""], ""],
  ["no chunk at all", [], ""],
  ["only empty chunks", ["", "", ""], ""],
  ["a dot alone", ["."], "..\r\n"],
  ["a dot a chunk", [".", "."], "...\r\n"],
  ["no line end at the end", ["a"], "a\r\n"],
  ["a CR at the end", ["a\r"], "a\r\n"],
  ["an LF at the end", ["a\n"], "a\r\n"],
  ["a CR LF at the end", ["a\r\n"], "a\r\n"],
  ["a CR LF cut in two", ["a\r", "\n"], "a\r\n"],
  ["a CR LF cut in two with nothing between", ["a\r", "", "\n", ""], "a\r\n"],
  ["a dot behind a cut CR LF", ["a\r", "\n.", "\r\n"], "a\r\n..\r\n"],
  ["a dot behind a CR at a border", ["a\r", ".b"], "a\r\n..b\r\n"],
  ["CR CR LF", ["a\r\r\nb"], "a\r\n\r\nb\r\n"],
  ["LF CR", ["a\n\rb"], "a\r\n\r\nb\r\n"],
  ["LF CR LF", ["a\n\r\nb"], "a\r\n\r\nb\r\n"],
  ["CR CR CR", ["\r\r", "\r"], "\r\n\r\n\r\n"],
  ["NUL", ["a\0b"], "a\0b\r\n"],
  ["VT and FF", ["a\v.\f.b"], "a\v.\f.b\r\n"],
  ["a line of 10,000 octets", ["x".repeat(10_000)], `${"x".repeat(10_000)}\r\n`],
];

const bodies: Scenario[] = BODIES.map(([name, chunks, wire]) => ({
  name: `${name} goes out in lines that end in CR LF`,
  server: server(),
  call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", chunks),
  gives: {},
  connected: true,
  bodies: [`${wire}.\r\n`],
}));

const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

const rest: Scenario[] = [
  {
    name: "U+2028, U+2029 and U+0085 are no line ends",
    server: server(),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", "a\u2028.\u2029.\u0085.\r\n"),
    gives: {},
    connected: true,
    bodies: [`${latin1("a\u2028.\u2029.\u0085.")}\r\n.\r\n`],
  },
  {
    name: "U+0D0A and U+2E0D are no line ends",
    server: server(),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", "a\u0d0a\u2e0d\u0a2e\r\n"),
    gives: {},
    connected: true,
    bodies: [`${latin1("a\u0d0a\u2e0d\u0a2e")}\r\n.\r\n`],
  },
  {
    name: "a surrogate pair that two chunks share",
    server: server(),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", ["\ud83d", "\ude00\r\n"]),
    gives: {},
    connected: true,
    bodies: [`${latin1("\u{1f600}")}\r\n.\r\n`],
  },
  {
    name: "data() normalises in the same way",
    server: server(),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.mail("a@client.test");
      await smtp.rcpt("b@lab.test");
      return smtp.data(`x\n.\n${EVIL}`);
    },
    connected: true,
    bodies: [`x\r\n..\r\n${EVIL}\r\n.\r\n`],
  },
  ...[220, 250, 350, 334, 355, 450, 550].map(
    (code): Scenario => ({
      name: `nothing of the body goes out when DATA is answered with ${code}`,
      server: server({ EHLO: ehlo("8BITMIME"), DATA: `${code} and what now` }),
      throws: { type: SMTPDataError, smtp_code: code, delivery: "rejected", temporary: code === 450 },
      connected: true,
      lines: [HELLO, ...ENVELOPE, "RSET"],
      bodies: [],
      taken: 0,
    }),
  ),
  {
    name: "data() sends nothing when DATA is answered with 250",
    server: server({ DATA: "250 ok" }),
    call: (smtp) => smtp.data(MESSAGE),
    throws: { type: SMTPDataError, smtp_code: 250 },
    connected: true,
    lines: ["DATA"],
  },
  ...FORMS.slice(0, 2).map(
    ([form, make]): Scenario => ({
      name: `8-bit ${form} without 8BITMIME is refused before MAIL`,
      server: server({ EHLO: ehlo("PIPELINING") }),
      call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", make("gr\u00fc\u00dfe\r\n")),
      throws: {
        type: SMTPNotSupportedError,
        delivery: "not-sent",
        temporary: false,
        fields: { capability: "8BITMIME" },
        message: /base64|quoted-printable/,
      },
      connected: true,
      lines: [HELLO],
    }),
  ),
  {
    name: "an 8-bit stream without 8BITMIME stops at the first such octet, and the message is never ended",
    server: server({ EHLO: ehlo("PIPELINING") }),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", ["plain\r\n", "gr\u00fc\u00dfe\r\n", "more\r\n"]),
    throws: { type: SMTPNotSupportedError, delivery: "not-sent" },
    connected: false,
    bodies: [],
    taken: 0,
    check: (_, { text }) => expect(text).not.toMatch(/[\x80-\xff]|more|\r\n\.\r\n/),
  },
  {
    name: "8 bits by data() without 8BITMIME are refused before DATA",
    server: server({ EHLO: ehlo("PIPELINING") }),
    call: async (smtp) => {
      await smtp.ehlo();
      return smtp.data("gr\u00fc\u00dfe\r\n");
    },
    throws: { type: SMTPNotSupportedError, delivery: "not-sent", fields: { capability: "8BITMIME" } },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "an 8-bit stream by data() without 8BITMIME stops as well",
    server: server({ EHLO: ehlo("PIPELINING") }),
    call: async (smtp) => {
      await smtp.ehlo();
      return smtp.data(["plain\r\n", "gr\u00fc\u00dfe\r\n"]);
    },
    throws: { type: SMTPNotSupportedError, delivery: "not-sent" },
    connected: false,
    bodies: [],
  },
  {
    name: "8 bits after HELO are refused before MAIL",
    server: server({ EHLO: "502 no" }),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", "gr\u00fc\u00dfe\r\n"),
    throws: { type: SMTPNotSupportedError, delivery: "not-sent" },
    connected: true,
    lines: [HELLO, /^HELO/],
  },
  {
    name: '8 bits go out as in Python with eightBit "send"',
    server: server({ EHLO: ehlo("PIPELINING") }),
    options: { eightBit: "send" },
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", "gr\u00fc\u00dfe\r\n"),
    permits: /RFC 5321 2.4/,
    gives: {},
    connected: true,
    lines: [HELLO, ...ENVELOPE],
    bodies: [`${latin1("gr\u00fc\u00dfe")}\r\n.\r\n`],
  },
  {
    name: "8 bits to a server with 8BITMIME are declared",
    server: server({ EHLO: ehlo("8BITMIME") }),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", "gr\u00fc\u00dfe\r\n"),
    gives: {},
    connected: true,
    lines: [HELLO, "MAIL FROM:<a@client.test> BODY=8BITMIME", "RCPT TO:<b@lab.test>", "DATA"],
  },
  ...["\r\n\0.\r\n", "\n\0\0.x", "\r\0.\r\n"].flatMap((text) =>
    [text, new TextEncoder().encode(text), new TextEncoder().encode(`x\r\n${"y".repeat(100_000)}${text}`)].map(
      (body): Scenario => ({
        name: `${JSON.stringify(text)} in ${typeof body === "string" ? "a string" : `${body.length} octets`}, which is an end to servers that drop NUL, is refused before MAIL`,
        server: server(),
        call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", body),
        throws: { type: RangeError, message: /message.*NUL/ },
        connected: true,
        lines: [HELLO],
      }),
    ),
  ),
  ...[["\0.\r\n"], ["x\r\n", "\0.\r\n"], ["x\r\n\0", ".\r\n"], ["x\n", "\0", "\0", ".\n"], ["x\r", "\0.\n"]].map(
    (chunks): Scenario => ({
      name: `${JSON.stringify(chunks)}, a stream, stops at NUL and dot, and the message is never ended`,
      server: server(),
      call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", chunks),
      throws: { type: SMTPException, delivery: "not-sent", temporary: false, message: /NUL/ },
      connected: false,
      bodies: [],
      taken: 0,
    }),
  ),
  {
    name: "NUL and a dot at the start of a line are refused by data(), too",
    server: server(),
    call: async (smtp) => {
      await smtp.ehlo();
      return smtp.data("x\r\n\0.\r\n");
    },
    throws: { type: RangeError, message: /NUL/ },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "NUL elsewhere goes out as it is",
    server: server(),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", ["\0\r\nx\0.\r\n\0", "x.\0", "\r\n"]),
    gives: {},
    connected: true,
    bodies: ["\0\r\nx\0.\r\n\0x.\0\r\n.\r\n"],
  },
  {
    name: "a message over the server's SIZE is refused before MAIL",
    server: server({ EHLO: ehlo("SIZE 10") }),
    throws: { type: SMTPNotSupportedError, delivery: "not-sent", temporary: false, fields: { capability: "SIZE" } },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "the second message of a session begins at a line start again",
    server: server({ ".": inOrder("250 one", "250 two") }),
    call: async (smtp) => {
      await smtp.sendmail("a@client.test", "b@lab.test", "one without end");
      await smtp.sendmail("a@client.test", "b@lab.test", ".two\r");
      return smtp.sendmail("a@client.test", "b@lab.test", "\n.three");
    },
    gives: {},
    connected: true,
    bodies: ["one without end\r\n.\r\n", "..two\r\n.\r\n", "\r\n..three\r\n.\r\n"],
  },
];

scenarios("smuggling: ends", smuggled);
scenarios("smuggling: bodies", bodies);
scenarios("smuggling", rest);
