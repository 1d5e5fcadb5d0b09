/** The sender and the recipients from a message's header, and the message without Bcc (RFC 5322). */

import { Message } from "emailjs";
import fc from "fast-check";
import { createMimeMessage } from "mimetext";
import MailComposer from "nodemailer/lib/mail-composer";
import { describe, expect, it } from "vitest";
import { parseMailbox } from "../../src/core/address.ts";
import { utf8 } from "../../src/core/bytes.ts";
import { readMessage } from "../../src/core/headers.ts";
import { expectLinear } from "../support/linear.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const read = (text: string) => readMessage(utf8(text));
const outgoing = (text: string) => decoder.decode(read(text).message);
const recipients = (field: string) => read(`${field}\r\n\r\n`).recipients();
const lines = (...all: string[]) => all.map((line) => `${line}\r\n`).join("");

describe("the addresses of a field", () => {
  it.each([
    ["John", ["John"]],
    ["Sally, Fred", ["Sally", "Fred"]],
    ['John Root <root@localhost>, "Dinsdale" <warped@silly.walks.com>', ["root@localhost", "warped@silly.walks.com"]],
    ["Martha <my_mom@great.cooker.com>, Jeff", ["my_mom@great.cooker.com", "Jeff"]],
    ["a@b", ["a@b"]],
    ["a@b,c@d", ["a@b", "c@d"]],
    ["a@b, a@b", ["a@b", "a@b"]],
    ["", []],
    ["  ", []],
    [", ,", []],
    ["a@b, , c@d,", ["a@b", "c@d"]],
    ["(nobody)", []],
    ["Undisclosed recipients:;", []],
    ["g: (a@b) ;", []],
    ["g:a@b,N <c@d>;", ["a@b", "c@d"]],
    ["x@y, g: a@b ;, h: c@d;, z@z", ["x@y", "a@b", "c@d", "z@z"]],
    ['"g:,;": a@b;', ["a@b"]],
    ['"evil@x, victim@y" <a@b>', ["a@b"]],
    ['"x" <victim@y>" <a@b>', null],
    ["(evil@x, <victim@y>) a@b", ["a@b"]],
    ["a@b (x \\) , evil@x)", ["a@b"]],
    ["=?utf-8?Q?J=C3=B6rg=2C_evil=40x?= <a@b>", ["a@b"]],
    ["=?utf-8?Q?J,=C3=B6rg?= <a@b>", ["a@b"]],
    ["=?utf-8?Q?evil@x?= <a@b>", ["a@b"]],
    ['=?utf-8?Q?:)?= =?utf-8?q?_(;\\<x@y>"[?= <a@b>, c@d', ["a@b", "c@d"]],
    ["=?utf-8*en?Q?Ada:?= (x) <a@b>", ["a@b"]],
    ["=?utf-8?Q?G:?= : a@b;", ["a@b"]],
    ["=?utf-8?Q?a,b?=", null],
    ["=?utf-8?Q?a,b?=@c", null],
    ["<=?utf-8?Q?a,b?=>", null],
    ["=?utf-8?Q? ,x?= <a@b>", null],
    ["x.=?utf-8?Q?a?=@b", null],
    ["a@=?utf-8?q?b=C3=BCcher?=.example", null],
    ["<a@x.=?utf-8?q?b?=>", null],
    ["Mary <mary>, Charles Babbage <charles>", ["mary", "charles"]],
    ["Mary <mary>, Charles Babbage <charles@b>", ["mary", "charles@b"]],
    ["<mary>, Charles <charles>, x", ["mary", "charles", "x"]],
    ["Staff: root;, x@y", ["root", "x@y"]],
    ["Staff: root;, X <x@y>", ["root", "x@y"]],
    ["Staff: Mary <mary>, root;, X <x@y>, g:;", ["mary", "root", "x@y"]],
    ["Babbage, Charles <charles>", null],
    ["Mary <mary>, Babbage, Charles <charles@b>", null],
    ["Babbage, , Charles <charles@b>", null],
    ["Babbage (x), Charles <charles@b>", null],
    ["g: Babbage, Charles <c@x>;", null],
    ["Smith, John: a@b;", null],
    ["a@b <a@b>", ["a@b"]],
    ["A@B.example <a@b.example>, c@d <c@d>", ["a@b.example", "c@d"]],
    ["'a@b' <a@b>", ["a@b"]],
    ["Ada a@b <a@b>", ["a@b"]],
    ["a@b (x) a@b <a@b>", ["a@b"]],
    ['"q r"@b <"q r"@b>', ['"q r"@b']],
    ["a@[127.0.0.1] <a@[127.0.0.1]>", ["a@[127.0.0.1]"]],
    ["a @ b <a@b>", ["a@b"]],
    ["g: a@b <a@b>;", ["a@b"]],
    ["a@b c@d <a@b>", null],
    ["a@b <>", null],
    ["a@b <b@a>", null],
    ["a@b, c@d <a@b>", null],
    ["Undisclosed recipients:", []],
    ["g: a@b", null],
    ["=?utf-8?Q?a=40b?=", null],
    ["=?utf-8?Q?a?=@b", null],
    ["Jörg Müller <a@b>", ["a@b"]],
    ["jörg@bücher.example", ["jörg@bücher.example"]],
    ['"q r"@b', ['"q r"@b']],
    ['"a@evil x"@good', ['"a@evil x"@good']],
    ['"a\\"b"@c', ['"a\\"b"@c']],
    ["a@[127.0.0.1], b@[IPv6:::1]", ["a@[127.0.0.1]", "b@[IPv6:::1]"]],
    ["jdoe @ test . example", ["jdoe@test.example"]],
    ["<@node.test , @x : a@b>", ["a@b"]],
    ["\ta@b\t", ["a@b"]],
    ["Smith, John <a@b>", null],
    ["van der Smith, John <a@b>", null],
    ["John Smith", null],
    ['"John Smith"', null],
    ["a@b c@d", null],
    ["a@b <c@d>", null],
    ["<a@b> <c@d>", null],
    ["<a@b> x", null],
    ["a@b; c@d", null],
    ["mailto:a@b", null],
    ["g: h: a@b;;", null],
    ["g: a@b; c@d", null],
    [": a@b;", null],
    ["g: a@b, <c@d;", null],
    ["<>", []],
    ["N <>, a@b", ["a@b"]],
    ['"Undisclosed recipients" <>', []],
    ["<a@b", null],
    ["a@b>", null],
    ["(a@b", null],
    ['"a@b', null],
    ["a@b\\", null],
    ["a@b@c", null],
    ["a@\0b", null],
    ["a\x07@b", null],
    ['"a\tb"@c', null],
  ])("To: %j", (text, expected) => {
    if (expected === null) {
      expect(() => recipients(`To: ${text}`)).toThrow(RangeError);
      expect(() => recipients(`To: ${text}`)).toThrow(/header field to/);
    } else {
      expect(recipients(`To: ${text}`)).toEqual(expected);
    }
  });

  it("are not read while nobody asks, so that explicit addresses need no readable header", () => {
    const message = read(lines("From: a@b", "To: John Smith", ""));
    expect(message.sender()).toBe("a@b");
    expect(() => message.recipients()).toThrow(/header field to/);
  });

  it("are refused when their octets are not UTF-8, while a name may be in any charset", () => {
    const latin1 = Uint8Array.from("To: \xfc <a@b>, J\xfc <c@d>\n\n", (c) => c.charCodeAt(0));
    expect(readMessage(latin1).recipients()).toEqual(["a@b", "c@d"]);
    const broken = Uint8Array.from("To: \xfc@b\n\n", (c) => c.charCodeAt(0));
    expect(() => readMessage(broken).recipients()).toThrow(RangeError);
  });

  it("can all be given to parseMailbox", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab@.<>,:;()[]"\\ \t\r\nü', "a@b, ", "<c@d>") }), (text) => {
        let found: string[];
        try {
          found = recipients(`To: ${text}`);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        for (const address of found) expect(parseMailbox(address, "x").path).toBe(address);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("the sender", () => {
  it.each([
    ["From: a@b", "a@b"],
    ["From: Bernard, Bianca\r\nSender: the_rescuers@Rescue-Aid-Society.com", "the_rescuers@Rescue-Aid-Society.com"],
    ["From: John Smith\r\nSender: a@b", "a@b"],
    ["From: A <a@b>, C <c@d>", "a@b"],
    ["From: a@b\r\nFrom: c@d", "a@b"],
    ["From: a@b\r\nSender:", "a@b"],
    ["From: g:;, a@b", "a@b"],
    ["FROM : a@b", "a@b"],
    ["From:\r\n a@b", "a@b"],
    ["From: <>", ""],
    ["From: Mailer <>", undefined],
    ['From: "Mailer" <>\r\nSender: Mailer <>', undefined],
    ["Sender: Mailer <>\r\nFrom: a@b", "a@b"],
    ["Resent-Date: x\r\nResent-From: Mailer <>", undefined],
    ["From:", undefined],
    ["To: a@b", undefined],
    ["", undefined],
    ["Resent-From: a@b", undefined],
    ["Resent-Date: x\r\nFrom: a@b", undefined],
    ["Resent-Date: x\r\nFrom: a@b\r\nSender: c@d\r\nResent-From: e@f", "e@f"],
    ["Resent-Date: x\r\nResent-From: e@f\r\nResent-Sender: g@h", "g@h"],
    ["From x@y Thu\r\nFrom: a@b", "a@b"],
    ["Return-Path: <r@s>\r\nFrom x@y Thu\r\nFrom: a@b", "a@b"],
    ["Return-Path: <r@s>\r\n>From x@y Thu\r\n: x\r\nFrom: a@b", "a@b"],
    ["Páolo: x", undefined],
  ])("of %j is %j", (header, expected) => {
    expect(read(`${header}\r\n\r\n`).sender()).toBe(expected);
  });

  it.each([
    "From: John Smith",
    "From: a@b c@d",
    "Sender: a@b c@d\r\nFrom: a@b",
    "From: a@b <c@d>",
    "Sender: x, Y <a@b>",
  ])("of %j is not guessed", (header) => {
    expect(() => read(`${header}\r\n\r\n`).sender()).toThrow(/header field (from|sender)/);
  });
});

describe("the recipients", () => {
  it("are those of all To, then Bcc, then Cc fields, duplicates kept", () => {
    const header = lines("Cc: c@x, d@x", "Bcc: b@x", "To: a@x", "TO: a@x, e@x", "Bcc:", "bcc : f@x", "CC: c@x");
    expect(read(header).recipients()).toEqual(["a@x", "a@x", "e@x", "b@x", "f@x", "c@x", "d@x", "c@x"]);
  });

  it("are those of the Resent- block if there is a Resent-Date", () => {
    const header = lines(
      "To: a@x",
      "Bcc: b@x",
      "Resent-To: c@x",
      "Resent-Cc: d@x",
      "Resent-Bcc: e@x",
      "Resent-To: f@x",
    );
    expect(read(header).recipients()).toEqual(["a@x", "b@x"]);
    expect(read(`resent-date: x\r\n${header}`).recipients()).toEqual(["c@x", "f@x", "e@x", "d@x"]);
    expect(outgoing(header)).not.toMatch(/bcc/i);
    expect(outgoing(`Resent-Date: x\r\n${header}`)).not.toMatch(/bcc/i);
  });

  it("cannot be told if there is more than one Resent- block", () => {
    const header = lines("Resent-Date: x", "Resent-To: a@x", "Resent-Date: y", "Resent-To: b@x");
    expect(() => read(header)).toThrow(new RangeError("message has more than one 'Resent-' header block"));
  });

  it("are none if no field names any", () => {
    expect(read("Subject: x\n\nTo: a@b").recipients()).toEqual([]);
    expect(read("").recipients()).toEqual([]);
  });
});

describe("the examples of RFC 5322 appendix A", () => {
  it.each([
    [
      "A.1.1",
      [
        "From: John Doe <jdoe@machine.example>",
        "Sender: Michael Jones <mjones@machine.example>",
        "To: Mary Smith <mary@example.net>",
      ],
      "mjones@machine.example",
      ["mary@example.net"],
    ],
    [
      "A.1.2",
      [
        'From: "Joe Q. Public" <john.q.public@example.com>',
        "To: Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
        'Cc: <boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
      ],
      "john.q.public@example.com",
      ["mary@x.test", "jdoe@example.org", "one@y.test", "boss@nil.test", "sysservices@example.net"],
    ],
    [
      "A.1.3",
      [
        "From: Pete <pete@silly.example>",
        "To: A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
        "Cc: Undisclosed recipients:;",
      ],
      "pete@silly.example",
      ["c@a.test", "joe@where.test", "jdoe@one.test"],
    ],
    [
      "A.3",
      [
        "Resent-From: Mary Smith <mary@example.net>",
        "Resent-To: Jane Brown <j-brown@other.example>",
        "Resent-Date: Mon, 24 Nov 1997 14:22:01 -0800",
        "From: John Doe <jdoe@machine.example>",
        "To: Mary Smith <mary@example.net>",
      ],
      "mary@example.net",
      ["j-brown@other.example"],
    ],
    [
      "A.5",
      [
        "From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
        "To:A Group(Some people)",
        "     :Chris Jones <c@(Chris's host.)public.example>,",
        "         joe@example.org,",
        "  John <jdoe@one.test> (my dear friend); (the end of the group)",
        "Cc:(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
      ],
      "pete@silly.test",
      ["c@public.example", "joe@example.org", "jdoe@one.test"],
    ],
    [
      "A.6.1",
      [
        "From: Joe Q. Public <john.q.public@example.com>",
        "To: Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
      ],
      "john.q.public@example.com",
      ["mary@example.net", "jdoe@test.example"],
    ],
    [
      "A.6.3",
      [
        "From  : John Doe <jdoe@machine(comment).  example>",
        "To    : Mary Smith",
        "  ",
        "          <mary@example.net>",
      ],
      "jdoe@machine.example",
      ["mary@example.net"],
    ],
  ])("%s", (_section, header, sender, to) => {
    const message = read(lines(...header, "", "body"));
    expect(message.sender()).toBe(sender);
    expect(message.recipients()).toEqual(to);
  });
});

describe("the message goes out", () => {
  it.each([
    ["CRLF", "\r\n"],
    ["LF", "\n"],
    ["CR", "\r"],
  ])("without Bcc fields, all else untouched, with %s line ends", (_name, end) => {
    const header = [
      "From: a@b",
      "Bcc: x@y,",
      " z@z",
      "Subject: Bcc: no",
      "\tBcc: folded",
      "bCC : q",
      "Resent-BCC:r",
      "Bccx: 1",
      "X-Bcc: 2",
    ];
    const body = ["", "Bcc: body", "", "Content-Type: message/rfc822", "", "Bcc: attached", ".", ""];
    const kept = [header[0], ...header.slice(3, 5), ...header.slice(7), ...body];
    expect(outgoing([...header, ...body].join(end))).toBe(kept.join(end));
  });

  it.each([
    ["Bcc: a", ""],
    ["Bcc: a\r\n", ""],
    ["Bcc: a\r\n\r\n", "\r\n"],
    ["From: a\r\nBcc: b", "From: a\r\n"],
    ["From: a\r\nBcc: b\r\n c\r\n\td", "From: a\r\n"],
    ["Bcc:\r\n b\r\nFrom: a\r\n\r\n", "From: a\r\n\r\n"],
    ["Bcc: b\r\n \r\n c\r\nTo: a\r\n\r\n", "To: a\r\n\r\n"],
    ["Bcc \t : b\r\nTo: a\r\n\r\n", "To: a\r\n\r\n"],
    ["To: a\r\nno field\r\nCc: b\r\n", "To: a\r\nno field\r\nCc: b\r\n"],
    ["To: a\r\nno field\r\n\r\nBcc: b\r\n", "To: a\r\nno field\r\n\r\nBcc: b\r\n"],
    ["\r\nBcc: b\r\n", "\r\nBcc: b\r\n"],
    ["To: a\r\r\nBcc: b", "To: a\r\r\nBcc: b"],
    ["To: a\n\rBcc: b", "To: a\n\rBcc: b"],
    ["To: a\u2028Bcc: b\u0085Bcc: c\vBcc: d\n\n", "To: a\u2028Bcc: b\u0085Bcc: c\vBcc: d\n\n"],
    [" indented\r\nBcc: b\r\nTo: a\r\n\r\n", " indented\r\nTo: a\r\n\r\n"],
    ["From a@b Thu Jan  1 00:00:00 1970\nFrom: c@d\nBcc: b\n\nFrom here", "From: c@d\n\nFrom here"],
    ["From: c@d\nFrom a@b Thu\nBcc: b\n", "From: c@d\nFrom a@b Thu\n"],
    ["From: c@d\n>From a@b Thu\nBcc: b\n", "From: c@d\n>From a@b Thu\n"],
    ["From: c@d\n: no name\n folded\nBcc: b\n\n", "From: c@d\n: no name\n folded\n\n"],
    [": no name\nBcc: b\n\n", ": no name\n\n"],
    ["From a@b Thu\n folded\nFrom a@b Thu\nBcc: b\n\n", "From a@b Thu\n\n"],
    ["To: a\rBcc: b\n\nbody", "To: a\r\n\nbody"],
    ["To: a\rBcc: b\r\nBcc: c\n\nbody", "To: a\r\n\nbody"],
    ["", ""],
  ])("%j as %j", (text, expected) => {
    expect(outgoing(text)).toBe(expected);
  });

  it("as the same array if nothing had to go, and the caller's array is never changed", () => {
    const plain = utf8("From: a@b\r\n\r\nBcc: x");
    expect(readMessage(plain).message).toBe(plain);
    const withBcc = utf8("From: a@b\r\nBcc: x\r\n\r\n");
    const before = withBcc.slice();
    expect(readMessage(withBcc).message).not.toBe(withBcc);
    expect(withBcc).toEqual(before);
  });

  it("with every other octet where it was, whatever the message", () => {
    const end = fc.constantFrom("\r\n", "\n", "\r");
    const folded = fc.array(fc.tuple(end, fc.constantFrom(" ", "\t"), fc.constantFrom("", "a@b", "Bcc: x", "ü")), {
      maxLength: 2,
    });
    const name = fc.constantFrom("Bcc", "BCC", "bcc ", "Resent-Bcc", "To", "Subject", "X-Bcc", "Bccc", "Received");
    const field = fc.tuple(name, fc.constantFrom(":", ": a@b", ": Bcc: x", ": ü"), folded, end);
    const body = fc.string({ unit: fc.constantFrom("\r", "\n", "Bcc: x", "a", "ü", "\0") });
    fc.assert(
      fc.property(fc.array(field), body, (fields, text) => {
        const written = fields.map(([label, rest, more, last]) => ({
          label,
          text: label + rest + more.flat().join("") + last,
        }));
        const kept = written.filter(({ label }) => !/^(resent-)?bcc ?$/i.test(label));
        const whole = `${written.map((one) => one.text).join("")}\r\n${text}`;
        expect(outgoing(whole)).toBe(`${kept.map((one) => one.text).join("")}\r\n${text}`);
      }),
    );
  });

  it("or is refused with a RangeError, whatever the octets", () => {
    const octets = fc.uint8Array({ maxLength: 60 });
    const fragments = fc.array(
      fc.oneof(
        octets,
        fc.constantFrom("From:", "To: ", "\r\n", "\n", "\r", " ", "Resent-Date:", "Bcc:", "a@b", "<").map(utf8),
      ),
    );
    fc.assert(
      fc.property(fragments, (parts) => {
        const raw = Uint8Array.from(parts.flatMap((part) => [...part]));
        try {
          const message = readMessage(raw);
          expect(message.message.length).toBeLessThanOrEqual(raw.length);
          message.sender();
          message.recipients();
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a line that only some programs take for a header field", () => {
  it.each([
    "no field\nBcc: b",
    "no field\nSubject: x\nResent-BCC : b",
    "To: a\nno field\n folded\nBcc: b",
    "\ufeffBcc: b",
    "Bcc\u00a0: b",
    "B\0cc: b",
    "\u200bBcc: b",
    " Bcc: b",
    "From x@y Thu\n Bcc: b",
    "To: a\n: x\n\tBcc: b",
  ])("is refused where it may name a hidden recipient: %j", (header) => {
    for (const end of ["\n", "\r\n", "\r"]) {
      expect(() => read(`${header}\n\nbody`.replaceAll("\n", end))).toThrow(RangeError);
    }
  });

  it.each([
    ["To: a@b\nno field\nCc: c@d", "recipients"],
    ["To: a@b\nno field\nTo: c@d", "recipients"],
    ["To: a@b\nno field\nResent-Date: x", "recipients"],
    ["Resent-Date: x\nno field\nResent-To: c@d", "recipients"],
    ["\ufeffTo: a@b", "recipients"],
    ["\ufeffFrom: a@b", "sender"],
    ["From: a@b\nno field\nSender: c@d", "sender"],
    ["Páolo: x\nFrom: a@b", "sender"],
  ] as const)("is refused where it may have the address that is asked for: %j", (header, asked) => {
    const message = read(`${header}\n\nbody`);
    expect(() => message[asked]()).toThrow(RangeError);
    expect(decoder.decode(message.message)).toBe(`${header}\n\nbody`);
  });

  it("is of no concern where it says nothing of addresses, or of the other block", () => {
    expect(read("To: a@b\nno field\nSubject: x\nResent-To: c@d\n\nCc: x").recipients()).toEqual(["a@b"]);
    expect(read("Resent-Date: x\nResent-To: a@b\nno field\nTo: c@d\n\n").recipients()).toEqual(["a@b"]);
  });

  it("never leaves a Bcc field in what goes out, whatever stands in the header", () => {
    const junk = fc.constantFrom(
      "no field",
      "From x@y Thu Jan  1 00:00:00 1970",
      ">From x@y",
      ": no name",
      " folded",
      "\tBcc: folded",
      "\ufeffX: y",
      "Bcc\v: b",
      "=?x?",
      "\0",
    );
    const field = fc.constantFrom("From: a@b", "To: c@d", "Bcc: secret@x", "bcc :secret@x", "Resent-Bcc: s@x", "X: ü");
    const end = fc.constantFrom("\r\n", "\n", "\r");
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.oneof(junk, field), end), { minLength: 1 }), (written) => {
        const text = written.flat().join("");
        let sent: string;
        try {
          sent = outgoing(`${text}\r\nBcc: of the body`);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        const [header = ""] = sent.replace(/\r\n?/g, "\n").split(/^\n/m);
        // Only a continuation of another field may remain.
        for (const line of header.split("\n")) expect(line).not.toMatch(/^[^ \t]*bcc[^:a-z]*:/i);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a header that needs SMTPUTF8", () => {
  it("is one of UTF-8, which no other charset is", () => {
    const needs = (...parts: (string | number[])[]): boolean => {
      const octets = parts.flatMap((part) => (typeof part === "string" ? [...utf8(part)] : part));
      return readMessage(Uint8Array.from(octets)).utf8Headers;
    };
    expect(needs("Subject: Gr", [0xfc, 0xdf], "e\n\n")).toBe(false);
    expect(needs("Subject: ", [0xed, 0xa0, 0x80], "\n\n")).toBe(false);
    expect(needs("Subject: ", [0xfc], "\nFrom: ü <a@b>\n\n")).toBe(true);
    expect(needs("From: ü <a@b>\nSubject: ", [0xfc], "\n\n")).toBe(true);
  });

  it.each([
    ["Subject: plain\r\n\r\nü", false],
    ["Subject: ü\r\n\r\n", true],
    ["Subject: a\r\n ü\r\n\r\n", true],
    ["To: a\r\nBcc: ü\r\n\r\n", false],
    ["To: a\r\nnö field: x\r\n", false],
    ["To: a\r\nFrom grüß\r\nSubject: x\r\n\r\n", false],
    ["To: a\r\nFrom grüß\r\nSubject: ü\r\n\r\n", true],
  ])("%j: %s", (text, expected) => {
    expect(read(text).utf8Headers).toBe(expected);
  });
});

describe("a megabyte", () => {
  it.each([
    ["fields", (n: number) => "To: a@b\n".repeat(n / 8)],
    ["Bcc fields", (n: number) => "Bcc: a\n".repeat(n / 7)],
    ["folded lines", (n: number) => `To: ${"\r\n ".repeat(n / 3)}a@b`],
    ["a name", (n: number) => "a".repeat(n)],
    ["blanks before no colon", (n: number) => `To${" ".repeat(n)}`],
    ["line ends", (n: number) => `To: a\n${"\r".repeat(n)}`],
    ["addresses", (n: number) => `To: ${"a@b, ".repeat(n / 5)}`],
    ["commas", (n: number) => `To: ${",".repeat(n)}`],
    ["groups", (n: number) => `To: ${"g:;,".repeat(n / 4)}`],
    ["open comments", (n: number) => `To: ${"(".repeat(n)}`],
    ["encoded words", (n: number) => `To: ${"=?u?q?,?= ".repeat(n / 10)}<a@b>`],
    ["broken encoded words", (n: number) => `To: ${"=?u?q?,".repeat(n / 7)}<a@b>`],
    ["addresses as a name", (n: number) => `To: ${"a@b ".repeat(n / 4)}<a@b>`],
    ["lines that are no fields", (n: number) => `To: a@b\n${": x\n".repeat(n / 8)}${"Cc x\n".repeat(n / 10)}`],
    ["an mbox line", (n: number) => `From ${"a ".repeat(n / 2)}`],
    ["spaced dots", (n: number) => `To: ${"a . ".repeat(n / 4)}b@c`],
    ["body", (n: number) => `To: a\n\n${"Bcc: x\n".repeat(n / 7)}`],
  ])("of %s takes linear time", (_name, make) => {
    expectLinear(
      (size) => utf8(make(size)),
      (raw) => {
        try {
          readMessage(raw).recipients();
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      },
    );
  });
});

describe("what MIME libraries write", () => {
  const names = [
    "O'Neil, J.",
    'say "hi"',
    "victim@evil.test",
    "<victim@evil.test>",
    "Jörg, Ü (x)",
    "back\\slash",
    "a;b:c",
    "例え 名前",
  ];
  const sender = { name: "Doe, J. <victim@evil.test>", address: "from@x.test" };
  const to = names.map((name, i) => ({ name, address: `to${i}@x.test` }));
  const addresses = to.map(({ address }) => address);

  it("nodemailer's mail-composer, with Bcc kept", async () => {
    const node = new MailComposer({
      from: sender,
      to: [...to, 'Group: m1@x.test, "B (b)" <m2@x.test>;', "Empty:;"],
      cc: "cc@x.test",
      bcc: ["Secret <bcc@x.test>", "two@bücher.test"],
      subject: `long ${"ü ".repeat(100)}`,
      text: "Bcc: stays",
    }).compile();
    node.keepBcc = true;
    const raw = await node.build();
    const message = readMessage(raw);
    expect(message.sender()).toBe("from@x.test");
    const bcc = ["bcc@x.test", "two@xn--bcher-kva.test"];
    expect(message.recipients()).toEqual([...addresses, "m1@x.test", "m2@x.test", ...bcc, "cc@x.test"]);
    expect(new Set(message.recipients())).toEqual(new Set(node.getEnvelope().to));
    expect(decoder.decode(message.message)).not.toMatch(/secret|bücher/i);
    expect(decoder.decode(message.message)).toContain("\r\n\r\nBcc: stays");
  });

  it("mimetext", () => {
    const mime = createMimeMessage();
    mime.setSender({ name: sender.name, addr: sender.address });
    mime.setTo(to.map(({ name, address }) => ({ name, addr: address })));
    mime.setCc("cc@x.test");
    mime.setBcc([{ name: "Secret, S", addr: "bcc@x.test" }, { addr: "two@x.test" }]);
    mime.setSubject("ü");
    mime.addMessage({ contentType: "text/plain", data: "Bcc: stays" });
    const message = read(mime.asRaw());
    expect(message.sender()).toBe("from@x.test");
    expect(message.recipients()).toEqual([...addresses, "bcc@x.test", "two@x.test", "cc@x.test"]);
    expect(decoder.decode(message.message)).not.toContain("bcc@x.test");
    expect(decoder.decode(message.message)).toContain("Bcc: stays");
  });

  it("emailjs, with its Bcc put in front", async () => {
    const list = to.map(({ name, address }) => `"${name.replace(/["\\]/g, "\\$&")}" <${address}>`);
    const mail = new Message({
      from: "from@x.test",
      to: list,
      cc: "cc@x.test",
      bcc: ['"Secret, S" <bcc@x.test>', "two@x.test"],
      subject: "ü",
      text: "Bcc: stays",
    });
    const message = read(`Bcc: ${mail.header.bcc}\r\n${await mail.readAsync()}`);
    expect(message.sender()).toBe("from@x.test");
    expect(message.recipients()).toEqual([...addresses, "bcc@x.test", "two@x.test", "cc@x.test"]);
    expect(decoder.decode(message.message)).not.toContain("bcc@x.test");
  });
});
