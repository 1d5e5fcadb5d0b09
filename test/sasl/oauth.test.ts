/** OAUTHBEARER and XOAUTH2: the examples of their specifications, refusals, and token functions. */
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { oauthbearer, xoauth2 } from "../../src/sasl/index.ts";
import { reasonOf } from "../support/session.ts";
import { exchange } from "./exchange.ts";

const base64 = (text: string | undefined): string => Buffer.from(text ?? "").toString("base64");
const token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

test("RFC 7628 4.5: OAUTHBEARER over SMTP", async () => {
  const mechanism = oauthbearer({ user: "user@example.com", token, host: "server.example.com", port: 587 });
  const { initial } = await exchange(mechanism);
  expect(base64(initial)).toBe(
    "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52" +
      "YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB",
  );
});

test("Google's example: XOAUTH2", async () => {
  const mechanism = xoauth2({
    user: "someuser@example.com",
    token: "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
  });
  const { initial } = await exchange(mechanism);
  expect(base64(initial)).toBe(
    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0" +
      "Q2cBAQ==",
  );
});

test("OAUTHBEARER names the host that was connected to, and escapes the user", async () => {
  const { initial } = await exchange(oauthbearer({ user: "a=b,c", token }));
  expect(initial).toBe(`n,a=a=3Db=2Cc,\x01host=mail.example.com\x01auth=Bearer ${token}\x01\x01`);
  const unix = await exchange(oauthbearer({ user: "", token }), [], { host: "" });
  expect(unix.initial).toBe(`n,,\x01auth=Bearer ${token}\x01\x01`);
});

describe.each([
  ["OAUTHBEARER", oauthbearer, "\x01"],
  ["XOAUTH2", xoauth2, ""],
] as const)("%s", (name, create, dummy) => {
  test("says what it is, and shows no token", () => {
    const mechanism = create({ user: "u", token });
    expect(mechanism).toMatchObject({ name, clearText: true });
    const shown = inspect([mechanism, mechanism.start({ host: "h", tls: undefined })], { depth: 9, showHidden: true });
    expect(shown).not.toContain(token);
  });

  test("sends the user as it is, in UTF-8", () => {
    const steps = create({ user: "ge²heim\u0627", token }).start({ host: "h", tls: undefined });
    return expect(steps.next().value).resolves.toSatisfy((octets) =>
      new TextDecoder().decode(octets).includes("=ge²heim\u0627"),
    );
  });

  test("answers the server's error, and has nothing to say after that", async () => {
    const { responses } = await exchange(create({ user: "u", token }), ['{"status":"401"}', "more?"]);
    expect(responses).toEqual([dummy, "cancelled"]);
  });

  test("asks a function for the token when it is needed, once an exchange", async () => {
    const ask = vi.fn(async () => `token-${ask.mock.calls.length}`);
    const mechanism = create({ user: "u", token: ask });
    const steps = mechanism.start({ host: "h", tls: undefined });
    expect(ask).not.toHaveBeenCalled();
    steps.return();
    expect((await exchange(mechanism)).initial).toContain("auth=Bearer token-1\x01");
    expect((await exchange(mechanism, ["{}"])).initial).toContain("auth=Bearer token-2\x01");
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test("hands on why there is no token", async () => {
    const own = new Error("the authorization server is down");
    expect(await reasonOf(exchange(create({ user: "u", token: () => Promise.reject(own) })))).toMatchObject({
      name: "SMTPException",
      message: "the token function failed: the authorization server is down",
      cause: own,
      temporary: false,
    });
  });

  test.each([["", "a b", "a\x01b", "a\r\nb", "tökén", undefined, 1, null, {}]].flat())(
    "refuses a token that is none, showing nothing of it: %j",
    async (bad) => {
      const make = (given: unknown) => () => Reflect.apply(create, undefined, [{ user: "u", token: given }]);
      expect(make(bad)).toThrow(/^token must be/);
      const late = await reasonOf(exchange(make(async () => bad)()));
      expect(late).toMatchObject({ name: "SMTPException", cause: expect.any(TypeError) });
      expect(String(late)).toBe(
        "SMTPException: the token function failed: token must be a string of visible ASCII characters",
      );
    },
  );

  test.each([
    ["a NUL in the user", { user: "a\0", token }, TypeError],
    ["half of a character in the user", { user: "\ud800", token }, TypeError],
    ["a separator in the user", { user: "a\x01auth=Bearer x", token }, RangeError],
  ])("refuses %s", (_, credentials, error) => {
    expect(() => create(credentials)).toThrow(error);
  });

  test.each<[challenge: string, explained: unknown]>([
    [
      '{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known"}',
      { status: "invalid_token", scope: "example_scope", "openid-configuration": "https://example.com/.well-known" },
    ],
    [
      '{"status":"401","schemes":"bearer mac","scope":"https://mail.google.com/"}',
      { status: "401", schemes: "bearer mac", scope: "https://mail.google.com/" },
    ],
    ['{"status":400,"more":{"a":[1]}}', { status: "400", more: '{"a":[1]}' }],
    ["{}", {}],
    ["[1]", undefined],
    ['"text"', undefined],
    ["null", undefined],
    ["{", undefined],
    ["", undefined],
  ])("explains %s", (challenge, explained) => {
    const told = create({ user: "u", token }).explain?.(new TextEncoder().encode(challenge));
    expect(told && { ...told }).toEqual(explained);
  });

  test("explains whatever comes, as texts, and never throws", () => {
    const mechanism = create({ user: "u", token });
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        const told = mechanism.explain?.(new TextEncoder().encode(text)) ?? {};
        expect(Object.values(told).every((value) => typeof value === "string")).toBe(true);
      }),
    );
  });
});

test("the host and port of OAUTHBEARER are checked", () => {
  const make = (more: object) => () => Reflect.apply(oauthbearer, undefined, [{ user: "u", token, ...more }]);
  expect(make({ host: "a\x01b" })).toThrow(/^host/);
  expect(make({ port: "25" })).toThrow(/^port/);
});
