/** The extensions in a reply to EHLO, read as Python's ehlo() does. */
import { describe, expect, test } from "vitest";
import { noFeatures, parseFeatures } from "../../src/core/features.ts";
import { expectLinear } from "../support/linear.ts";

const parse = (...lines: string[]): Record<string, string> => ({ ...parseFeatures(["mail.example.com", ...lines]) });

describe("the features", () => {
  test.each<[lines: string[], features: Record<string, string>]>([
    [[], {}],
    [["PIPELINING"], { pipelining: "" }],
    [["pipelining", "8bitMIME"], { pipelining: "", "8bitmime": "" }],
    [["SIZE 35882577"], { size: "35882577" }],
    [["SIZE   35882577  "], { size: "35882577" }],
    [["SIZE"], { size: "" }],
    [["SIZE 1", "SIZE 2"], { size: "2" }],
    [["DELIVERBY 240", "X-EXPS GSSAPI NTLM"], { deliverby: "240", "x-exps": "GSSAPI NTLM" }],
    [["8BIT=x"], { "8bit": "=x" }],
    [["A.B c"], { a: ".B c" }],
    [["DSN\tx"], { dsn: "x" }],
    [["", "-x", "_x", " ", "=", "\u00e9x"], {}],
  ])("of %j", (lines, features) => {
    expect(parse(...lines)).toEqual(features);
  });

  test("are not read from the first line, which is a greeting", () => {
    expect({ ...parseFeatures(["PIPELINING is what I do not offer", "DSN"]) }).toEqual({ dsn: "" });
    expect({ ...parseFeatures([]) }).toEqual({});
  });

  test.each<[lines: string[], auth: string]>([
    [["AUTH PLAIN LOGIN"], "PLAIN LOGIN"],
    [["AUTH=LOGIN PLAIN"], "LOGIN PLAIN"],
    [["AUTH=LOGIN", "AUTH PLAIN CRAM-MD5"], "LOGIN PLAIN CRAM-MD5"],
    [["AUTH PLAIN", "AUTH=LOGIN"], "PLAIN LOGIN"],
    [["AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN"], "PLAIN LOGIN"],
    [["auth=plain", "Auth  login "], "plain login"],
    [["AUTH"], ""],
    [["AUTH", "AUTH PLAIN"], "PLAIN"],
    [["AUTH PLAIN", "AUTH"], "PLAIN"],
    [["AUTH\tPLAIN", "AUTH LOGIN"], "PLAIN LOGIN"],
  ])("of %j add up under auth", (lines, auth) => {
    expect(parse(...lines)).toEqual({ auth });
  });

  test("have no prototype: a keyword is only data", () => {
    const features = parseFeatures(["x", "CONSTRUCTOR 1", "toString", "DSN"]);
    expect(Object.getPrototypeOf(features)).toBeNull();
    expect(features["constructor"]).toBe("1");
    expect("hasownproperty" in features).toBe(false);
    expect("__proto__" in parseFeatures(["x", "__proto__ polluted"])).toBe(false);
    expect(Object.getPrototypeOf(noFeatures())).toBeNull();
    expect(Object.keys(noFeatures())).toEqual([]);
  });

  test.each<[string, (size: number) => string[]]>([
    ["a line of mechanisms", (size) => ["x", `AUTH ${"A ".repeat(size / 2)}`]],
    [
      "lines of other mechanisms each",
      (size) => ["x", ...Array.from({ length: size / 256 }, (_, i) => `AUTH M${i} N${i}`)],
    ],
    ["white space", (size) => ["x", `AUTH ${" ".repeat(size)}x`, `SIZE ${" ".repeat(size)}1`]],
    ["one keyword", (size) => ["x", "a-".repeat(size / 2)]],
  ])("of a megabyte are read in linear time: %s", (_, make) => {
    expectLinear(make, (lines) => void parseFeatures(lines));
  });
});
