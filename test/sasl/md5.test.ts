/** MD5 and HMAC-MD5: the vectors of RFC 1321 and RFC 2202, and agreement with the runtime's own. */
import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hmacMd5, md5 } from "../../src/sasl/md5.ts";

const utf8 = new TextEncoder();
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const filled = (octet: number, length: number) => new Uint8Array(length).fill(octet);

describe("MD5", () => {
  test.each([
    ["", "d41d8cd98f00b204e9800998ecf8427e"],
    ["a", "0cc175b9c0f1b6a831c399e269772661"],
    ["abc", "900150983cd24fb0d6963f7d28e17f72"],
    ["message digest", "f96b697d7cb7938d525a2f31aaf161d0"],
    ["abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"],
    ["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"],
    ["12345678901234567890".repeat(4), "57edf4a22be3c955ac49da2e2107b67a"],
  ])("RFC 1321 A.5: %j", (text, digest) => {
    expect(hex(md5(utf8.encode(text)))).toBe(digest);
  });

  test("is the runtime's at every length around the block size", () => {
    for (let length = 0; length < 200; length++) {
      const message = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
      expect(hex(md5(message))).toBe(createHash("md5").update(message).digest("hex"));
    }
  });
});

describe("HMAC-MD5", () => {
  test.each([
    ["1", filled(0x0b, 16), utf8.encode("Hi There"), "9294727a3638bb1c13f48ef8158bfc9d"],
    ["2", utf8.encode("Jefe"), utf8.encode("what do ya want for nothing?"), "750c783e6ab0b503eaa86e310a5db738"],
    ["3", filled(0xaa, 16), filled(0xdd, 50), "56be34521d144c88dbb8c733f0e8b3f6"],
    ["4", Uint8Array.from({ length: 25 }, (_, i) => i + 1), filled(0xcd, 50), "697eaf0aca3a3aea3a75164746ffaa79"],
    ["5", filled(0x0c, 16), utf8.encode("Test With Truncation"), "56461ef2342edc00f9bab995690efd4c"],
    [
      "6",
      filled(0xaa, 80),
      utf8.encode("Test Using Larger Than Block-Size Key - Hash Key First"),
      "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
    ],
    [
      "7",
      filled(0xaa, 80),
      utf8.encode("Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data"),
      "6f630fad67cda0ee1fb1f562db3aa53e",
    ],
  ])("RFC 2202 2, case %s", (_, key, message, digest) => {
    expect(hex(hmacMd5(key, message))).toBe(digest);
  });

  test("is the runtime's, whatever the key and the message", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 150 }), fc.uint8Array({ maxLength: 150 }), (key, message) => {
        expect(hex(hmacMd5(key, message))).toBe(createHmac("md5", key).update(message).digest("hex"));
      }),
    );
  });
});
