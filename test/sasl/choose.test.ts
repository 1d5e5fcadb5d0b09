/** The mechanisms to try, and their order. */
import { describe, expect, test } from "vitest";
import { chooseMechanisms, passwordMechanisms } from "../../src/sasl/choose.ts";
import { PASSWORD_MECHANISMS } from "../../src/sasl/names.ts";

const choose = (offered: readonly string[], mechanisms?: readonly string[]) =>
  chooseMechanisms(offered, passwordMechanisms.keys(), mechanisms);

describe("the choice of mechanisms", () => {
  test("is among those whose names are known without their code", () => {
    expect([...passwordMechanisms.keys()]).toEqual(PASSWORD_MECHANISMS);
  });

  test.each([
    [
      "the strongest first, whatever the server's order",
      ["LOGIN", "PLAIN", "CRAM-MD5"],
      ["CRAM-MD5", "PLAIN", "LOGIN"],
    ],
    ["only what is offered", ["LOGIN"], ["LOGIN"]],
    ["what nobody here knows is passed over", ["GSSAPI", "X-OWN", "PLAIN"], ["PLAIN"]],
    ["the case of the server does not matter", ["plain", "Cram-Md5"], ["CRAM-MD5", "PLAIN"]],
    ["each one once", ["PLAIN", "plain", "PLAIN"], ["PLAIN"]],
    ["names that objects have by birth", ["CONSTRUCTOR", "__proto__"], []],
    ["nothing offered", [], []],
  ])("%s", (_, offered, expected) => {
    expect(choose(offered)).toEqual(expected);
  });

  test.each([
    ["restricts", ["PLAIN"], ["PLAIN"]],
    ["gives the order", ["LOGIN", "CRAM-MD5"], ["LOGIN", "CRAM-MD5"]],
    ["may be in any case", ["plain"], ["PLAIN"]],
    ["counts a repeated name once", ["PLAIN", "plain"], ["PLAIN"]],
    ["may be empty", [], []],
  ])("the user's list %s", (_, mechanisms, expected) => {
    expect(choose(["CRAM-MD5", "PLAIN", "LOGIN"], mechanisms)).toEqual(expected);
  });

  test("the user's list does not bring in what is not offered", () => {
    expect(choose(["PLAIN"], ["CRAM-MD5", "PLAIN"])).toEqual(["PLAIN"]);
  });

  test("an unknown name in the user's list is a RangeError, offered or not", () => {
    expect(() => choose(["GSSAPI"], ["GSSAPI"])).toThrow(RangeError);
    expect(() => choose(["PLAIN"], ["PLAIN", "constructor"])).toThrow(/^mechanisms: "constructor"/);
  });

  test.each([["PLAIN"], [[1]], [[["PLAIN"]]], [{}], [null]])("a list that is none is a TypeError: %j", (mechanisms) => {
    expect(() => Reflect.apply(choose, undefined, [["PLAIN"], mechanisms])).toThrow(TypeError);
  });

  test("every mechanism in the table makes what its name says", () => {
    for (const [name, create] of passwordMechanisms) {
      expect(create({ user: "u", password: "p" }).name).toBe(name);
    }
  });
});
