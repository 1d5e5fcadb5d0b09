/**
 * PLAIN, LOGIN, CRAM-MD5, EXTERNAL and ANONYMOUS: the examples of their RFCs, refused credentials, and no secrets in
 * errors.
 */
import { createHmac } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { anonymous, cramMd5, external, login, type Mechanism, plain } from "../../src/sasl/index.ts";
import { exchange } from "./exchange.ts";

describe("PLAIN", () => {
  test.each([
    ["without an authorization identity", { user: "tim", password: "tanstaaftanstaaf" }, "\0tim\0tanstaaftanstaaf"],
    ["with one", { authzid: "Ursel", user: "Kurt", password: "xipj3plmq" }, "Ursel\0Kurt\0xipj3plmq"],
  ])("RFC 4616 4, %s", async (_, credentials, message) => {
    expect(await exchange(plain(credentials))).toEqual({ initial: message, responses: [] });
  });

  test("has no answer to a challenge", async () => {
    expect((await exchange(plain({ user: "u", password: "p" }), ["more?"])).responses).toEqual(["cancelled"]);
  });

  test("sends UTF-8", () => {
    const steps = plain({ user: "jürgen", password: "pässwörd" }).start({ host: "h", tls: undefined });
    expect(steps.next().value).toEqual(new TextEncoder().encode("\0jürgen\0pässwörd"));
  });
});

describe("LOGIN", () => {
  test.each([
    ["the usual questions", ["Username:", "Password:"]],
    ["other questions", ["User Name\0", "Password\0"]],
    ["questions in the wrong words", ["Password:", "Username:"]],
    ["empty questions", ["", ""]],
  ])("counts: %s", async (_, challenges) => {
    const { initial, responses } = await exchange(login({ user: "tim", password: "secret" }), challenges);
    expect(initial).toBeUndefined();
    expect(responses).toEqual(["tim", "secret"]);
  });

  test("has no answer to a third question", async () => {
    const { responses } = await exchange(login({ user: "tim", password: "secret" }), ["a", "b", "c"]);
    expect(responses).toEqual(["tim", "secret", "cancelled"]);
  });
});

describe("CRAM-MD5", () => {
  test("RFC 2195 2: the example", async () => {
    const mechanism = cramMd5({ user: "tim", password: "tanstaaftanstaaf" });
    expect(await exchange(mechanism, ["<1896.697170952@postoffice.reston.mci.net>"])).toEqual({
      initial: undefined,
      responses: ["tim b913a602c7eda7a495b4e6e7334d3890"],
    });
  });

  test("has no answer to a second challenge", async () => {
    const { responses } = await exchange(cramMd5({ user: "u", password: "p" }), ["<1@x>", "<2@x>"]);
    expect(responses).toEqual([expect.stringMatching(/^u [0-9a-f]{32}$/), "cancelled"]);
  });

  test("a mechanism can be used again", async () => {
    const mechanism = cramMd5({ user: "u", password: "p" });
    const [first, second] = [await exchange(mechanism, ["<1@x>"]), await exchange(mechanism, ["<2@x>"])];
    expect(await exchange(mechanism, ["<1@x>"])).toEqual(first);
    expect(second).not.toEqual(first);
  });
});

describe.each([
  ["PLAIN", plain, true],
  ["LOGIN", login, true],
  ["CRAM-MD5", cramMd5, false],
] as const)("%s", (name, create, clearText) => {
  test("says what it is", () => {
    expect(create({ user: "u", password: "p" })).toMatchObject({ name, clearText });
  });

  test.each([
    ["a NUL in the user", { user: "a\0b", password: "p" }, TypeError, /^user/],
    ["a NUL in the password", { user: "u", password: "\0" }, TypeError, /^password/],
    ["a line end", { user: "u", password: "hush\r\n" }, RangeError, /^password/],
    ["a tab in the user", { user: "a\tb", password: "p" }, RangeError, /^user/],
    ["a lone surrogate", { user: "\ud800", password: "p" }, TypeError, /^user/],
    ["a lone surrogate in the password", { user: "u", password: "x\udc00" }, TypeError, /^password/],
    ["a missing password", { user: "u" }, TypeError, /^password/],
    ["a String object", { user: new String("u"), password: "p" }, TypeError, /^user/],
    ["something that turns into a string", { user: "u", password: { toString: () => "p" } }, TypeError, /^password/],
    ["an array", { user: ["u"], password: "p" }, TypeError, /^user/],
    ["a number", { user: "u", password: 1234 }, TypeError, /^password/],
  ])("refuses %s before anything is sent", (_, credentials, error, message) => {
    const attempt = () => Reflect.apply(create, undefined, [credentials]);
    expect(attempt).toThrow(error);
    expect(attempt).toThrow(message);
  });

  test.each(["ge²heim", "\u0627\u0644\u0633\u0631", "\u06271", "a\u00adb", "\u00aa\u00a0b", "\ue000", "\u212b"])(
    "takes user and password as they are, in UTF-8: %j",
    async (text) => {
      const challenge = new TextEncoder().encode("<1@x>");
      const steps = create({ user: text, password: text }).start({ host: "h", tls: undefined });
      const sent = [steps.next().value, steps.next(challenge).value, steps.next(challenge).value];
      const digest = createHmac("md5", text).update("<1@x>").digest("hex");
      const expected = {
        PLAIN: [`\0${text}\0${text}`],
        LOGIN: ["", text, text],
        "CRAM-MD5": ["", `${text} ${digest}`],
      };
      expect(sent.filter((octets) => octets instanceof Uint8Array)).toEqual(
        expected[name].map((said) => new TextEncoder().encode(said)),
      );
    },
  );

  test("shows no credential to a logger", () => {
    const mechanism = create({ user: "tim-the-user", password: "tanstaaftanstaaf" });
    const steps = mechanism.start({ host: "h", tls: undefined });
    for (const value of [mechanism, steps]) {
      const shown = `${inspect(value, { depth: 9, showHidden: true })}${JSON.stringify(value)}${String(value)}`;
      expect(shown).not.toMatch(/tanstaaf|tim-the-user/);
    }
  });

  test("an error shows nothing of the password", () => {
    fc.assert(
      fc.property(fc.constantFrom("\0", "\x07", "\ud800", "\udc00a"), (bad) => {
        const attempt = () => create({ user: "u", password: `tanstaaf${bad}` });
        expect(attempt).toThrow(/^(?!.*tanstaaf)password/);
      }),
    );
  });
});

test("the authorization identity of PLAIN is checked too", () => {
  const attempt = (authzid: string) => () => plain({ authzid, user: "u", password: "p" });
  expect(attempt("a\0b")).toThrow(TypeError);
  expect(attempt("a\ud800b")).toThrow(/^authzid/);
});

describe("EXTERNAL", () => {
  test.each([
    ["leaves it to the server whom it is", external(), ""],
    ["leaves it to the server for an empty identity", external({ authzid: "" }), ""],
    ["says as whom to act", external({ authzid: "fred@example.com" }), "fred@example.com"],
  ])("RFC 4422 A.4: %s, and has no answer to a challenge", async (_, mechanism, initial) => {
    expect(mechanism).toMatchObject({ name: "EXTERNAL", clearText: false });
    expect(await exchange(mechanism, ["more?"])).toEqual({ initial, responses: ["cancelled"] });
  });

  test("takes an identity as it is, and none with NUL or half of a character", () => {
    const steps = external({ authzid: "ge²heim" }).start({ host: "h", tls: undefined });
    expect(steps.next().value).toEqual(new TextEncoder().encode("ge²heim"));
    expect(() => external({ authzid: "a\0b" })).toThrow(TypeError);
    expect(() => external({ authzid: "a\x07b" })).toThrow(/^authzid/);
    expect(() => external({ authzid: "a\ud800" })).toThrow(/^authzid/);
  });
});

describe("ANONYMOUS", () => {
  test.each([
    ["nothing", anonymous(), ""],
    ["the trace of RFC 4505 4", anonymous({ trace: "sirhc" }), "sirhc"],
    ["255 characters", anonymous({ trace: "\u{1f600}".repeat(255) }), "\u{1f600}".repeat(255)],
  ])("leaves %s, and has no answer to a challenge", async (_, mechanism, initial) => {
    expect(mechanism).toMatchObject({ name: "ANONYMOUS", clearText: false });
    expect(await exchange(mechanism, ["more?"])).toEqual({ initial, responses: ["cancelled"] });
  });

  test.each<[name: string, trace: unknown, error: typeof RangeError | typeof TypeError]>([
    ["256 characters", "x".repeat(256), RangeError],
    ["a line break", "a\r\nb", RangeError],
    ["NUL", "a\0b", RangeError],
    ["half of a character", "\ud800", RangeError],
    ["a number", 5, TypeError],
  ])("takes no trace of %s (RFC 4505 3)", (_, trace, error) => {
    expect(() => Reflect.apply(anonymous, undefined, [{ trace }])).toThrow(error);
  });
});

test("a mechanism written for the documented interface is one", async () => {
  type Documented = {
    readonly name: string;
    readonly clearText: boolean;
    start(context: { host: string }): Generator<Uint8Array | Promise<Uint8Array>, void, Uint8Array>;
  };
  expectTypeOf<Documented>().toExtend<Mechanism>();
  const own: Documented = {
    name: "X-REVERSE",
    clearText: false,
    *start({ host }) {
      const challenge = yield Promise.resolve(new TextEncoder().encode(host));
      yield Promise.resolve(challenge.toReversed());
    },
  };
  expect(await exchange(own, ["abc"])).toEqual({ initial: "mail.example.com", responses: ["cba"] });
});
