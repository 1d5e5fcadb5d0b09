/** Typed options of MAIL and RCPT: their parameters, and the refused values (docs/extensions.md). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeStatus } from "../../src/core/extensions/enhancedstatuscodes.ts";
import type { MailOptions, RcptOptions } from "../../src/core/extensions/extension.ts";
import { EXTENSIONS, mailParameters, offerOf, rcptParameters } from "../../src/core/extensions/index.ts";
import { type Limits, portionsWithin } from "../../src/core/extensions/limits.ts";
import { parseFeatures } from "../../src/core/features.ts";
import { SMTPNotSupportedError } from "../../src/errors.ts";
import { expectLinear } from "../support/linear.ts";

const ALL = [
  "SIZE",
  "8BITMIME",
  "SMTPUTF8",
  "DSN",
  "REQUIRETLS",
  "DELIVERBY",
  "FUTURERELEASE",
  "MT-PRIORITY",
  "AUTH PLAIN",
  "BINARYMIME",
  "CHUNKING",
  "RRVS",
];
const server = (...offered: string[]) => ({
  esmtp: true,
  features: parseFeatures(["x", ...offered]),
  tls: { verified: true },
});

/** Returns the error that a function throws. */
function reasonOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

const MAIL: [options: MailOptions, parameters: string[], keyword: string][] = [
  [{ body: "7BIT" }, ["BODY=7BIT"], "8BITMIME"],
  [{ body: "8BITMIME" }, ["BODY=8BITMIME"], "8BITMIME"],
  [{ body: "BINARYMIME" }, ["BODY=BINARYMIME"], "BINARYMIME"],
  [{ body: "BINARYMIME" }, ["BODY=BINARYMIME"], "CHUNKING"],
  [{ size: 0 }, ["SIZE=0"], "SIZE"],
  [{ size: 9_007_199_254_740_991 }, ["SIZE=9007199254740991"], "SIZE"],
  [{ smtputf8: true }, ["SMTPUTF8"], "SMTPUTF8"],
  [{ ret: "FULL" }, ["RET=FULL"], "DSN"],
  [{ ret: "HDRS" }, ["RET=HDRS"], "DSN"],
  [{ envid: "QQ314159" }, ["ENVID=QQ314159"], "DSN"],
  [{ envid: "a+b=c d" }, ["ENVID=a+2Bb+3Dc+20d"], "DSN"],
  [{ envid: "x".repeat(100) }, [`ENVID=${"x".repeat(100)}`], "DSN"],
  [{ ret: "HDRS", envid: "x" }, ["RET=HDRS", "ENVID=x"], "DSN"],
  [{ requiretls: true }, ["REQUIRETLS"], "REQUIRETLS"],
  [{ by: { seconds: 120, mode: "notify" } }, ["BY=120;N"], "DELIVERBY"],
  [{ by: { seconds: -1, mode: "notify", trace: true } }, ["BY=-1;NT"], "DELIVERBY"],
  [{ by: { seconds: 1, mode: "return", trace: false } }, ["BY=1;R"], "DELIVERBY"],
  [{ by: { seconds: 999_999_999, mode: "return", trace: true } }, ["BY=999999999;RT"], "DELIVERBY"],
  [{ holdFor: 86_400 }, ["HOLDFOR=86400"], "FUTURERELEASE"],
  [{ holdUntil: new Date(Date.UTC(2030, 0, 2, 3, 4, 5, 678)) }, ["HOLDUNTIL=2030-01-02T03:04:05Z"], "FUTURERELEASE"],
  [{ mtPriority: -9 }, ["MT-PRIORITY=-9"], "MT-PRIORITY"],
  [{ mtPriority: 9 }, ["MT-PRIORITY=9"], "MT-PRIORITY"],
  [{ auth: "<>" }, ["AUTH=<>"], "AUTH"],
  [{ auth: "e+mc2@example.com" }, ["AUTH=e+2Bmc2@example.com"], "AUTH"],
];

const since = new Date(Date.UTC(2014, 3, 3, 23, 1));
const RCPT: [options: RcptOptions, parameters: string[], keyword: string][] = [
  [{ notify: ["NEVER"] }, ["NOTIFY=NEVER"], "DSN"],
  [{ notify: ["SUCCESS", "FAILURE", "DELAY"] }, ["NOTIFY=SUCCESS,FAILURE,DELAY"], "DSN"],
  [{ orcpt: "rfc822;b+c@example.com" }, ["ORCPT=rfc822;b+2Bc@example.com"], "DSN"],
  [{ notify: ["DELAY"], orcpt: "utf-8;x" }, ["NOTIFY=DELAY", "ORCPT=utf-8;x"], "DSN"],
  [{ orcpt: `rfc822;${"x".repeat(493)}` }, [`ORCPT=rfc822;${"x".repeat(493)}`], "DSN"],
  [{ orcpt: "UTF-8;jürgen+a@例.example" }, ["ORCPT=UTF-8;j\\x{FC}rgen\\x{2B}a@\\x{4F8B}.example"], "DSN"],
  [{ rrvs: { since } }, ["RRVS=2014-04-03T23:01:00Z"], "RRVS"],
  [{ rrvs: { since, unsupported: "continue" } }, ["RRVS=2014-04-03T23:01:00Z;C"], "RRVS"],
  [
    { rrvs: { since, unsupported: "reject" }, notify: ["NEVER"] },
    ["NOTIFY=NEVER", "RRVS=2014-04-03T23:01:00Z;R"],
    "RRVS",
  ],
];

describe("a typed option of MAIL", () => {
  test.each(MAIL)("%j becomes %j", (options, parameters) => {
    expect(mailParameters(options)(server(...ALL))).toEqual(parameters);
  });

  test.each(MAIL)("%j is refused where its extension is not offered", (options, _, keyword) => {
    const parameters = mailParameters(options);
    const others = ALL.filter((line) => line.split(" ")[0] !== keyword);
    try {
      parameters(server(...others));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SMTPNotSupportedError);
      expect(error).toMatchObject({ capability: keyword, delivery: "not-sent", temporary: false });
      expect(error).toHaveProperty("message", expect.stringContaining(keyword));
    }
  });

  test("that is undefined or false asks for nothing", () => {
    const nothing = { body: undefined, smtputf8: false, requiretls: false, size: undefined, by: undefined };
    expect(mailParameters(nothing)(server())).toEqual([]);
    expect(mailParameters({})(server())).toEqual([]);
    expect(rcptParameters({ notify: undefined })(server())).toEqual([]);
  });

  test.each<[options: unknown, error: unknown, names: string]>([
    [{ body: "9BIT" }, RangeError, "body"],
    [{ size: -1 }, RangeError, "size"],
    [{ size: 1.5 }, RangeError, "size"],
    [{ size: Number.NaN }, RangeError, "size"],
    [{ size: 2 ** 53 }, RangeError, "size"],
    [{ size: "1 AUTH=x" }, TypeError, "size"],
    [{ size: { valueOf: () => 1 } }, TypeError, "size"],
    [{ smtputf8: "yes" }, TypeError, "smtputf8"],
    [{ requiretls: "no" }, TypeError, "requiretls"],
    [{ requiretls: 0 }, TypeError, "requiretls"],
    [{ ret: "ALL" }, RangeError, "ret"],
    [{ ret: ["FULL"] }, RangeError, "ret"],
    [{ envid: 5 }, TypeError, "envid"],
    [{ envid: "a\r\nb" }, RangeError, "envid"],
    [{ envid: "" }, RangeError, "envid"],
    [{ envid: "b\u00fc" }, RangeError, "envid"],
    [{ envid: "x".repeat(101) }, RangeError, "envid"],
    [{ envid: "+".repeat(34) }, RangeError, "envid"],
    [{ by: 120 }, TypeError, "by"],
    [{ by: null }, TypeError, "by"],
    [{ by: { seconds: 120, mode: "N" } }, RangeError, "by.mode"],
    [{ by: { seconds: 0, mode: "return" } }, RangeError, "by.seconds"],
    [{ by: { seconds: 1, mode: "return", trace: "no" } }, TypeError, "by.trace"],
    [{ by: { seconds: 1e9, mode: "notify" } }, RangeError, "by.seconds"],
    [{ by: { seconds: "1", mode: "notify" } }, TypeError, "by.seconds"],
    [{ holdFor: 0 }, RangeError, "holdFor"],
    [{ holdFor: "60" }, TypeError, "holdFor"],
    [{ holdUntil: "2030-01-01" }, TypeError, "holdUntil"],
    [{ holdUntil: new Date(Number.NaN) }, RangeError, "holdUntil"],
    [{ holdFor: 1, holdUntil: new Date() }, RangeError, "holdFor"],
    [{ mtPriority: 10 }, RangeError, "mtPriority"],
    [{ mtPriority: -10 }, RangeError, "mtPriority"],
    [{ mtPriority: "1" }, TypeError, "mtPriority"],
    [{ auth: 1 }, TypeError, "auth"],
    [{ auth: "a\nb" }, RangeError, "auth"],
    [{ auth: "" }, RangeError, "auth"],
    [{ unknown: 1 }, TypeError, "unknown"],
    [{ notify: ["NEVER"] }, TypeError, "notify"],
    [{ SIZE: 1 }, TypeError, "SIZE"],
  ])("%j is refused before a server is asked, by name", (options, error, name) => {
    // @ts-expect-error: a caller without types may pass any value
    const attempt = (): unknown => mailParameters(options);
    expect(attempt).toThrow(error);
    expect(attempt).toThrow(name);
  });

  test("cannot be changed after it was checked", () => {
    const options: MailOptions = { envid: "good" };
    const parameters = mailParameters(options);
    options.envid = "a\r\nb";
    expect(parameters(server("DSN"))).toEqual(["ENVID=good"]);
  });

  test("inside of another cannot be changed after it was checked", () => {
    const by: { seconds: number; mode: "notify" | "return" } = { seconds: 5, mode: "notify" };
    const parameters = mailParameters({ by });
    by.seconds = 7;
    expect(parameters(server("DELIVERBY"))).toEqual(["BY=5;N"]);
  });

  test.each<[options: MailOptions, taken: string, refused: string]>([
    [{ holdFor: 100 }, "FUTURERELEASE 100 2030-01-01T00:00:00Z", "FUTURERELEASE 99 2030-01-01T00:00:00Z"],
    [
      { holdUntil: new Date(Date.UTC(2030, 0, 1)) },
      "FUTURERELEASE 100 2030-01-01T00:00:00Z",
      "FUTURERELEASE 100 2029-12-31T23:59:59Z",
    ],
    [{ by: { seconds: 60, mode: "return" } }, "DELIVERBY 60", "DELIVERBY 61"],
    [{ size: 1000 }, "SIZE 1000", "SIZE 999"],
  ])(
    "%j goes to a server with %j, and not to one with %j (RFC 4865 4, RFC 2852 3, RFC 1870 3)",
    (options, taken, refused) => {
      const parameters = mailParameters(options);
      expect(parameters(server(taken))).toHaveLength(1);
      const [keyword = ""] = refused.split(" ");
      expect(() => parameters(server(refused))).toThrow(SMTPNotSupportedError);
      expect(() => parameters(server(refused))).toThrow(new RegExp(Object.keys(options)[0] ?? "", "i"));
      expect(reasonOf(() => parameters(server(refused)))).toMatchObject({ capability: keyword, delivery: "not-sent" });
    },
  );

  test("by with the mode notify is bound by no least time (RFC 2852 3)", () => {
    expect(mailParameters({ by: { seconds: 1, mode: "notify" } })(server("DELIVERBY 60"))).toEqual(["BY=1;N"]);
  });

  test.each([[undefined], [{ verified: false }]])("requiretls needs verified TLS, not %j (RFC 8689 4.2.1)", (tls) => {
    const parameters = mailParameters({ requiretls: true });
    expect(reasonOf(() => parameters({ ...server("REQUIRETLS"), tls }))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability: "REQUIRETLS",
      delivery: "not-sent",
    });
  });
});

describe("a typed option of RCPT", () => {
  test.each(RCPT)("%j becomes %j, and needs %s", (options, parameters, keyword) => {
    expect(rcptParameters(options)(server(...ALL))).toEqual(parameters);
    const others = server(...ALL.filter((line) => line !== keyword));
    expect(reasonOf(() => rcptParameters(options)(others))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability: keyword,
    });
  });

  test.each<[options: unknown, error: unknown, name: string]>([
    [{ notify: [] }, RangeError, "notify"],
    [{ notify: ["NEVER", "DELAY"] }, RangeError, "notify"],
    [{ notify: ["ALWAYS"] }, RangeError, "notify"],
    [{ notify: "FAILURE" }, TypeError, "notify"],
    [{ orcpt: "user@example.com" }, RangeError, "orcpt"],
    [{ orcpt: ";user@example.com" }, RangeError, "orcpt"],
    [{ orcpt: "rfc822;" }, RangeError, "orcpt"],
    [{ orcpt: "rfc822;a\r\nb" }, RangeError, "orcpt"],
    [{ orcpt: "rfc 822;a" }, RangeError, "orcpt"],
    [{ orcpt: 1 }, TypeError, "orcpt"],
    [{ orcpt: "rfc822;jürgen@example.com" }, RangeError, "orcpt"],
    [{ orcpt: `rfc822;${"x".repeat(494)}` }, RangeError, "orcpt"],
    [{ rrvs: 1 }, TypeError, "rrvs must be an object with since"],
    [{ rrvs: null }, TypeError, "rrvs must be an object with since"],
    [{ rrvs: {} }, TypeError, "rrvs.since"],
    [{ rrvs: { since: "2014-04-03" } }, TypeError, "rrvs.since"],
    [{ rrvs: { since: new Date(Number.NaN) } }, RangeError, "rrvs.since"],
    [{ rrvs: { since: new Date(Date.UTC(12_345, 0)) } }, RangeError, "rrvs.since"],
    [{ rrvs: { since, unsupported: "C" } }, RangeError, "rrvs.unsupported"],
    [{ size: 1 }, TypeError, "size"],
  ])("%j is refused, by name", (options, error, name) => {
    // @ts-expect-error: a caller without types may pass any value
    const attempt = (): unknown => rcptParameters(options);
    expect(attempt).toThrow(error);
    expect(attempt).toThrow(name);
  });
});

describe("what a server says of itself", () => {
  test.each<[lines: string[], offer: object]>([
    [["SIZE"], { size: { limit: undefined } }],
    [["SIZE 0"], { size: { limit: undefined } }],
    [["SIZE 10240000"], { size: { limit: 10_240_000 } }],
    [["SIZE huge"], { size: { limit: undefined } }],
    [["SIZE 10M"], { size: { limit: undefined } }],
    [["SIZE 10 MB"], { size: { limit: undefined } }],
    [["SIZE 1e6"], { size: { limit: undefined } }],
    [["SIZE -1"], { size: { limit: undefined } }],
    [["SIZE=1000"], { size: { limit: undefined } }],
    [["SIZE 0x10"], { size: { limit: undefined } }],
    [["SIZE 00000000000000001000"], { size: { limit: 1000 } }],
    [["SIZE 99999999999999999999"], { size: { limit: 1e20 } }],
    [["SIZE 100000000000000000000"], { size: { limit: undefined } }],
    [["AUTH plain LOGIN"], { auth: { mechanisms: ["PLAIN", "LOGIN"] } }],
    [["AUTH=PLAIN", "AUTH PLAIN,LOGIN X.Y CRAM-MD5"], { auth: { mechanisms: ["PLAIN", "CRAM-MD5"] } }],
    [["DELIVERBY"], { deliverBy: { minimum: undefined } }],
    [["DELIVERBY 240"], { deliverBy: { minimum: 240 } }],
    [["DELIVERBY 1000000000"], { deliverBy: { minimum: undefined } }],
    [["DELIVERBY 240s"], { deliverBy: { minimum: undefined } }],
    [["DELIVERBY 240 x"], { deliverBy: { minimum: undefined } }],
    [["DELIVERBY 240,X-NEW,y"], { deliverBy: { minimum: 240 } }],
    [["DELIVERBY ,X-NEW"], { deliverBy: { minimum: undefined } }],
    [["DELIVERBY -240"], { deliverBy: { minimum: undefined } }],
    [
      ["FUTURERELEASE 86400 2030-06-01t12:00:00.5z"],
      { futureRelease: { longest: 86_400, latest: "2030-06-01T12:00:00Z" } },
    ],
    [["FUTURERELEASE 14d 2030-13-01T12:00:00Z"], { futureRelease: { longest: undefined, latest: undefined } }],
    [["FUTURERELEASE 86400 2030-06-01T12:00:00+02:00"], { futureRelease: { longest: 86_400, latest: undefined } }],
    [["FUTURERELEASE 1 2030-06-01T12:00:00Z x"], { futureRelease: { longest: undefined, latest: undefined } }],
    [["FUTURERELEASE soon later"], { futureRelease: { longest: undefined, latest: undefined } }],
    [["MT-PRIORITY"], { mtPriority: { profile: undefined } }],
    [["MT-PRIORITY nsep"], { mtPriority: { profile: "NSEP" } }],
    [["MT-PRIORITY nsep mixer"], { mtPriority: { profile: undefined } }],
    [["MT-PRIORITY =nsep"], { mtPriority: { profile: undefined } }],
    [["LIMITS MAILMAX=20 RcptMax=100 RCPTDOMAINMAX=1"], { limits: { mailMax: 20, rcptMax: 100, rcptDomainMax: 1 } }],
    [
      ["LIMITS RCPTMAX=0 MAILMAX= X-NEW=5 RCPTMAX MAILMAX=1000000 RCPTDOMAINMAX=-1 =3"],
      { limits: { mailMax: undefined, rcptMax: undefined, rcptDomainMax: undefined } },
    ],
    [["SIZE 5", "LIMITS RCPTMAX=7 RCPTMAX=x", "X-A b"], { size: { limit: 5 }, limits: { rcptMax: 7 } }],
    [["LIMITS RCPTMAX=10k RCPTMAX=0x10 MAILMAX=+5"], { limits: { mailMax: undefined, rcptMax: undefined } }],
    [["8BITMIME", "DSN"], {}],
    [["STARTTLS now", "CHUNKING 1M", "PIPELINING x"], {}],
  ])("in %j is read", (lines, offer) => {
    const found = offerOf(parseFeatures(["x", ...lines]));
    expect(found).toMatchObject(offer);
    expect(Object.keys(found)).toEqual(Object.keys(offer));
  });

  test("is read without an error, whatever it is", () => {
    const line = fc.tuple(fc.constantFrom(...EXTENSIONS.map(({ keyword }) => keyword)), fc.string());
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        offerOf(parseFeatures(["x", ...lines.map(([keyword, rest]) => `${keyword} ${rest}`)]));
      }),
    );
  });
});

describe("recipients within the limits of RFC 9422", () => {
  test.each<[domains: string[], limits: Partial<Limits>, portions: number[][]]>([
    [["a", "b", "a"], {}, [[0, 1, 2]]],
    [["a", "b", "a"], { rcptMax: 2 }, [[0, 1], [2]]],
    [
      ["a", "b", "a", "b"],
      { rcptDomainMax: 1 },
      [
        [0, 2],
        [1, 3],
      ],
    ],
    [["a", "b", "a", "a"], { rcptMax: 2, rcptDomainMax: 1 }, [[0, 2], [1], [3]]],
    [[], { rcptMax: 1 }, []],
  ])("of the domains %j under %j go as %j", (domains, given, portions) => {
    const limits = { mailMax: undefined, rcptMax: undefined, rcptDomainMax: undefined, ...given };
    expect(portionsWithin(domains, limits)).toEqual(portions);
  });

  test.each<[name: string, limits: Partial<Limits>]>([
    ["a recipient", { rcptMax: 1 }],
    ["a domain", { rcptDomainMax: 1 }],
    ["ten of each", { rcptMax: 10, rcptDomainMax: 10 }],
  ])("are shared out in linear time, whatever a server says: %s", (_, given) => {
    const limits = { mailMax: undefined, rcptMax: undefined, rcptDomainMax: undefined, ...given };
    expectLinear(
      (size) => Array.from({ length: size / 16 }, (_, index) => `d${index}`),
      (domains) => portionsWithin(domains, limits),
    );
  });

  test("are all there, each once, in portions that keep to the limits", () => {
    const domains = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 40 });
    fc.assert(
      fc.property(
        domains,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 4 }),
        (all, rcptMax, rcptDomainMax) => {
          const portions = portionsWithin(all, { mailMax: undefined, rcptMax, rcptDomainMax });
          expect(portions.flat().sort((a, b) => a - b)).toEqual(all.map((_, index) => index));
          for (const portion of portions) {
            expect(portion.length).toBeLessThanOrEqual(rcptMax);
            expect(new Set(portion.map((index) => all[index])).size).toBeLessThanOrEqual(rcptDomainMax);
          }
        },
      ),
    );
  });
});

describe("an enhanced status code", () => {
  test.each([
    ["2.1.5", "Success: Destination address valid"],
    ["4.2.2", "Persistent transient failure: Mailbox full"],
    ["5.1.1", "Permanent failure: Bad destination mailbox address"],
    ["5.1.10", "Permanent failure: Recipient address has null MX"],
    ["5.7.1", "Permanent failure: Delivery not authorized, message refused"],
    ["5.7.30", "Permanent failure: REQUIRETLS support required"],
    ["4.7.999", "Persistent transient failure: unregistered code 4.7.999, about security or policy"],
    ["5.42.1", "Permanent failure: unregistered code 5.42.1, of an unregistered subject"],
    ["3.1.1", undefined],
    ["5.1", undefined],
    ["5.1.1234", undefined],
    ["5.1.1 no", undefined],
    ["__proto__", undefined],
  ])("%s means %j", (code, meaning) => {
    expect(describeStatus(code)).toBe(meaning);
  });
});
