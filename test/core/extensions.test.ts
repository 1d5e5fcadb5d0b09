/** Typed options of MAIL and RCPT: the parameter that each becomes, and what is refused (API.md, Arguments). */
import { describe, expect, test } from "vitest";
import type { MailOptions, RcptOptions } from "../../src/core/extensions/extension.ts";
import { mailParameters, rcptParameters } from "../../src/core/extensions/index.ts";
import { parseFeatures } from "../../src/core/features.ts";
import { SMTPNotSupportedError } from "../../src/errors.ts";

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
];
const server = (...offered: string[]) => ({ esmtp: true, features: parseFeatures(["x", ...offered]) });

const MAIL: [options: MailOptions, parameters: string[], keyword: string][] = [
  [{ body: "7BIT" }, ["BODY=7BIT"], "8BITMIME"],
  [{ body: "8BITMIME" }, ["BODY=8BITMIME"], "8BITMIME"],
  [{ size: 0 }, ["SIZE=0"], "SIZE"],
  [{ size: 9_007_199_254_740_991 }, ["SIZE=9007199254740991"], "SIZE"],
  [{ smtputf8: true }, ["SMTPUTF8"], "SMTPUTF8"],
  [{ ret: "FULL" }, ["RET=FULL"], "DSN"],
  [{ ret: "HDRS" }, ["RET=HDRS"], "DSN"],
  [{ envid: "QQ314159" }, ["ENVID=QQ314159"], "DSN"],
  [{ envid: "a+b=c d" }, ["ENVID=a+2Bb+3Dc+20d"], "DSN"],
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

const RCPT: [options: RcptOptions, parameters: string[]][] = [
  [{ notify: ["NEVER"] }, ["NOTIFY=NEVER"]],
  [{ notify: ["SUCCESS", "FAILURE", "DELAY"] }, ["NOTIFY=SUCCESS,FAILURE,DELAY"]],
  [{ orcpt: "rfc822;b+c@example.com" }, ["ORCPT=rfc822;b+2Bc@example.com"]],
  [{ notify: ["DELAY"], orcpt: "utf-8;x" }, ["NOTIFY=DELAY", "ORCPT=utf-8;x"]],
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
    expect(mailParameters({ smtputf8: false, requiretls: false, size: undefined, by: undefined })(server())).toEqual(
      [],
    );
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
    [{ by: 120 }, TypeError, "by"],
    [{ by: null }, TypeError, "by"],
    [{ by: { seconds: 120, mode: "N" } }, RangeError, "by.mode"],
    [{ by: { seconds: 0, mode: "return" } }, RangeError, "by.seconds"],
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
    // @ts-expect-error: what a caller without types may pass
    const attempt = (): unknown => mailParameters(options);
    expect(attempt).toThrow(error);
    expect(attempt).toThrow(name);
  });

  test("for BINARYMIME needs BDAT, which is not sent yet", () => {
    expect(() => mailParameters({ body: "BINARYMIME" })).toThrow(SMTPNotSupportedError);
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

  test("holdFor is at most what the server takes (RFC 4865 4)", () => {
    const long = mailParameters({ holdFor: 100 });
    expect(long(server("FUTURERELEASE 100 2030-01-01T00:00:00Z"))).toEqual(["HOLDFOR=100"]);
    expect(() => long(server("FUTURERELEASE 99 2030-01-01T00:00:00Z"))).toThrow(/holdFor/);
  });
});

describe("a typed option of RCPT", () => {
  test.each(RCPT)("%j becomes %j, and needs DSN", (options, parameters) => {
    expect(rcptParameters(options)(server("DSN"))).toEqual(parameters);
    expect(() => rcptParameters(options)(server(...ALL.filter((line) => line !== "DSN")))).toThrow(
      SMTPNotSupportedError,
    );
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
    [{ size: 1 }, TypeError, "size"],
  ])("%j is refused, by name", (options, error, name) => {
    // @ts-expect-error: what a caller without types may pass
    const attempt = (): unknown => rcptParameters(options);
    expect(attempt).toThrow(error);
    expect(attempt).toThrow(name);
  });

  test("orcpt beyond ASCII is encoded so that any server can take it", () => {
    const [parameter = ""] = rcptParameters({ orcpt: "utf-8;jürgen@example.com" })(server("DSN"));
    expect(parameter).toMatch(/^ORCPT=utf-8;[\x21-\x7e]+$/);
  });
});
