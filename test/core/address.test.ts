/** Envelope addresses: the accepted forms, their paths, and the refused forms (RFC 5321 4.1.2, RFC 6531). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aLabel, asciiHostName } from "../../src/core/a-label.ts";
import { parseMailbox, quoteaddr } from "../../src/core/address.ts";
import { quotedata } from "../../src/core/quotedata.ts";
import { expectLinear } from "../support/linear.ts";

const path = (text: unknown) => parseMailbox(text, "to_addrs").path;

describe("parseMailbox takes", () => {
  it.each([
    ["a@b", "a@b"],
    ["<a@b>", "a@b"],
    [" a@b ", "a@b"],
    ["< a@b >", "a@b"],
    ["Name <a@b>", "a@b"],
    ["Name<a@b>", "a@b"],
    ["J. R. Name <a@b>", "a@b"],
    ["[List] Name <a@b>", "a@b"],
    ["Jörg\u00a0Müller <a@b>", "a@b"],
    ['"x, y" <a@b>', "a@b"],
    ['"x \\" <c@d>" <a@b>', "a@b"],
    ['"victim@evil" <a@b>', "a@b"],
    ["a@b (comment)", "a@b"],
    ["(c) a@b", "a@b"],
    ["a(c)@b", "a@b"],
    ["a@b (c@d, (e@f) \\) <g@h>)", "a@b"],
    ["<a@b> (c)", "a@b"],
    ['"q r"@b', '"q r"@b'],
    ['<"q r"@b>', '"q r"@b'],
    ['"a@evil x"@good', '"a@evil x"@good'],
    ['"a\\"@b"@c', '"a\\"@b"@c'],
    ['"<x>"@b', '"<x>"@b'],
    ["a@[127.0.0.1]", "a@[127.0.0.1]"],
    ["<a@[IPv6:::1]>", "a@[IPv6:::1]"],
    ["a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"],
    ["<@x,@y:a@b>", "a@b"],
    ["<@x:a@b>", "a@b"],
    ["Name <@x , @y : a@b>", "a@b"],
    ["postmaster", "postmaster"],
    ["<postmaster>", "postmaster"],
    ["jörg@bücher.example", "jörg@bücher.example"],
    ["用户@例子.广告", "用户@例子.广告"],
    ["a..b.@docomo.example", "a..b.@docomo.example"],
    ["o'neil+x=y/z@b", "o'neil+x=y/z@b"],
    ["=?x?=@b", "=?x?=@b"],
    ["__proto__", "__proto__"],
    ["constructor@b", "constructor@b"],
    ["<>", ""],
    [" <> ", ""],
    ["", ""],
  ])("%j as %j", (text, expected) => {
    expect(path(text)).toBe(expected);
  });

  it.each([
    ..."John Sally Frank George Fred Dinsdale Jeff nobody Jő János Jőhn Sálly".split(" "),
    ..."hi@me.com you@me.com foo@bar.com nobody@nowhere.com joe@example.com foo@example.net John@foo.org".split(" "),
    ..."Sally@foo.org root@localhost warped@silly.walks.com holy@grail.net my_mom@great.cooker.com".split(" "),
    ..."doe@losthope.net the_rescuers@Rescue-Aid-Society.com főo@bar.com Mr.A@somewhere.com Ms.C@B.com".split(" "),
  ])("%s of CPython's own tests unchanged", (text) => {
    expect(path(text)).toBe(text);
    expect(quoteaddr(text)).toBe(`<${text}>`);
  });

  it("an address of any length, which the server judges", () => {
    const long = `${"a".repeat(300)}@${"b".repeat(300)}`;
    expect(path(long)).toBe(long);
  });

  it("the parts apart, with what they need to be sent", () => {
    expect(parseMailbox("N <a@b>", "x")).toEqual({ path: "a@b", localPart: "a", domain: "b", ascii: true });
    expect(parseMailbox('"x@y"@b', "x")).toMatchObject({ localPart: '"x@y"', domain: "b", ascii: true });
    expect(parseMailbox("ü@b", "x")).toMatchObject({ localPart: "ü", domain: "b", ascii: false });
    expect(parseMailbox("a@ü", "x")).toMatchObject({ localPart: "a", domain: "ü", ascii: false });
    expect(parseMailbox("Ü <a@b>", "x").ascii).toBe(true);
    expect(parseMailbox("postmaster", "x").domain).toBeUndefined();
    expect(parseMailbox("<>", "x")).toEqual({ path: "", localPart: "", domain: undefined, ascii: true });
  });
});

describe("parseMailbox refuses", () => {
  it.each([
    "a@b, c@d",
    "a@b,",
    ",a@b",
    "a@b; c@d",
    "<a@b>, <c@d>",
    "<a@b> <c@d>",
    "<a@b><c@d>",
    "g: a@b;",
    "undisclosed-recipients:;",
    "mailto:a@b",
    "a@b> SIZE=1",
    "a@x> SIZE=1 AUTH=<b",
    "a@b SIZE=1",
    "a@b. SIZE=1",
    "a@b NOTIFY=NEVER",
    "<a@b> SIZE=1",
    "<a@b> x@y",
    "<a@b>x",
    '<a@b> "x"',
    "<a@b",
    "a@b>",
    "<<a@b>>",
    "<a@b>>",
    "a b@c",
    "a @b",
    "a@ b",
    "a@b .c",
    "a(c)b@d",
    "John Smith",
    '"John"',
    "Name <>",
    "a@b@c",
    "a@@b",
    "@b",
    "a@",
    "@",
    "<@>",
    "a@b <c@d>",
    "a@b<c@d>",
    '"a"b@c',
    'a"b"@c',
    '"a""b"@c',
    '"a"."b"@c',
    'a@"b"',
    '"a@b',
    'a@b"',
    '"a\\"@b',
    "a\\@b@c",
    "a@b\\",
    "(a@b",
    "a@b)",
    "((a)a@b",
    "(only a comment)",
    " ",
    "a@[1][2]",
    "a@[1].x",
    "a@b[1]",
    "a[1]@b",
    "[1.2.3.4]",
    "a@[]",
    "a@[1",
    "a@1]",
    "a@[x y]",
    "a@[x<y]",
    "a@[[1]]",
    "<@x>",
    "<@x,@y>",
    "<@x:>",
    "<@x:@y:a@b>",
    "<@x,:a@b>",
    "<@x;a@b>",
    "<x,@y:a@b>",
    "<x:a@b>",
    "@x:a@b",
    "a@b\u00a0SIZE=1",
    "a@b\u2028c",
    "a\u3000b@c",
    "<a@b\u00a0>",
  ])("%j", (text) => {
    expect(() => path(text)).toThrow(RangeError);
    expect(() => path(text)).toThrow(/to_addrs/);
  });

  it.each([[undefined], [null], [7], [["a@b"]], [{ toString: () => "a@b" }], [new String("a@b")], [Symbol("a")]])(
    "%o, which is no string",
    (value) => {
      expect(() => path(value)).toThrow(TypeError);
      expect(() => path(value)).toThrow(/to_addrs/);
    },
  );

  it("control characters wherever they stand", () => {
    const control = fc.integer({ min: 0, max: 32 }).map((code) => String.fromCharCode(code === 32 ? 127 : code));
    const address = fc.constantFrom("a@b", '"q r"@b', "N <a@b>", '"x, y" <a@b>', "a@b (comment)", "<>", "a@[1]", "ü@b");
    fc.assert(
      fc.property(address, control, fc.nat(20), (text, character, at) => {
        const broken = text.slice(0, at) + character + text.slice(at);
        expect(() => path(broken)).toThrow(RangeError);
        expect(() => quoteaddr(broken)).toThrow(RangeError);
      }),
    );
  });

  it.each(["\ud800@b", "a@\udc00", "N\ud800 <a@b>"])("lone surrogates, which have no UTF-8 form", (text) => {
    expect(() => path(text)).toThrow(TypeError);
    expect(() => quoteaddr(text)).toThrow(TypeError);
  });
});

describe("any text", () => {
  const hostile = fc.string({
    unit: fc.constantFrom(...'ab@.<>,:;()[]"\\ =?ü\u00a0', "a@b", "<c@d>", '"q r"'),
    maxLength: 24,
  });

  it("becomes one path without unquoted space, brackets or controls, which says the same again, or is refused", () => {
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string()), (text) => {
        let mailbox: ReturnType<typeof parseMailbox>;
        try {
          mailbox = parseMailbox(text, "x");
        } catch (error) {
          expect(error).toSatisfy((thrown) => thrown instanceof RangeError || thrown instanceof TypeError);
          return;
        }
        const unquoted = mailbox.path.replace(/"(?:[^"\\]|\\.)*"/g, "");
        expect(unquoted).not.toMatch(/[\s<>,;()\\"]/);
        expect(unquoted.split("@").length).toBeLessThan(3);
        for (const word of unquoted.split(/[.@]/)) expect(text).toContain(word);
        if (!text.includes("@")) expect(mailbox.domain).toBeUndefined();
        expect(parseMailbox(mailbox.path, "x")).toEqual(mailbox);
        expect(parseMailbox(`<${mailbox.path}>`, "x")).toEqual(mailbox);
      }),
      { numRuns: 3000 },
    );
  });

  it("in a quoted display name or a comment is never the address", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."ab@.<>,:; ü"), maxLength: 20 }), (name) => {
        expect(path(`"${name}" <to@x>`)).toBe("to@x");
        expect(path(`(${name}) to@x`)).toBe("to@x");
        expect(path(`to@x (${name})`)).toBe("to@x");
      }),
    );
  });
});

describe("a megabyte", () => {
  it.each([
    ["letters", (n: number) => "a".repeat(n)],
    ["@", (n: number) => "@".repeat(n)],
    ["dots", (n: number) => "a@b.".repeat(n / 4)],
    ["words", (n: number) => "a ".repeat(n / 2)],
    ["quotes", (n: number) => '"'.repeat(n)],
    ["quoted words", (n: number) => `${'"a" '.repeat(n / 4)}<a@b>`],
    ["open comments", (n: number) => "(".repeat(n)],
    ["comments", (n: number) => `${"(a)".repeat(n / 3)}a@b`],
    ["backslashes in quotes", (n: number) => `"${"\\".repeat(n)}`],
    ["open brackets", (n: number) => "[".repeat(n)],
    ["literals", (n: number) => "[a] ".repeat(n / 4)],
    ["a source route", (n: number) => `<${"@a,".repeat(n / 3)}@b:c@d>`],
    ["angles", (n: number) => "<".repeat(n)],
    ["a domain beyond ASCII", (n: number) => `a@${"ü.".repeat(n / 2)}`],
  ])("of %s takes linear time", (_name, make) => {
    expectLinear(make, (text) => {
      try {
        aLabel(parseMailbox(text, "x"));
        quoteaddr(text);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    });
  });
});

describe("aLabel", () => {
  const label = (text: string) => aLabel(parseMailbox(text, "x"))?.path;

  it.each([
    ["a@b", "a@b"],
    ["postmaster", "postmaster"],
    ["a@[127.0.0.1]", "a@[127.0.0.1]"],
    ["a@bücher.example", "a@xn--bcher-kva.example"],
    ["a@BÜCHER.Example", "a@xn--bcher-kva.example"],
    ["a@例子.广告", "a@xn--fsqu00a.xn--4rr70v"],
    ["a@例子。广告", "a@xn--fsqu00a.xn--4rr70v"],
    ["o'neil+x@faß.example", "o'neil+x@xn--fa-hia.example"],
    ['"a@evil.example/x"@bücher.example', '"a@evil.example/x"@xn--bcher-kva.example'],
  ])("turns %s into %s", (text, expected) => {
    expect(label(text)).toBe(expected);
  });

  it.each([
    "ü@b",
    "ü@bücher.example",
    "Jő",
    '"ü"@bücher.example',
    "a@bücher.example/x",
    "a@bücher.example?x",
    "a@bücher.example#x",
    "a@b%C3%BCcher.ü",
    "a@ü%2eexample",
    "a@ü_x.example",
    "a@ü..example",
    "a@.ü",
    "a@ü.",
    "a@１２７.０.０.１",
    "a@１",
    "a@ü.１",
    "a@ü.0x7f",
    "a@ü／evil.example",
    "a@ü＠evil.example",
    "a@ü％2f.example",
    "a@ü：25",
    "a@℀.example",
    `a@${"ü".repeat(80)}.example`,
    `a@${"ü.".repeat(200)}example`,
  ])("refuses %j, which has no such form or would be another host", (text) => {
    expect(label(text)).toBeUndefined();
  });

  it("refuses what only a caller of its own could make up", () => {
    for (const domain of ["bücher.example:25", "ü@evil.example", "ü b", "ü\nb", "[ü]", "ü\\x", ""]) {
      expect(aLabel({ path: `a@${domain}`, localPart: "a", domain, ascii: false })).toBeUndefined();
    }
  });

  it("gives LDH labels or nothing, whatever the domain", () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.oneof(fc.constantFrom(..."a.-1%/:_"), fc.string({ minLength: 1, maxLength: 1, unit: "grapheme" })),
        }),
        (domain) => {
          const changed = aLabel({ path: `a@ü${domain}`, localPart: "a", domain: `ü${domain}`, ascii: false });
          if (changed === undefined) return;
          expect(changed.domain).toMatch(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/);
          expect(changed).toMatchObject({ path: `a@${changed.domain}`, localPart: "a", ascii: true });
        },
      ),
    );
  });
});

describe("asciiHostName", () => {
  it.each([
    ["MÜLLER-PC", "xn--mller-pc-65a"],
    ["müller_pc", "xn--mller_pc-65a"],
    ["mail.Bücher.Example", "mail.xn--bcher-kva.example"],
    ["bücher.example.", "xn--bcher-kva.example."],
    ["例子。广告", "xn--fsqu00a.xn--4rr70v"],
    ["MAIL.Example", "MAIL.Example"],
    ["my_host", "my_host"],
    ["[IPv6:::1]", "[IPv6:::1]"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["127.0.0.1", "127.0.0.1"],
    ["", ""],
  ])("makes %j %j", (name, expected) => {
    expect(asciiHostName(name, "host")).toBe(expected);
  });

  it.each([
    "ü b",
    "ü\u3000b",
    "ü/x",
    "ü@x",
    "ü:25",
    "ü?",
    "ü#",
    "[ü]",
    "ü..x",
    "１２７.０.０.１",
    "ü.１",
    "ü".repeat(80),
    "℀.x",
  ])("refuses %j, naming the argument", (name) => {
    expect(() => asciiHostName(name, "local_hostname")).toThrow(RangeError);
    expect(() => asciiHostName(name, "local_hostname")).toThrow(/^local_hostname/);
  });
});

describe("quoteaddr and quotedata are Python's", () => {
  it.each([
    ["you@example.com", "<you@example.com>"],
    ["Name <a@b>", "<a@b>"],
    ['"x, y" <a@b>', "<a@b>"],
    ["a@b (c)", "<a@b>"],
    ["(c) a@b", "<a@b>"],
    ["<>", "<>"],
    ["", "<>"],
    ['"q r"@b', '<"q r"@b>'],
    ["a@[127.0.0.1]", "<a@[127.0.0.1]>"],
    ["postmaster", "<postmaster>"],
    ["B. Smith <b@example.com", "<b@example.com>"],
    ["John (x) Smith <a@b", "<a@b>"],
    ["<b@example.com", "<b@example.com>"],
    ["b@example.com>", "<b@example.com>"],
    ["B. Smith b@example.com>", "<B. Smith b@example.com>"],
    ["<not an address", "<not an address>"],
    ["<<a@b>>", "<a@b>"],
    ["Ada <>", "<>"],
    ['"Ada, x" < >', "<>"],
    ["<a@b> SIZE=1", "<a@b SIZE=1>"],
    ["a@b, c@d", "<a@b, c@d>"],
    ["a@bücher.example", "<a@bücher.example>"],
  ])("quoteaddr(%j) is %j", (text, expected) => {
    expect(quoteaddr(text)).toBe(expected);
  });

  it("quoteaddr gives one pair of angle brackets, whatever the text", () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'ab@.<>,:;()[]"\\ ü', "a@b", "<c@d>"), maxLength: 24 });
    fc.assert(
      fc.property(hostile, (text) => {
        const [, inner] = /^<(.*)>$/.exec(quoteaddr(text)) ?? [];
        expect(inner).toBeDefined();
        if (inner !== undefined && /[<>]/.test(inner)) expect(path(inner)).toBe(inner);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ["", ""],
    ["abc", "abc"],
    ["a\nb\rc\r\nd", "a\r\nb\r\nc\r\nd"],
    ["a\r\r\nb", "a\r\n\r\nb"],
    [".", ".."],
    [".\n.\r..\r\n.a.", "..\r\n..\r\n...\r\n..a."],
    ["a\u2028.b\u0085.c\v.d\f.e", "a\u2028.b\u0085.c\v.d\f.e"],
  ])("quotedata(%j) is %j", (text, expected) => {
    expect(quotedata(text)).toBe(expected);
  });
});
