/** auth(), and secrets that must not cross a network in clear text (SECURITY.md, rules 3 and 8). */
import { describe, expect, test } from "vitest";
import { type AuthObject, type Mechanism, SMTPException } from "../../src/index.ts";
import { anonymous, external, login, oauthbearer, plain, xoauth2 } from "../../src/sasl/index.ts";
import { reasonOf, session } from "../support/session.ts";
import { authServer } from "./auth-server.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("over an unencrypted connection that is not loopback", () => {
  const far = { loopback: false };

  test("login sends no password in clear, before a byte of it is written", async () => {
    for (const mechanisms of ["PLAIN", "LOGIN", "PLAIN LOGIN"]) {
      const { server, smtp } = await session(authServer(mechanisms, {}, far));
      expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({
        name: "SMTPNotSupportedError",
        capability: "STARTTLS",
      });
      expect(server.lines.some((line) => line.startsWith("AUTH"))).toBe(false);
      expect(smtp.connected).toBe(true);
    }
  });

  test("login takes what hides the password, and does not fall back", async () => {
    const { server, smtp } = await session(
      authServer("CRAM-MD5 PLAIN LOGIN", { "CRAM-MD5": ["334 eA==", "535 no"], PLAIN: "235 in" }, far),
    );
    expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({ smtp_code: 535 });
    expect(server.lines.filter((line) => line.startsWith("AUTH"))).toEqual(["AUTH CRAM-MD5"]);
  });

  test.each(["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "plain"])("auth(%s) is refused too", async (name) => {
    const { server, smtp } = await session({ peer: far });
    expect(await reasonOf(smtp.auth(name, () => "secret"))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability: "STARTTLS",
    });
    expect(server.lines).toEqual([]);
  });

  test("auth with a Mechanism of the caller's is refused if that says so", async () => {
    const { smtp } = await session({ peer: far });
    const mechanism = (clearText: boolean): Mechanism => ({
      name: "X-OWN",
      clearText,
      *start() {
        yield new Uint8Array([120]);
      },
    });
    expect(await reasonOf(smtp.auth("X-OWN", mechanism(true)))).toMatchObject({ name: "SMTPNotSupportedError" });
    expect(await reasonOf(smtp.auth("X-OWN", mechanism(false)))).toMatchObject({ name: "SMTPAuthenticationError" });
  });

  test("allowInsecureAuth permits it", async () => {
    const { smtp } = await session(authServer("PLAIN", { PLAIN: "235 in" }, far), { allowInsecureAuth: true });
    expect((await smtp.login("user", "secret")).code).toBe(235);
  });

  test("TLS permits it", async () => {
    const tls = {
      protocol: "TLSv1.3",
      cipher: undefined,
      verified: true,
      fingerprint256: undefined,
      group: undefined,
      exporter: undefined,
    };
    const { smtp } = await session(authServer("PLAIN", { PLAIN: "235 in" }, { ...far, tls }));
    expect((await smtp.login("user", "secret")).code).toBe(235);
  });
});

describe("auth", () => {
  test("runs Python's authobjects, which are bound", async () => {
    const { server, smtp } = await session(
      authServer("x", {
        PLAIN: "235 in",
        LOGIN: ["334 eA==", "235 in"],
        "CRAM-MD5": [`334 ${base64("<x@y>")}`, "235 in"],
      }),
    );
    smtp.user = "user";
    smtp.password = "secret";
    const { auth_plain, auth_login, auth_cram_md5 } = smtp;
    await smtp.auth("plain", auth_plain);
    await smtp.auth("LOGIN", auth_login);
    await smtp.auth("CRAM-MD5", auth_cram_md5);
    expect(server.lines.slice(0, 4)).toEqual([
      `AUTH PLAIN ${base64("\0user\0secret")}`,
      `AUTH LOGIN ${base64("user")}`,
      base64("secret"),
      "AUTH CRAM-MD5",
    ]);
    expect(Buffer.from(server.lines[4] ?? "", "base64").toString()).toMatch(/^user [0-9a-f]{32}$/);
  });

  test("runs Python's authobjects of an instance without user and password", async () => {
    const { server, smtp } = await session(
      authServer("x", {
        PLAIN: "235 in",
        LOGIN: ["334 eA==", "334 eA==", "235 in"],
        "CRAM-MD5": [`334 ${base64("<x@y>")}`, "235 in"],
      }),
    );
    await smtp.auth("PLAIN", smtp.auth_plain);
    await smtp.auth("LOGIN", smtp.auth_login);
    await smtp.auth("CRAM-MD5", smtp.auth_cram_md5);
    expect(server.lines.slice(0, 5)).toEqual([`AUTH PLAIN ${base64("\0\0")}`, "AUTH LOGIN =", "", "", "AUTH CRAM-MD5"]);
    expect(Buffer.from(server.lines[5] ?? "", "base64").toString()).toMatch(/^ [0-9a-f]{32}$/);
  });

  test("lets the server ask an authobject first, if it may not speak", async () => {
    const { server, smtp } = await session({ on: { AUTH: "334 eA==", YWJJ: "235 in" } });
    const asked: unknown[] = [];
    const answer: AuthObject = (challenge) => {
      asked.push(challenge && new TextDecoder().decode(challenge));
      return "abc";
    };
    expect((await smtp.auth("X", answer, { initial_response_ok: false })).code).toBe(235);
    expect(server.lines).toEqual(["AUTH X", "YWJj"]);
    expect(asked).toEqual(["x"]);
  });

  test.each(["501 syntax", "504 no such mechanism", "535 no"])(
    "sends what is too long for the command line on it, once, where the server refuses the bare command by %s",
    async (answer) => {
      const { server, smtp } = await session({ on: { AUTH: answer } });
      expect(await reasonOf(smtp.auth("X", () => "x".repeat(500)))).toMatchObject({
        name: "SMTPAuthenticationError",
        smtp_code: Number(answer.slice(0, 3)),
      });
      expect(server.lines).toEqual(["AUTH X", `AUTH X ${base64("x".repeat(500))}`]);
    },
  );

  describe("where the bare command was refused and the response on its line fails", () => {
    const secret = "x".repeat(500);
    const outcome = async (first: string, second: string): Promise<unknown> => {
      const { smtp } = await session({ on: { AUTH: [first, second] } });
      return reasonOf(smtp.auth("X", () => secret));
    };

    test.each([
      ["500 line too long", 500],
      ["501 5.5.4 syntax", 501],
      ["454 4.7.0 later", 454],
      ["421 bye", 421],
      ["550 no", 550],
    ])("a 535 stays the error, with the other as its cause: %s", async (second, code) => {
      expect(await outcome("535 5.7.8 bad token", second)).toMatchObject({
        name: "SMTPAuthenticationError",
        smtp_code: 535,
        smtp_error: "5.7.8 bad token",
        temporary: false,
        cause: { smtp_code: code },
      });
    });

    test("a 535 stays the error where the connection is lost", async () => {
      expect(await outcome("535 5.7.8 bad token", "close")).toMatchObject({
        smtp_code: 535,
        temporary: false,
        cause: { name: "SMTPServerDisconnected" },
      });
    });

    test("the first refusal of the mechanism is the error, if the second says no more", async () => {
      expect(await outcome("504 no such mechanism", "500 what?")).toMatchObject({
        smtp_code: 504,
        temporary: false,
        cause: { smtp_code: 500 },
      });
    });

    test.each([
      ["421 bye", { smtp_code: 421 }],
      ["close", { name: "SMTPServerDisconnected" }],
    ])("a session lost behind a 504 may be tried again: %s", async (second, cause) => {
      expect(await outcome("504 no such mechanism", second)).toMatchObject({ smtp_code: 504, temporary: true, cause });
    });

    test.each(["535 5.7.8 bad token", "550 5.7.8 bad token", "454 4.7.0 later"])(
      "the second is the error if it says more: %s",
      async (second) => {
        expect(await outcome("504 no such mechanism", second)).toMatchObject({
          smtp_code: Number(second.slice(0, 3)),
          temporary: second.startsWith("4"),
        });
      },
    );

    test("the cause has no echoed response", async () => {
      const error = await outcome("535 no", `500 what is ${secret}`);
      expect(error).toHaveProperty("cause.smtp_error", "what is ***");
    });
  });

  test.each<[outcome: string, answer: string]>([
    ["a refusal", "535 5.7.8 wrong"],
    ["a success", "235 in"],
  ])("what a Mechanism throws while it is cleaned up does not replace %s", async (_, answer) => {
    const { smtp } = await session({ ehlo: ["AUTH X-OWN"], on: { AUTH: answer } });
    const mechanism: Mechanism = {
      name: "X-OWN",
      clearText: false,
      start() {
        const steps = (function* () {
          yield new Uint8Array([120]);
          yield new Uint8Array([121]);
        })();
        steps.return = () => {
          throw new Error("cleanup");
        };
        return steps;
      },
    };
    const outcome = await smtp.auth("X-OWN", mechanism).catch((error: unknown) => error);
    expect(outcome).toMatchObject(answer.startsWith("235") ? { code: 235 } : { smtp_code: 535 });
  });

  test.each(["535 no", "550 5.7.8 no", "554 5.7.8 no"])(
    "LOGIN does not send a password again that PLAIN was refused: %s",
    async (refusal) => {
      const { server, smtp } = await session(authServer("PLAIN LOGIN", { PLAIN: refusal, LOGIN: "535 no" }));
      expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({ smtp_code: Number(refusal.slice(0, 3)) });
      expect(server.lines.filter((line) => line.startsWith("AUTH"))).toHaveLength(1);
    },
  );

  test("says nothing for a user and a password that were not set", async () => {
    const { server, smtp } = await session(
      authServer("x", { PLAIN: "235 in", LOGIN: ["334 eA==", "235 in"], "CRAM-MD5": ["334 eA==", "235 in"] }),
    );
    await smtp.auth("PLAIN", smtp.auth_plain);
    await smtp.auth("LOGIN", smtp.auth_login);
    await smtp.auth("CRAM-MD5", smtp.auth_cram_md5);
    expect(server.lines.slice(0, 4)).toEqual([`AUTH PLAIN ${base64("\0\0")}`, "AUTH LOGIN =", "", "AUTH CRAM-MD5"]);
    expect(Buffer.from(server.lines[4] ?? "", "base64").toString()).toMatch(/^ [0-9a-f]{32}$/);
  });

  test("asks an authobject for nothing before the challenge where no initial response is wanted", async () => {
    const { server, smtp } = await session(authServer("x", { X: ["334 eA==", "235 in"] }));
    const asked: (string | undefined)[] = [];
    const authobject: AuthObject = (challenge) => {
      asked.push(challenge && new TextDecoder().decode(challenge));
      return "answer";
    };
    await smtp.auth("X", authobject, { initial_response_ok: false });
    expect(server.lines).toEqual(["AUTH X", base64("answer")]);
    expect(asked).toEqual(["x"]);
  });

  test("takes a Mechanism of the caller's after HELO too, where nothing is known of what the server can", async () => {
    const { server, smtp } = await session({ on: { AUTH: "235 in" } });
    await smtp.helo();
    const mechanism: Mechanism = {
      name: "X-OWN",
      clearText: false,
      *start() {
        yield new Uint8Array([120]);
      },
    };
    expect((await smtp.auth("X-OWN", mechanism)).code).toBe(235);
    expect(server.lines.at(-1)).toBe("AUTH X-OWN eA==");
  });

  test.each(["454 later", "534 too weak", "421 bye"])(
    "sends no response that is too long for AUTH's line where the server refuses for another reason: %s",
    async (answer) => {
      const { server, smtp } = await session({ on: { AUTH: answer } });
      expect(await reasonOf(smtp.auth("X", () => "x".repeat(1_000)))).toMatchObject({
        smtp_code: Number(answer.slice(0, 3)),
      });
      expect(server.lines).toEqual(["AUTH X"]);
    },
  );

  test("says so where the server offers AUTH and no mechanism", async () => {
    const { smtp } = await session({ ehlo: ["AUTH"] });
    expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({
      name: "SMTPException",
      message: expect.stringMatching(/the server offers none$/),
    });
  });

  test.each<[name: string, first: ReturnType<AuthObject>, line: string]>([
    ["a text", "abc", "AUTH X YWJj"],
    ["octets", new Uint8Array([1, 2]), "AUTH X AQI="],
    ["a promise", Promise.resolve("abc"), "AUTH X YWJj"],
    ["nothing to say", undefined, "AUTH X"],
    ["null", null, "AUTH X"],
    ["the empty text, which is =", "", "AUTH X ="],
  ])("takes from an authobject %s", async (_, first, line) => {
    const { server, smtp } = await session({ on: { AUTH: "235 in" } });
    await smtp.auth("X", () => first);
    expect(server.lines).toEqual([line]);
  });

  test("gives challenges to the authobject, decoded, an empty one too", async () => {
    const seen: (string | undefined)[] = [];
    const { smtp } = await session(authServer("x", { X: ["334 YWJj", "334", "235 in"] }));
    await smtp.auth("X", (challenge) => {
      seen.push(challenge && new TextDecoder().decode(challenge));
      return challenge ? "answer" : undefined;
    });
    expect(seen).toEqual([undefined, "abc", ""]);
  });

  test("gives up with * on a challenge that is not base64, on too many, and when the authobject throws", async () => {
    const own = new Error("own");
    const cases: [Record<string, string[]>, AuthObject, unknown][] = [
      [{ X: ["334 !!!", "501 ok"] }, (c) => (c ? "x" : undefined), expect.any(SMTPException)],
      [
        { X: [...Array(5).fill("334 eA=="), "501 ok"] },
        () => "x",
        expect.objectContaining({ message: expect.stringContaining("infinite loop") }),
      ],
      [
        { X: ["334 eA==", "501 ok"] },
        (c) => {
          if (c) throw own;
          return undefined;
        },
        own,
      ],
      [{ X: ["334 eA==", "501 ok"] }, (c) => (c ? Promise.reject(own) : undefined), own],
    ];
    for (const [answers, authobject, expected] of cases) {
      const { server, smtp } = await session(authServer("x", answers));
      expect(await reasonOf(smtp.auth("X", authobject))).toEqual(expected);
      expect(server.lines.at(-1)).toBe("*");
      expect((await smtp.noop()).code).toBe(250);
    }
  });

  test("that is answered with more challenges after * ends the session, not in a muddle", async () => {
    const { smtp } = await session(authServer("x", { X: ["334 !!!", "334 eA=="] }));
    await reasonOf(smtp.auth("X", (c) => (c ? "x" : undefined)));
    expect(await reasonOf(smtp.noop())).toHaveProperty("name", "SMTPServerDisconnected");
  });

  test("refuses a mechanism's name or an authobject that is none", async () => {
    const { server, smtp } = await session();
    for (const name of ["", "A B", "a\r\nb"])
      expect(await reasonOf(smtp.auth(name, () => "x"))).toBeInstanceOf(RangeError);
    // @ts-expect-error: a caller without types may pass any value
    for (const bad of [undefined, {}, "x"]) expect(await reasonOf(smtp.auth("X", bad))).toBeInstanceOf(TypeError);
    expect(server.lines).toEqual([]);
  });

  test("detects an authobject that calls the session, which would wait for itself", async () => {
    const { smtp } = await session(authServer("x", { X: ["501 ok"] }));
    expect(
      await reasonOf(
        smtp.auth("X", async () => {
          await smtp.noop();
          return "x";
        }),
      ),
    ).toBeInstanceOf(TypeError);
    expect((await smtp.noop()).code).toBe(250);
  });

  test("says EHLO before a Mechanism, which then knows what the server offers; not before an authobject", async () => {
    const seen: unknown[] = [];
    const mechanism: Mechanism = {
      name: "X",
      clearText: false,
      *start({ host, offered }) {
        seen.push(host, offered);
        yield new Uint8Array([120]);
      },
    };
    const { server, smtp } = await session(authServer("x plain", { X: "235 in" }));
    await smtp.auth("X", () => "x");
    await smtp.auth("X", mechanism);
    await smtp.auth("X", mechanism);
    expect(server.lines.map((line) => line.split(" ")[0])).toEqual(["AUTH", "EHLO", "AUTH", "AUTH"]);
    expect(seen.slice(0, 2)).toEqual(["mail.example.com", ["X", "PLAIN"]]);
  });

  test("gives what a Mechanism explains of a refusal, as texts without secrets, and bears one that cannot", async () => {
    const mechanism = (explain: Mechanism["explain"] & object): Mechanism => ({
      name: "X",
      clearText: false,
      explain,
      *start() {
        yield new TextEncoder().encode("the-secret");
        yield new Uint8Array();
      },
    });
    const answers = { X: [`334 ${base64("because")}`, "535 no"] };
    const { smtp } = await session(authServer("X", answers));
    const echo = mechanism((challenge) => ({ status: `the-secret\n${new TextDecoder().decode(challenge)}` }));
    expect(await reasonOf(smtp.auth("X", echo))).toMatchObject({
      serverError: { status: "***\nbecause" },
      message: "535 no (*** / because)",
    });
    const broken = mechanism(() => {
      throw new Error("own");
    });
    expect(await reasonOf(smtp.auth("X", broken))).toMatchObject({ smtp_code: 535, serverError: undefined });
  });

  test("asks a token function once more after a refusal", async () => {
    const tokens = ["old", "new"];
    const { server, smtp } = await session(authServer("XOAUTH2", { XOAUTH2: "535 no" }));
    const mechanism = xoauth2({ user: "u", token: async () => tokens.shift() ?? "none" });
    expect(await reasonOf(smtp.auth("XOAUTH2", mechanism))).toMatchObject({
      smtp_code: 535,
      causes: [{ smtp_code: 535 }, { smtp_code: 535 }],
    });
    expect(server.lines.slice(1)).toEqual([
      `AUTH XOAUTH2 ${base64("user=u\x01auth=Bearer old\x01\x01")}`,
      `AUTH XOAUTH2 ${base64("user=u\x01auth=Bearer new\x01\x01")}`,
    ]);
  });

  test.each<[name: string, token: () => Promise<string>]>([
    ["rejects", () => Promise.reject(new TypeError("fetch failed"))],
    [
      "throws",
      () => {
        throw new TypeError("fetch failed");
      },
    ],
    ["gives nothing", async () => JSON.parse("null")],
  ])("says by an SMTPException that a token function %s, and sends nothing", async (_, token) => {
    const { server, smtp } = await session(authServer("XOAUTH2", { XOAUTH2: "235 in" }));
    const error = await reasonOf(smtp.auth("XOAUTH2", xoauth2({ user: "u", token })));
    expect(error).toMatchObject({ name: "SMTPException", cause: expect.any(TypeError), delivery: undefined });
    expect(String(error)).toMatch(/the token function failed/);
    expect(server.lines.join()).not.toContain("AUTH XOAUTH2");
    expect((await smtp.noop()).code).toBe(250);
  });

  test.each([
    ["a NUL in the user", "a\0b", "p", /^user/],
    ["a NUL in the password", "u", "\0", /^password/],
    ["half of a character", "u", "\ud800", /^password/],
  ])("refuses %s in Python's authobjects before it is sent", async (_, user, password, message) => {
    const { server, smtp } = await session(
      authServer("x", { LOGIN: ["334 eA==", "334 eA=="], "CRAM-MD5": "334 eA==" }),
    );
    Object.assign(smtp, { user, password });
    const objects: [string, AuthObject][] = [
      ["PLAIN", smtp.auth_plain],
      ["LOGIN", smtp.auth_login],
      ["CRAM-MD5", smtp.auth_cram_md5],
    ];
    for (const [name, authobject] of objects) {
      const error = await reasonOf(smtp.auth(name, authobject));
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toHaveProperty("message", expect.stringMatching(message));
    }
    expect(server.lines).toEqual(["AUTH CRAM-MD5", "*"]);
  });

  const PROMPTS = ["334 Username:", "334 OK, go on", "334 ", "334", "334 =", "334-one\r\n334 two", "334 VXNlcm5hbWU6"];

  test.each(PROMPTS)("goes on at the prompt %j where the answer does not depend on it", async (prompt) => {
    const credentials = { user: "u", password: "p" };
    const plainText = base64("\0u\0p");
    const runs: [mechanism: Mechanism, options: object, answers: string[], lines: string[]][] = [
      [plain(credentials), { initial_response_ok: false }, [prompt, "235 in"], ["AUTH PLAIN", plainText]],
      [login(credentials), {}, [prompt, prompt, "235 in"], ["AUTH LOGIN", base64("u"), base64("p")]],
      [external(), { initial_response_ok: false }, [prompt, "235 in"], ["AUTH EXTERNAL", ""]],
      [anonymous(), { initial_response_ok: false }, [prompt, "235 in"], ["AUTH ANONYMOUS", ""]],
      [
        xoauth2({ user: "u", token: "t" }),
        { initial_response_ok: false },
        [prompt, "235 in"],
        ["AUTH XOAUTH2", base64("user=u\x01auth=Bearer t\x01\x01")],
      ],
      [
        xoauth2({ user: "u", token: "t" }),
        {},
        [prompt, "235 in"],
        [`AUTH XOAUTH2 ${base64("user=u\x01auth=Bearer t\x01\x01")}`, ""],
      ],
      [
        oauthbearer({ user: "u", token: "t", host: "h" }),
        { initial_response_ok: false },
        [prompt, "235 in"],
        ["AUTH OAUTHBEARER", base64("n,a=u,\x01host=h\x01auth=Bearer t\x01\x01")],
      ],
      [
        plain({ user: "u", password: "p".repeat(500) }),
        {},
        [prompt, "235 in"],
        ["AUTH PLAIN", base64(`\0u\0${"p".repeat(500)}`)],
      ],
    ];
    for (const [mechanism, options, answers, lines] of runs) {
      const { server, smtp } = await session(authServer(mechanism.name, { [mechanism.name]: answers }));
      expect((await smtp.auth(mechanism.name, mechanism, options)).code).toBe(235);
      expect(server.lines.slice(1)).toEqual(lines);
    }
  });

  test.each(PROMPTS)("goes on at the prompt %j with Python's authobjects for such mechanisms", async (prompt) => {
    const script = authServer("x", { PLAIN: [prompt, "235 in"], LOGIN: [prompt, prompt, "235 in"] });
    const { server, smtp } = await session(script);
    Object.assign(smtp, { user: "u", password: "p" });
    await smtp.auth("PLAIN", smtp.auth_plain, { initial_response_ok: false });
    await smtp.auth("LOGIN", smtp.auth_login, { initial_response_ok: false });
    expect(server.lines).toEqual(["AUTH PLAIN", base64("\0u\0p"), "AUTH LOGIN", base64("u"), base64("p")]);
  });

  test("reads the reason of a refusal also where it is not in base64", async () => {
    const { smtp } = await session(authServer("XOAUTH2", { XOAUTH2: ['334 {"status":"401"}', "535 no"] }));
    const mechanism = xoauth2({ user: "u", token: "t" });
    expect(await reasonOf(smtp.auth("XOAUTH2", mechanism))).toMatchObject({ serverError: { status: "401" } });
  });

  test("shows a reason of the server's in the stack, too", async () => {
    const { smtp } = await session(authServer("XOAUTH2", { XOAUTH2: [`334 ${base64('{"status":"401"}')}`, "535 no"] }));
    const error = await reasonOf(smtp.auth("XOAUTH2", xoauth2({ user: "u", token: "t" })));
    expect(error).toHaveProperty("stack", expect.stringContaining("535 no (401)"));
  });

  test("only 235 is success", async () => {
    for (const answer of ["250 fine", "220 fine", "535 no"]) {
      const { smtp } = await session({ on: { AUTH: answer } });
      expect(await reasonOf(smtp.auth("X", () => "x"))).toMatchObject({ name: "SMTPAuthenticationError" });
    }
  });
});
