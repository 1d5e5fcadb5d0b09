/** Message data on the wire: SECURITY.md, rule 2, as tables, and properties against an oracle for whole strings. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { copyStuffed, DataEncoder, measure } from "../../src/core/body.ts";
import { ChunkEncoder } from "../../src/core/chunk-encoder.ts";
import { HiddenEndSearch } from "../../src/core/hidden-end.ts";
import { hasEightBit, skipSendable, skipUndotted } from "../../src/core/long-body.ts";

type Encoder = DataEncoder | ChunkEncoder;

const latin1 = {
  encode: (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0)),
  decode: (bytes: Uint8Array) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""),
};

/** The oracle: one string, regular expressions, no chunks. */
const oracle = {
  normalise: (text: string) => text.replace(/\r\n|\r|\n/g, "\r\n"),
  closed: (text: string) => oracle.normalise(text).replace(/(?<!^)(?<!\r\n)$/, "\r\n"),
  data: (text: string) => `${oracle.closed(text).replace(/(^|\r\n)\./g, "$1..")}.\r\n`,
  unstuff: (wire: string) => wire.replace(/\.\r\n$/, "").replace(/(^|\r\n)\.\./g, "$1."),
};

function wire(encoder: Encoder, chunks: readonly (string | Uint8Array)[]): string {
  const pieces = chunks.map((chunk) => encoder.encode(typeof chunk === "string" ? latin1.encode(chunk) : chunk));
  return [...pieces, encoder.end()].map(latin1.decode).join("");
}

/** Memory with the bytes of an earlier piece. */
const usedMemory = (length: number) => new Uint8Array(length).fill(46);

/** Texts with many line ends and dots, beside runs long enough for every path of the search. */
const anyText = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("\r", "\n", "\r\n", ".", "\r\n.", "\n.\r") },
      {
        weight: 3,
        arbitrary: fc.constantFrom("a", "\t", "\0", "\x0b", "\x0c", "\x0e", "\x85", "\x8d", "\x8a", "\xae", "\xff"),
      },
      { weight: 2, arbitrary: fc.nat({ max: 40 }).map((n) => "x".repeat(n)) },
      { weight: 1, arbitrary: fc.nat({ max: 40 }).map((n) => "\xe9".repeat(n)) },
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(""));

/** A text, cut into chunks, some of them empty, each at an odd offset of a larger buffer. */
const anyCut = fc
  .tuple(anyText, fc.array(fc.nat({ max: 400 }), { maxLength: 8 }), fc.nat({ max: 7 }))
  .map(([text, places, offset]) => {
    const cuts = [0, ...places.map((place) => place % (text.length + 1)).sort((a, b) => a - b), text.length];
    const chunks = cuts.slice(1).map((end, i) => {
      const content = latin1.encode(text.slice(cuts[i], end));
      const buffer = new Uint8Array(content.length + 16).fill(10);
      buffer.set(content, offset);
      return buffer.subarray(offset, offset + content.length);
    });
    return { text, chunks };
  });

describe.each([
  ["in short", () => new DataEncoder()],
  ["at length", () => new DataEncoder(skipSendable)],
  ["into memory that was used before", () => new DataEncoder(skipSendable, usedMemory)],
])("DATA, %s", (_, makeEncoder) => {
  test.each([
    ["the empty body", "", ".\r\n"],
    ["a line", "a\r\n", "a\r\n.\r\n"],
    ["a line without its end", "a", "a\r\n.\r\n"],
    ["a lone LF", "a\nb", "a\r\nb\r\n.\r\n"],
    ["a lone CR", "a\rb", "a\r\nb\r\n.\r\n"],
    ["a lone CR at the end", "a\r", "a\r\n.\r\n"],
    ["a lone LF at the end", "a\n", "a\r\n.\r\n"],
    ["CR CR LF, two line ends", "a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"],
    ["LF CR, two line ends", "a\n\rb", "a\r\n\r\nb\r\n.\r\n"],
    ["nothing but LF", "\n", "\r\n.\r\n"],
    ["nothing but CR", "\r", "\r\n.\r\n"],
    ["a dot", ".", "..\r\n.\r\n"],
    ["a dot in the first place", ".a\r\n", "..a\r\n.\r\n"],
    ["a dot after CRLF", "a\r\n.b\r\n", "a\r\n..b\r\n.\r\n"],
    ["a dot after a lone LF", "a\n.b\r\n", "a\r\n..b\r\n.\r\n"],
    ["a dot after a lone CR", "a\r.b\r\n", "a\r\n..b\r\n.\r\n"],
    ["a dot inside a line", "a.b\r\nc.\r\n", "a.b\r\nc.\r\n.\r\n"],
    ["several dots", "..\r\n...\r\n", "...\r\n....\r\n.\r\n"],
    ["the end of the data, in the content", "a\r\n.\r\nMAIL FROM:<x>\r\n", "a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n"],
    ["smuggling by LF dot LF", "a\n.\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"],
    ["smuggling by CR dot CR", "a\r.\rMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"],
    ["smuggling by LF dot CRLF", "a\n.\r\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"],
    ["smuggling by CRLF dot LF", "a\r\n.\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"],
    ["smuggling by CR CR LF dot", "a\r\r\n.\r\r\nMAIL", "a\r\n\r\n..\r\n\r\nMAIL\r\n.\r\n"],
    ["VT, FF, NEL and NUL, which are content", "a\x0b.\x0c.\x85.\0.", "a\x0b.\x0c.\x85.\0.\r\n.\r\n"],
    ["U+2028 in UTF-8, which is content", "a\xe2\x80\xa8.b", "a\xe2\x80\xa8.b\r\n.\r\n"],
    ["U+010A in UTF-8, which is content", "a\xc4\x8a.b", "a\xc4\x8a.b\r\n.\r\n"],
  ])("%s", (_name, content, expected) => {
    expect(oracle.data(content)).toBe(expected);
    expect(wire(makeEncoder(), [content])).toBe(expected);
    expect(wire(makeEncoder(), [...content])).toBe(expected);
    expect(wire(makeEncoder(), ["", ...[...content].flatMap((octet) => [octet, ""])])).toBe(expected);
  });

  test("each special octet is seen at every place of a block", () => {
    for (const special of ["\n", "\r", "\r\n", "\r\n.", "\n.", "\r.", "\r\r\n.", ".\r\n.\n."]) {
      for (let before = 0; before < 40; before++) {
        const content = "x".repeat(before) + special + "y".repeat(37 - (before % 9));
        expect(wire(makeEncoder(), [content])).toBe(oracle.data(content));
      }
    }
  });

  test("every octet but CR, LF and the dot is content", () => {
    for (let octet = 0; octet < 256; octet++) {
      if ([10, 13].includes(octet)) continue;
      const line = String.fromCharCode(octet).repeat(23);
      const content = `a${line}\r\nb${line}\r\n`;
      expect(wire(makeEncoder(), [content])).toBe(`${content}.\r\n`);
    }
  });

  test("any cut of any body gives the bytes of the oracle", () => {
    fc.assert(
      fc.property(anyCut, ({ text, chunks }) => {
        expect(wire(makeEncoder(), chunks)).toBe(oracle.data(text));
      }),
      { numRuns: 2000 },
    );
  });

  test("any body can be restored, holds no bare CR or LF on the wire, and ends exactly once", () => {
    fc.assert(
      fc.property(anyCut, ({ text, chunks }) => {
        const sent = wire(makeEncoder(), chunks);
        expect(oracle.unstuff(sent)).toBe(oracle.closed(text));
        expect(sent).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
        expect(`\r\n${sent}`.indexOf("\r\n.\r\n")).toBe(sent.length - 3);
      }),
      { numRuns: 1000 },
    );
  });

  test("a chunk that needs no change is returned as it is", () => {
    const clean = latin1.encode("a line.\r\nand one that is somewhat longer\r\n\r\n".repeat(50));
    const encoder = makeEncoder();
    expect(encoder.encode(clean)).toBe(clean);
    expect(encoder.encode(clean)).toBe(clean);
    const cut = latin1.encode("a\r");
    expect(encoder.encode(cut)).toBe(cut);
  });

  test("the chunk itself is never written to", () => {
    const chunk = latin1.encode(".\n.\r.\r\n\n".repeat(100));
    const copy = chunk.slice();
    makeEncoder().encode(chunk);
    expect(chunk).toEqual(copy);
  });

  test.each([
    ["line ends", "\n"],
    ["dots on lines of their own", ".\n"],
    ["CR and dot", "\r."],
    ["short lines, then long ones", `${"\n".repeat(500)}${"x".repeat(2000)}\n`],
    ["long lines, then short ones", `${"x".repeat(2000)}${"\r.".repeat(500)}`],
  ])("room is made when almost every octet grows: %s", (_name, part) => {
    const content = part.repeat(3);
    const many = part.repeat(Math.ceil(3000 / part.length));
    expect(wire(makeEncoder(), [content])).toBe(oracle.data(content));
    expect(wire(makeEncoder(), [many])).toBe(oracle.data(many));
    expect(wire(makeEncoder(), ["x\r", many])).toBe(oracle.data(`x\r${many}`));
  });

  test("the room left for insertions may run out at any of them, just before a long run", () => {
    for (const dense of ["\n", "\r.", "\n."]) {
      for (let count = 20; count < 90; count++) {
        const content = `${dense.repeat(count)}${"abcdefghij".repeat(10)}\n`.repeat(2);
        expect(wire(makeEncoder(), [content])).toBe(oracle.data(content));
        expect(wire(makeEncoder(), ["\r", content])).toBe(oracle.data(`\r${content}`));
      }
    }
  });

  test("two encoders share nothing that they hand out", () => {
    const first = makeEncoder().end();
    first.fill(0);
    expect(latin1.decode(makeEncoder().end())).toBe(".\r\n");
  });
});

test("where no CR or LF is lone, a search for nothing but dots gives the same", () => {
  fc.assert(
    fc.property(anyCut, ({ text }) => {
      const whole = oracle.normalise(text);
      expect(wire(new DataEncoder(skipUndotted), [whole])).toBe(oracle.data(whole));
    }),
    { numRuns: 1000 },
  );
});

test("of two octets in a row, the quick searches find each pair that the oracle changes, at every place", () => {
  const octets = [0, 9, 10, 11, 12, 13, 14, 45, 46, 47, 127, 128, 138, 141, 174, 255];
  for (const before of octets) {
    for (const after of octets) {
      for (let place = 0; place < 36; place++) {
        const content = `${"x".repeat(place)}${String.fromCharCode(before, after)}${"y".repeat(40)}`;
        expect(wire(new DataEncoder(skipSendable), [content])).toBe(oracle.data(content));
        expect(wire(new ChunkEncoder(), [content])).toBe(oracle.closed(content));
        expect(measure(latin1.encode(content))).toEqual({
          octets: oracle.normalise(content).length,
          eightBit: before > 127 || after > 127,
          dots: dotsIn(content),
          hiddenEnd: HIDDEN_END.test(content),
        });
      }
    }
  }
});

describe("BDAT", () => {
  test.each([
    ["the empty body", "", ""],
    ["a line", "a\r\n", "a\r\n"],
    ["a line without its end", "a", "a\r\n"],
    ["a lone LF", "a\nb\n", "a\r\nb\r\n"],
    ["a lone CR at the end", "a\r", "a\r\n"],
    ["CR CR LF", "a\r\r\n", "a\r\n\r\n"],
    ["a dot, which is content", ".a\r\n.\r\n", ".a\r\n.\r\n"],
    ["dots after lone line ends", "\n.\r.", "\r\n.\r\n.\r\n"],
  ])("%s", (_, content, expected) => {
    expect(wire(new ChunkEncoder(), [content])).toBe(expected);
    expect(wire(new ChunkEncoder(), [...content])).toBe(expected);
  });

  test("any cut of any body gives the bytes of the oracle, without bare CR or LF", () => {
    fc.assert(
      fc.property(anyCut, ({ text, chunks }) => {
        const sent = wire(new ChunkEncoder(), chunks);
        expect(sent).toBe(oracle.closed(text));
        expect(sent).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
      }),
      { numRuns: 1000 },
    );
  });
});

/** The number of lines that begin with a dot. */
const dotsIn = (text: string): number => text.match(/(?<=^|\n)\./g)?.length ?? 0;

/** A line begins with NUL and a dot. */
const HIDDEN_END = /(?:^|[\r\n])\0+\./;

describe("octets", () => {
  test.each([
    ["", 0],
    ["a", 1],
    ["a\r\n", 3],
    ["a\n", 3],
    ["a\r", 3],
    [".\r\n.", 4],
    ["\r\r\n\n", 6],
  ])("%j counts %d", (content, octets) => {
    expect(measure(latin1.encode(content)).octets).toBe(octets);
  });

  test("of a whole message are what measure says", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(measure(latin1.encode(text))).toEqual({
          octets: oracle.normalise(text).length,
          eightBit: /[\x80-\xff]/.test(text),
          dots: dotsIn(text),
          hiddenEnd: HIDDEN_END.test(text),
        });
      }),
      { numRuns: 1000 },
    );
  });
});

test("a measured content gets its dots on the way into memory, wherever that begins", () => {
  fc.assert(
    fc.property(anyText, fc.nat(9), (text, at) => {
      const content = latin1.encode(oracle.normalise(text));
      const target = new Uint8Array(2 * content.length + 20).fill(35);
      const end = copyStuffed(content, measure(content).dots ?? 0, target, at);
      const [before, between, behind] = [target.subarray(0, at), target.subarray(at, end), target.subarray(end)];
      expect(latin1.decode(between)).toBe(oracle.normalise(text).replace(/(?<=^|\n)\./g, ".."));
      expect([...before, ...behind].every((octet) => octet === 35)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

describe("HiddenEndSearch", () => {
  test("finds NUL and a dot at the start of a line, wherever the chunks are cut", () => {
    const nuls = fc.string({ unit: fc.constantFrom("\0", ".", "\r", "\n", "x"), maxLength: 12 });
    fc.assert(
      fc.property(fc.array(nuls, { maxLength: 6 }), (chunks) => {
        const search = new HiddenEndSearch();
        const found = chunks.map((chunk) => search.found(latin1.encode(chunk))).includes(true);
        expect(found).toBe(HIDDEN_END.test(chunks.join("")));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("hasEightBit", () => {
  test("sees one octet over 127 at every place, whatever the alignment", () => {
    for (let length = 0; length < 50; length++) {
      for (let place = 0; place < length; place++) {
        const bytes = new Uint8Array(length + 3).subarray(place % 4, (place % 4) + length).fill(127);
        expect(hasEightBit(bytes)).toBe(false);
        bytes[place] = 128;
        expect(hasEightBit(bytes)).toBe(true);
      }
    }
  });

  test("does not look outside its view", () => {
    const buffer = new Uint8Array(64).fill(255);
    buffer.fill(65, 9, 41);
    expect(hasEightBit(buffer.subarray(9, 41))).toBe(false);
  });
});
