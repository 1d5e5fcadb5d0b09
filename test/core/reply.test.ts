/** Replies by the grammar of RFC 5321 4.2, in pieces of any size, within any limits (SECURITY.md, rule 4). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, utf8 } from "../../src/core/bytes.ts";
import { isPositive, makeReply, type Reply, type ReplyFault, ReplyParser } from "../../src/core/reply.ts";
import { expectLinear } from "../support/linear.ts";

const LIMIT = { line: 8192, octets: 65_536 };

type Parsed = { replies: Reply[]; fault: ReplyFault | undefined; empty: boolean };

/** The parser's result for these pieces; parsing stops at a fault, as its user does. */
function parse(pieces: readonly (string | Uint8Array)[], limit = LIMIT): Parsed {
  const parser = new ReplyParser();
  const replies: Reply[] = [];
  for (const piece of pieces) {
    const chunk = typeof piece === "string" ? utf8(piece) : piece.slice();
    parser.push(chunk);
    for (;;) {
      const next = parser.next(limit.line, limit.octets);
      if (next === undefined) break;
      replies.push(next.reply);
    }
    if (parser.fault !== undefined) break;
    parser.settle();
    // The transport may reuse the memory of the view (byte-stream.ts), so nothing may depend on it.
    chunk.fill(0x21);
  }
  return { replies, fault: parser.fault, empty: parser.empty };
}

const pairs = (parsed: Parsed): unknown[] => parsed.replies.map(([code, message]) => [code, message]);

describe("a reply", () => {
  test.each<[wire: string, code: number, message: string]>([
    ["250 OK\r\n", 250, "OK"],
    ["250\r\n", 250, ""],
    ["250 \r\n", 250, ""],
    ["250-\r\n250\r\n", 250, "\n"],
    ["250-a\r\n250-b\r\n250 c\r\n", 250, "a\nb\nc"],
    ["250-a\r\n250\r\n", 250, "a\n"],
    ["334\r\n", 334, ""],
    ["334 \r\n", 334, ""],
    ["250 OK\n", 250, "OK"],
    ["250-a\n250 b\r\n", 250, "a\nb"],
    ["250  \t padded \t \r\n", 250, "padded"],
    ["250 a\rb\r\n", 250, "a\rb"],
    ["250 a\0b\x1b[2J\r\n", 250, "a\0b\x1b[2J"],
    ["250 250-x\r\n", 250, "250-x"],
    ["599 never heard of\r\n", 599, "never heard of"],
    ["299 nor this\r\n", 299, "nor this"],
    ["250 grüße \u{1f4e7}\r\n", 250, "grüße \u{1f4e7}"],
    ["250 \ufeffmarked\r\n", 250, "\ufeffmarked"],
    ["250 \t kept\u00a0\v \t\r\n", 250, "kept\u00a0\v"],
    ["250  \t \r\n", 250, ""],
  ])("%j is understood", (wire, code, message) => {
    const parsed = parse([wire]);
    expect(pairs(parsed)).toEqual([[code, message]]);
    expect(parsed).toMatchObject({ fault: undefined, empty: true });
  });

  test("with octets that are not UTF-8 is read as Latin-1, which loses none", () => {
    const wire = concat([utf8("250 caf"), Uint8Array.of(0xe9), utf8("\r\n")]);
    expect(pairs(parse([wire]))).toEqual([[250, "café"]]);
  });

  test.each([
    "\r\n",
    " 250 OK\r\n",
    "25 OK\r\n",
    "2500 OK\r\n",
    "250_OK\r\n",
    "250\tOK\r\n",
    "2x0 OK\r\n",
    "000 OK\r\n",
    "199 OK\r\n",
    "600 OK\r\n",
    "999 OK\r\n",
    "\ufeff250 OK\r\n",
    "+OK\r\n",
    "HTTP/1.1 400 Bad Request\r\n",
    "٢٥٠ OK\r\n",
    "-250 OK\r\n",
    "250\r OK\r\n",
  ])("%j is none", (wire) => {
    expect(parse([wire])).toMatchObject({ replies: [], fault: { kind: "grammar" } });
  });

  test("whose lines bear different codes is none", () => {
    const { replies, fault } = parse(["250-a\r\n550 b\r\n"]);
    expect(replies).toEqual([]);
    expect(fault?.kind).toBe("grammar");
    expect(fault?.detail).toMatch(/250.*550/);
  });

  test("that was complete before a broken one still counts", () => {
    const parsed = parse(["250 a\r\n550 b\r\nnonsense\r\n"]);
    expect(pairs(parsed)).toEqual([
      [250, "a"],
      [550, "b"],
    ]);
    expect(parsed.fault?.kind).toBe("grammar");
  });

  test.each(["2", "250", "250 half", "250 whole\r", "250-a\r\n", "250-a\r\n250 b"])("%j is not there yet", (wire) => {
    const parsed = parse([wire]);
    expect(parsed).toMatchObject({ replies: [], fault: undefined, empty: false });
  });

  test("can come in any pieces, with empty ones between", () => {
    const line = fc.tuple(
      fc.constantFrom(220, 250, 354, 421, 550),
      fc.array(fc.string({ maxLength: 12 }), { minLength: 1, maxLength: 4 }),
      fc.constantFrom("\r\n", "\n"),
    );
    const stream = fc
      .array(line, { maxLength: 8 })
      .map((replies) =>
        utf8(
          replies
            .map(([code, lines, end]) =>
              lines
                .map((text, i) => `${code}${i + 1 < lines.length ? "-" : " "}${text.replace(/[\r\n]/g, "")}${end}`)
                .join(""),
            )
            .join(""),
        ),
      );
    fc.assert(
      fc.property(stream, fc.array(fc.nat()), fc.boolean(), (wire, cuts, hasTail) => {
        const whole = hasTail ? concat([wire, utf8("nonsense\r\n250 not reached\r\n")]) : wire;
        const places = cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b);
        const pieces = [0, ...places].map((from, i) => whole.subarray(from, places[i] ?? whole.length));
        const [expected, seen] = [parse([whole]), parse(pieces)];
        expect(pairs(seen)).toEqual(pairs(expected));
        expect(seen.fault).toEqual(expected.fault);
      }),
    );
  });

  test("can come octet by octet, with a multi-octet character cut", () => {
    const wire = utf8("250-ü\r\n250 \u{1f4e7}\r\n550 no\r\n");
    const parsed = parse([...wire].map((octet) => Uint8Array.of(octet)));
    expect(pairs(parsed)).toEqual([
      [250, "ü\n\u{1f4e7}"],
      [550, "no"],
    ]);
  });

  test("never makes the parser throw, whatever the octets", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), (pieces) => {
        expect(() => parse(pieces, { line: 50, octets: 200 })).not.toThrow();
      }),
    );
  });
});

describe("the limits", () => {
  test.each([
    ["a line just within", `250 ${"x".repeat(8186)}\r\n`, undefined],
    ["a line beyond", `250 ${"x".repeat(8190)}\r\n`, "too-long"],
    ["a line beyond that never ends", `250 ${"x".repeat(8190)}`, "too-long"],
    ["a code that never comes", "2".repeat(8193), "too-long"],
    ["many lines just within", `${"250-\r\n".repeat(1023)}250 \r\n`, undefined],
    ["more lines", `${"250-\r\n".repeat(1024)}250 \r\n`, "too-long"],
    ["lines that never end", "250-\r\n".repeat(1025), "too-long"],
    ["a reply just within", `${`250-${"x".repeat(8000)}\r\n`.repeat(8)}250 end\r\n`, undefined],
    ["a reply beyond", `${`250-${"x".repeat(8000)}\r\n`.repeat(9)}250 end\r\n`, "too-long"],
  ])("%s", (_, wire, kind) => {
    const { replies, fault } = parse([wire]);
    expect(fault?.kind).toBe(kind);
    expect(replies).toHaveLength(kind === undefined ? 1 : 0);
  });

  test("are the caller's, and say what they are", () => {
    expect(parse(["250 12345678901234567890\r\n"], { ...LIMIT, line: 20 }).fault?.detail).toContain("20");
    expect(parse(["250-1\r\n250-2\r\n250 3\r\n"], { ...LIMIT, octets: 128 }).fault?.kind).toBe("too-long");
    expect(parse(["250-1234\r\n250 5678\r\n"], { ...LIMIT, octets: 12 }).fault?.kind).toBe("too-long");
  });

  test("hold however the octets come", () => {
    const octets = [...utf8("2".repeat(100))].map((octet) => Uint8Array.of(octet));
    expect(parse(octets, { ...LIMIT, line: 60 }).fault?.kind).toBe("too-long");
  });

  test("count each reply by itself", () => {
    const reply = `${`250-${"x".repeat(8000)}\r\n`.repeat(7)}250 end\r\n`;
    expect(parse([reply, reply, reply + reply]).replies).toHaveLength(4);
  });

  const everything = { line: 1e9, octets: 1e9 };
  const dripping = (wire: string): Uint8Array[] => {
    const octets = utf8(wire);
    return Array.from({ length: Math.ceil(octets.length / 256) }, (_, i) => octets.subarray(i * 256, i * 256 + 256));
  };

  test.each<[string, (size: number) => Uint8Array[]]>([
    ["one line that drips in", (size) => dripping(`250 ${"x".repeat(size)}`)],
    ["empty lines that drip in", (size) => dripping("250-\r\n".repeat(size / 6))],
    ["small replies in one piece", (size) => [utf8(`250 ${"x".repeat(58)}\r\n`.repeat(size / 64))]],
    ["white space", (size) => [utf8(`250 ${" ".repeat(size)}x${" ".repeat(size)}\r\n`)]],
    ["carriage returns", (size) => [utf8(`250 ${"\r".repeat(size)}\r\n`)]],
  ])("cost linear time where they are high: %s", (_, make) => {
    expectLinear(make, (pieces) => void parse(pieces, everything));
  });
});

describe("the value that users see", () => {
  const reply = makeReply(550, ["5.1.1 no such user", "5.1.1 sorry"]);

  test("is a pair", () => {
    const [code, message] = reply;
    expect([code, message]).toEqual([550, "5.1.1 no such user\n5.1.1 sorry"]);
    expect(Array.isArray(reply)).toBe(true);
    expect(reply).toHaveLength(2);
    expect(Object.keys(reply)).toEqual(["0", "1"]);
    expect(JSON.parse(JSON.stringify(reply))).toEqual([550, "5.1.1 no such user\n5.1.1 sorry"]);
  });

  test("has extras that do not show when it is compared or printed", () => {
    expect(reply).toStrictEqual([550, "5.1.1 no such user\n5.1.1 sorry"]);
    expect(reply.code).toBe(550);
    expect(reply.message).toBe(reply[1]);
    expect(reply.lines).toEqual(["5.1.1 no such user", "5.1.1 sorry"]);
    expect(reply.enhancedCode).toBe("5.1.1");
  });

  test("cannot be changed", () => {
    expect(Object.isFrozen(reply)).toBe(true);
    expect(Object.isFrozen(reply.lines)).toBe(true);
    expect(Reflect.set(reply, "code", 250)).toBe(false);
    expect(Reflect.set(reply, 0, 250)).toBe(false);
  });

  test("does not follow what becomes of the lines it was made of", () => {
    const lines = ["a"];
    const made = makeReply(250, lines);
    lines.push("b");
    expect(made.lines).toEqual(["a"]);
  });

  test.each<[code: number, text: string, enhanced: string | undefined]>([
    [250, "2.0.0 OK", "2.0.0"],
    [250, "2.1.5", "2.1.5"],
    [451, "4.7.650 later", "4.7.650"],
    [550, "5.7.1\nsecond line", "5.7.1"],
    [550, "5.1.1.1 no", undefined],
    [550, "5.1.1234 no", undefined],
    [550, "5.1 no", undefined],
    [550, "4.1.1 of another class", undefined],
    [250, "10.0.0 OK", undefined],
    [354, "3.0.0 go on", undefined],
    [550, "no 5.1.1", undefined],
    [250, "", undefined],
  ])("reads the enhanced code of %d %j", (code, text, enhanced) => {
    expect(makeReply(code, text.split("\n")).enhancedCode).toBe(enhanced);
  });
});

describe("success", () => {
  test("is decided by the first digit only", () => {
    expect([199, 200, 250, 251, 299, 300, 354, 421, 550].filter(isPositive)).toEqual([200, 250, 251, 299]);
  });
});
