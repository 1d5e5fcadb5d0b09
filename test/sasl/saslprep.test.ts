/** SASLprep: the examples of RFC 4013, each table of RFC 3454, and properties. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { saslprep } from "../../src/sasl/saslprep.ts";

describe("SASLprep", () => {
  test.each([
    ["SOFT HYPHEN mapped to nothing", "I\u00adX", "IX"],
    ["no transformation", "user", "user"],
    ["case preserved", "USER", "USER"],
    ["output is NFKC", "\u00aa", "a"],
    ["output is NFKC", "\u2168", "IX"],
  ])("RFC 4013 3: %s", (_, input, output) => {
    expect(saslprep(input, "user")).toBe(output);
  });

  test.each([
    ["prohibited character", "\u0007"],
    ["bidirectional check", "\u0627\u0031"],
  ])("RFC 4013 3: %s", (_, input) => {
    expect(() => saslprep(input, "user")).toThrow(RangeError);
  });

  test.each([
    ["NO-BREAK SPACE", "a\u00a0b", "a b"],
    ["IDEOGRAPHIC SPACE", "a\u3000b", "a b"],
    ["ZERO WIDTH SPACE", "a\u200bb", "a b"],
    ["ZERO WIDTH JOINER", "a\u200db", "ab"],
    ["a variation selector", "a\ufe0fb", "ab"],
    ["a byte order mark", "\ufeffab", "ab"],
    ["a decomposed letter", "u\u0308", "\u00fc"],
    ["a character newer than Unicode 3.2", "\u{1f600}", "\u{1f600}"],
    ["Arabic throughout", "\u0627\u0031\u0628", "\u0627\u0031\u0628"],
    ["Hebrew", "\u05d0\u05b0\u05d1", "\u05d0\u05b0\u05d1"],
    ["the empty string", "", ""],
  ])("allows %s", (_, input, output) => {
    expect(saslprep(input, "user")).toBe(output);
  });

  test.each([
    ["C.2.1, ASCII control", "\x1f"],
    ["C.2.1, DEL", "\x7f"],
    ["C.2.2, NEL", "\x85"],
    ["C.2.2, LINE SEPARATOR", "\u2028"],
    ["C.2.2, PARAGRAPH SEPARATOR", "\u2029"],
    ["C.2.2, a musical symbol", "\u{1d173}"],
    ["C.3, private use", "\ue000"],
    ["C.3, private use in plane 16", "\u{10fffd}"],
    ["C.4, a noncharacter", "\ufdd0"],
    ["C.4, a noncharacter in plane 1", "\u{1ffff}"],
    ["C.5, a lone surrogate", "\udc00"],
    ["C.6, REPLACEMENT CHARACTER", "\ufffd"],
    ["C.6, OBJECT REPLACEMENT CHARACTER", "\ufffc"],
    ["C.7, an ideographic description", "\u2ff0"],
    ["C.8, RIGHT-TO-LEFT OVERRIDE", "\u202e"],
    ["C.9, a tag", "\u{e0041}"],
  ])("prohibits %s, naming the argument and not the value", (_, input) => {
    expect(() => saslprep(`a${input}b`, "password")).toThrow(RangeError);
    expect(() => saslprep(`hush${input}`, "password")).toThrow(/^password (?!.*hush)/);
  });

  test.each([
    ["Arabic before Latin", "\u0627a"],
    ["Latin before Hebrew", "a\u05d0"],
    ["Latin inside Hebrew", "\u05d0a\u05d0"],
    ["a digit at the end of Hebrew", "\u05d01"],
    ["a digit before Hebrew", "1\u05d0"],
  ])("prohibits mixed directions: %s", (_, input) => {
    expect(() => saslprep(input, "user")).toThrow(RangeError);
  });

  test("printable ASCII stays as it is", () => {
    const printable = fc.string({ unit: "grapheme-ascii" });
    fc.assert(
      fc.property(printable, (text) => {
        expect(saslprep(text, "user")).toBe(text);
      }),
    );
  });

  test("what is prepared is NFKC and without NUL, CR and LF, or it throws a RangeError", () => {
    const anyText = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(anyText, (text) => {
        const prepared = attempt(text);
        if (prepared instanceof RangeError) return;
        expect(prepared.normalize("NFKC")).toBe(prepared);
        expect(prepared).not.toMatch(/[\0\r\n]/);
      }),
    );
  });
});

function attempt(text: string): string | RangeError {
  try {
    return saslprep(text, "user");
  } catch (error) {
    if (error instanceof RangeError) return error;
    throw error;
  }
}
