/**
 * Base64: RFC 4648's vectors, agreement with the runtime's own, and the texts that RFC 4954 requires a client to
 * refuse.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64, encodeBase64 } from "../../src/core/base64.ts";

const utf8 = new TextEncoder();

describe("base64", () => {
  test.each([
    ["", ""],
    ["f", "Zg=="],
    ["fo", "Zm8="],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg=="],
    ["fooba", "Zm9vYmE="],
    ["foobar", "Zm9vYmFy"],
  ])("RFC 4648 10: %j is %j", (plain, encoded) => {
    expect(encodeBase64(utf8.encode(plain))).toBe(encoded);
    expect(decodeBase64(encoded)).toEqual(utf8.encode(plain));
  });

  test("any bytes are encoded as Buffer encodes them, and come back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = encodeBase64(bytes);
        expect(text).toBe(Buffer.from(bytes).toString("base64"));
        expect(decodeBase64(text)).toEqual(bytes);
      }),
    );
  });

  test.each([
    ["Zg", "no padding"],
    ["Zg=", "half the padding"],
    ["Z===", "padding for a character"],
    ["====", "nothing but padding"],
    ["=", "the sign for an empty response"],
    ["Zg==Zg==", "padding inside"],
    ["Zm=v", "padding inside a group"],
    ["Zm9v\n", "a line end"],
    ["Zm9v\r\nZm9v", "a line break"],
    [" Zm9v", "white space"],
    ["Zm9-", "the URL alphabet"],
    ["Zm9_", "the URL alphabet"],
    ["Zm9é", "a letter outside ASCII"],
    ["Zm9\u{1f600}", "a character of two units"],
    ["Zm9\0", "NUL"],
    ["Zm9vZ", "a length that is no multiple of 4"],
  ])("%j is refused: %s", (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  test("what is decoded is what Buffer decodes, whatever the text", () => {
    const anyText = fc.string({ unit: fc.constantFrom(..."AZaz09+/=- \n") });
    fc.assert(
      fc.property(anyText, (text) => {
        const bytes = decodeBase64(text);
        if (bytes === undefined) expect(text).not.toMatch(/^([\w+/]{4})*$/);
        else expect(Buffer.from(bytes)).toEqual(Buffer.from(text, "base64"));
      }),
    );
  });
});
