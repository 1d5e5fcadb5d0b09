/** xtext (RFC 3461 4) and utf-8-addr-xtext (RFC 6533 3). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeXtext, encodeUtf8AddrXtext, encodeXtext } from "../../src/core/xtext.ts";

const printable = fc.string({ unit: "grapheme" }).filter((text) => !/[\x00-\x1f\x7f]|\p{Surrogate}/u.test(text));

describe("xtext", () => {
  it.each([
    ["", ""],
    ["QQ314159", "QQ314159"],
    ["e=mc2@example.com", "e+3Dmc2@example.com"],
    ["a+b c", "a+2Bb+20c"],
    ["!~*,<->", "!~*,<->"],
    ["ü€😀", "+C3+BC+E2+82+AC+F0+9F+98+80"],
  ])("of %j is %j", (text, expected) => {
    expect(encodeXtext(text, "envid")).toBe(expected);
    expect(decodeXtext(expected)).toBe(text);
  });

  it("comes back as it was, in printable ASCII that needs no further encoding", () => {
    fc.assert(
      fc.property(printable, (text) => {
        const encoded = encodeXtext(text, "envid");
        expect(encoded).toMatch(/^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/);
        expect(decodeXtext(encoded)).toBe(text);
      }),
    );
  });

  it.each(["+", "+2", "+2b", "+GG", "+ 1", "a=b", "a b", "a\r\n", "\x7f", "ü", "+FF", "+C3", "+ED+A0+80"])(
    "is not %j",
    (text) => {
      expect(() => decodeXtext(text)).toThrow(RangeError);
    },
  );

  it.each(["a\r\nb", "\0", "\t", "\x7f"])("takes no control characters: %j", (text) => {
    expect(() => encodeXtext(text, "envid")).toThrow(/envid/);
    expect(() => encodeUtf8AddrXtext(text, "orcpt")).toThrow(/orcpt/);
  });

  it("takes no lone surrogates", () => {
    expect(() => encodeXtext("\ud800", "envid")).toThrow(TypeError);
    expect(() => encodeUtf8AddrXtext("a\udc00", "orcpt")).toThrow(TypeError);
  });
});

describe("utf-8-addr-xtext", () => {
  it.each([
    ["a@b", "a@b"],
    ["a+b=c\\d e", "a\\x{2B}b\\x{3D}c\\x{5C}d\\x{20}e"],
    ["ü@例😀", "\\x{FC}@\\x{4F8B}\\x{1F600}"],
  ])("of %j is %j", (text, expected) => {
    expect(encodeUtf8AddrXtext(text, "orcpt")).toBe(expected);
  });

  it("is printable ASCII that is its own xtext, and says the same", () => {
    fc.assert(
      fc.property(printable, (text) => {
        const encoded = encodeUtf8AddrXtext(text, "orcpt");
        expect(encodeXtext(encoded, "orcpt")).toBe(encoded);
        const decoded = encoded.replace(/\\x\{([0-9A-F]{2,6})\}/g, (_, hex) =>
          String.fromCodePoint(Number.parseInt(hex, 16)),
        );
        expect(decoded).toBe(text);
      }),
    );
  });
});
