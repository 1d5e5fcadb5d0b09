/** The bytes to and from proxies, and the valid targets. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Parsed } from "../../src/proxy/handshake.ts";
import * as http from "../../src/proxy/http.ts";
import { ProxyError } from "../../src/proxy/proxy-error.ts";
import * as socks4 from "../../src/proxy/socks4.ts";
import * as socks5 from "../../src/proxy/socks5.ts";
import { authority, checkTarget } from "../../src/proxy/target.ts";
import { bytes } from "../transports/bytes.ts";

const credentials = { user: "ada", password: "secret" };

/** Every kind of proxy answer, with its parser and good examples. */
const answers: Record<string, { parse: (bytes: Uint8Array) => Parsed<unknown>; good: fc.Arbitrary<Uint8Array> }> = {
  "SOCKS5's choice of a method": {
    parse: (answer) => socks5.parseMethod(answer, credentials),
    good: fc.constantFrom(Uint8Array.of(5, 0), Uint8Array.of(5, 2)),
  },
  "SOCKS5's answer to a password": {
    parse: socks5.parsePasswordReply,
    good: fc.constant(Uint8Array.of(1, 0)),
  },
  "SOCKS5's answer to CONNECT": {
    parse: socks5.parseConnectReply,
    good: fc.oneof(
      fc.uint8Array({ minLength: 6, maxLength: 6 }).map((rest) => Uint8Array.of(5, 0, 0, 1, ...rest)),
      fc.uint8Array({ minLength: 18, maxLength: 18 }).map((rest) => Uint8Array.of(5, 0, 0, 4, ...rest)),
      fc.uint8Array({ maxLength: 255 }).map((name) => Uint8Array.of(5, 0, 0, 3, name.length, ...name, 1, 2)),
    ),
  },
  "SOCKS4's answer": {
    parse: socks4.parseConnectReply,
    good: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((rest) => Uint8Array.of(0, 90, ...rest)),
  },
  "HTTP's answer": {
    parse: http.parseConnectReply,
    good: fc
      .tuple(
        fc.constantFrom("\r\n", "\n"),
        fc.integer({ min: 200, max: 299 }),
        fc.array(fc.stringMatching(/^[A-Za-z-]{1,10}: [ -~]{0,20}$/), { maxLength: 5 }),
      )
      .map(([end, code, fields]) => bytes([`HTTP/1.1 ${code} Fine`, ...fields, "", ""].join(end))),
  },
};

describe.each(Object.entries(answers))("%s", (_, { parse, good }) => {
  it("is complete with its last octet and not before, whatever follows", () => {
    fc.assert(
      fc.property(good, fc.uint8Array({ maxLength: 20 }), (answer, rest) => {
        for (let length = 0; length < answer.length; length++)
          expect(parse(answer.subarray(0, length))).toBeUndefined();
        expect(parse(Uint8Array.of(...answer, ...rest))?.length).toBe(answer.length);
      }),
      { numRuns: 50 },
    );
  });

  it("never takes more octets than there are, and complains of nonsense by ProxyErrors alone", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (nonsense) => {
        try {
          expect(parse(nonsense)?.length ?? 0).toBeLessThanOrEqual(nonsense.length);
        } catch (error) {
          expect(error).toBeInstanceOf(ProxyError);
        }
      }),
    );
  });
});

describe("HTTP's answer", () => {
  it("is refused once it is longer than any should be", () => {
    const endless = bytes(`HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(3_000)}`);
    expect(() => http.parseConnectReply(endless)).toThrow(/16384 octets/);
  });

  it.each([
    [
      "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n\r\n",
      /407 .*asks for: Negotiate/,
      407,
    ],
    ["HTTP/1.0 503 Service\x1b[2J Unavailable\r\n\r\n", /503 Service\\x1b\[2J Unavailable/, 503],
    ["HTTP/1.1 101 Switching Protocols\r\n\r\n", /101/, 101],
    ["HTTP/1.1 302 Found\nLocation: /\n\n", /302 Found/, 302],
    ["220 mail.example.com ESMTP\r\n", /no HTTP|not speak HTTP.*220 mail/, undefined],
    ["HTTP/1.1 2000 What\r\n\r\n", /no status/, undefined],
  ])("is refused with what it says: %j", (answer, says, code) => {
    try {
      http.parseConnectReply(bytes(answer));
    } catch (error) {
      expect(error).toBeInstanceOf(ProxyError);
      expect(error).toMatchObject({ message: expect.stringMatching(says), code });
      return;
    }
    throw new Error("it was taken");
  });
});

describe("SOCKS4's answer", () => {
  it("is refused with its code also where nobody knows what it means", () => {
    expect(() => socks4.parseConnectReply(Uint8Array.of(0, 99))).toThrow(/unknown reason \(99\)/);
  });
});

describe("SOCKS5's answer", () => {
  it.each<[name: string, parse: () => unknown, says: RegExp, code: number | undefined]>([
    [
      "a failure",
      () => socks5.parseConnectReply(Uint8Array.of(5, 1)),
      /refused to connect: general failure.* \(1\)$/,
      1,
    ],
    ["a rule", () => socks5.parseConnectReply(Uint8Array.of(5, 2, 0, 1)), /not allowed by its rules \(2\)$/, 2],
    ["a code of its own", () => socks5.parseConnectReply(Uint8Array.of(5, 99)), /unknown reason \(99\)$/, 99],
    ["an unknown address", () => socks5.parseConnectReply(Uint8Array.of(5, 0, 0, 2)), /unknown type 2/, undefined],
    ["no method", () => socks5.parseMethod(Uint8Array.of(5, 255), undefined), /without authentication/, 255],
    ["no method either", () => socks5.parseMethod(Uint8Array.of(5, 255), credentials), /accepts neither/, 255],
    ["another method", () => socks5.parseMethod(Uint8Array.of(5, 1), credentials), /not offered: 1/, undefined],
    ["a password unasked", () => socks5.parseMethod(Uint8Array.of(5, 2), undefined), /not offered: 2/, undefined],
  ])("is refused with what it means: %s", (_, parse, says, code) => {
    expect(parse).toThrow(ProxyError);
    expect(parse).toThrow(expect.objectContaining({ message: expect.stringMatching(says), code }));
  });
});

describe("what a proxy is asked for", () => {
  it.each<[string, string, string, number[]]>([
    ["mail.example.com", "name", "mail.example.com", [...bytes("mail.example.com")]],
    ["bücher.example", "name", "xn--bcher-kva.example", [...bytes("xn--bcher-kva.example")]],
    ["192.0.2.1", "IPv4", "192.0.2.1", [192, 0, 2, 1]],
    ["2001:db8::1", "IPv6", "2001:db8::1", [0x20, 1, 0xd, 0xb8, ...new Array(11).fill(0), 1]],
    ["::", "IPv6", "::", new Array(16).fill(0)],
    ["::ffff:192.0.2.1", "IPv6", "::ffff:c000:201", [...new Array(10).fill(0), 255, 255, 192, 0, 2, 1]],
    ["1:2:3:4:5:6:7:8", "IPv6", "1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
  ])("is a name or an address: %s", (host, kind, written, octets) => {
    const target = checkTarget({ host, port: 587 });
    expect({ ...target, octets: [...target.octets] }).toEqual({ kind, host: written, octets, port: 587 });
  });

  it("never holds anything that could end a line, a field or a request", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 30 }),
        fc.constantFrom("\r", "\n", "\0", " ", "/", "@", "#"),
        (text, sign) => {
          for (const host of [text, `mail.example.com${sign}${text}`, `${text}${sign}mail`, `::1${sign}${text}`]) {
            try {
              const target = checkTarget({ host, port: 25 });
              expect(authority(target.host, target.port)).toMatch(/^([A-Za-z0-9._-]+|\[[0-9a-f:]+\]):25$/);
            } catch (error) {
              expect(error).toBeInstanceOf(RangeError);
            }
          }
        },
      ),
    );
  });

  it.each(["mail.example.com\r\nX: y", "a b", "", "a\0b", "a/b", "u@h", "1:2", "::1%eth0", "x".repeat(256), "[::1]"])(
    "cannot be %j",
    (host) => {
      expect(() => checkTarget({ host, port: 25 })).toThrow(RangeError);
    },
  );

  it("cannot be a port that does not exist, or a Unix socket", () => {
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
      expect(() => checkTarget({ host: "a", port })).toThrow(RangeError);
    }
    expect(() => checkTarget({ path: "/run/lmtp" })).toThrow(TypeError);
  });

  it("is written as each protocol wants it", () => {
    const named = checkTarget({ host: "a.example", port: 587 });
    const at4 = checkTarget({ host: "192.0.2.1", port: 25 });
    const at6 = checkTarget({ host: "2001:db8::1", port: 25 });
    expect([...socks5.connectRequest(named)]).toEqual([5, 1, 0, 3, 9, ...bytes("a.example"), 2, 75]);
    expect([...socks5.connectRequest(at4)]).toEqual([5, 1, 0, 1, 192, 0, 2, 1, 0, 25]);
    expect([...socks5.connectRequest(at6)]).toEqual([5, 1, 0, 4, ...at6.octets, 0, 25]);
    expect([...socks4.connectRequest(named, "me")]).toEqual([4, 1, 2, 75, 0, 0, 0, 1, ...bytes("me\0a.example\0")]);
    expect([...socks4.connectRequest(at4, "")]).toEqual([4, 1, 0, 25, 192, 0, 2, 1, 0]);
    expect(() => socks4.connectRequest(at6, "")).toThrow(RangeError);
    expect(new TextDecoder().decode(http.connectRequest(at6, credentials))).toBe(
      "CONNECT [2001:db8::1]:25 HTTP/1.1\r\nHost: [2001:db8::1]:25\r\nProxy-Authorization: Basic YWRhOnNlY3JldA==\r\n\r\n",
    );
  });
});
