/** login() and auth(): which mechanisms, in which order, what is sent, and what is never shown (SECURITY.md 8). */
import { describe, expect, test } from "vitest";
import {
  type AuthObject,
  type Mechanism,
  SMTP,
  SMTPAuthenticationError,
  SMTPException,
  type SMTPOptions,
} from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

async function session(script: Script = {}, options: SMTPOptions = {}): Promise<{ server: FakeServer; smtp: SMTP }> {
  const server = new FakeServer(script);
  const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport, ...options });
  return { server, smtp };
}

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no rejection",
    (reason: unknown) => reason,
  );

/** Answers AUTH by mechanism, each response line in turn with the same. */
const authServer = (mechanisms: string, answers: Record<string, string | string[]>, peer?: Script["peer"]): Script => {
  let current: string[] = [];
  const respond = (): string => current.shift() ?? "500 what";
  const on: NonNullable<Script["on"]> = {
    AUTH: (line) => {
      const answer = answers[line.split(" ")[1] ?? ""] ?? "504 unknown";
      current = typeof answer === "string" ? [answer] : [...answer];
      return respond();
    },
  };
  const proxy = new Proxy(on, {
    get: (target, verb) =>
      typeof verb === "string" && !/^(AUTH|EHLO|NOOP|QUIT|MAIL|RCPT|DATA|RSET|HELO)$/.test(verb)
        ? respond
        : Reflect.get(target, verb),
  });
  return { ehlo: [`AUTH ${mechanisms}`], on: proxy, peer };
};

describe("login", () => {
  test.each<[mechanisms: string, answers: Record<string, string | string[]>, lines: string[]]>([
    ["PLAIN", { PLAIN: "235 in" }, [`AUTH PLAIN ${base64("\0user\0secret")}`]],
    ["LOGIN", { LOGIN: ["334 eA==", "334 eQ==", "235 in"] }, ["AUTH LOGIN", base64("user"), base64("secret")]],
    ["LOGIN PLAIN", { PLAIN: "235 in" }, [`AUTH PLAIN ${base64("\0user\0secret")}`]],
    ["plain", { PLAIN: "235 in" }, [`AUTH PLAIN ${base64("\0user\0secret")}`]],
    ["GSSAPI NTLM PLAIN", { PLAIN: "235 in" }, [`AUTH PLAIN ${base64("\0user\0secret")}`]],
    // RFC 2195 2's challenge, with this user and password
    [
      "PLAIN LOGIN CRAM-MD5",
      { "CRAM-MD5": [`334 ${base64("<1896.697170952@postoffice.reston.mci.net>")}`, "235 in"] },
      ["AUTH CRAM-MD5", expect.stringMatching(/^[\w+/=]{50,}$/)],
    ],
  ])("takes the strongest of %s", async (mechanisms, answers, lines) => {
    const { server, smtp } = await session(authServer(mechanisms, answers));
    expect(await smtp.login("user", "secret")).toStrictEqual([235, "in"]);
    expect(server.lines.slice(1)).toEqual(lines);
    expect(smtp).toMatchObject({ user: "user", password: "secret" });
  });

  test("goes on to the next mechanism after a 535, and keeps all causes", async () => {
    const { server, smtp } = await session(
      authServer("CRAM-MD5 PLAIN LOGIN", {
        "CRAM-MD5": ["334 eA==", "535 no cram"],
        PLAIN: "534 no plain",
        LOGIN: ["334 eA==", "334 eQ==", "535 no login"],
      }),
    );
    const error = await reasonOf(smtp.login("user", "secret"));
    expect(error).toBeInstanceOf(SMTPAuthenticationError);
    expect(error).toMatchObject({ smtp_code: 535, smtp_error: "no login", temporary: false });
    expect(error).toHaveProperty("causes", [
      expect.objectContaining({ smtp_error: "no cram" }),
      expect.objectContaining({ smtp_error: "no plain" }),
      expect.objectContaining({ smtp_error: "no login" }),
    ]);
    expect(server.lines.filter((line) => line.startsWith("AUTH")).map((line) => line.split(" ")[1])).toEqual([
      "CRAM-MD5",
      "PLAIN",
      "LOGIN",
    ]);
    expect((await smtp.noop()).code).toBe(250);
  });

  test("stops at the first that works", async () => {
    const { server, smtp } = await session(
      authServer("CRAM-MD5 PLAIN LOGIN", { "CRAM-MD5": ["334 eA==", "535 no"], PLAIN: "235 in" }),
    );
    expect((await smtp.login("user", "secret")).code).toBe(235);
    expect(server.lines.some((line) => line.startsWith("AUTH LOGIN"))).toBe(false);
  });

  test.each(["454 4.7.0 later", "421 bye"])("tries nothing else after %s", async (answer) => {
    const { server, smtp } = await session(authServer("PLAIN LOGIN", { PLAIN: answer, LOGIN: "334 eA==" }));
    expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({
      name: "SMTPAuthenticationError",
      smtp_code: Number(answer.slice(0, 3)),
      temporary: true,
    });
    expect(server.lines.some((line) => line.startsWith("AUTH LOGIN"))).toBe(false);
  });

  test("tries nothing else when the connection is lost", async () => {
    const { smtp } = await session(authServer("PLAIN LOGIN", { PLAIN: "close" }));
    expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({
      name: "SMTPServerDisconnected",
      delivery: undefined,
    });
  });

  test("is restricted and ordered by `mechanisms`", async () => {
    const { server, smtp } = await session(
      authServer("CRAM-MD5 PLAIN LOGIN", { LOGIN: ["334 eA==", "334 eQ==", "535 no"], PLAIN: "235 in" }),
    );
    await smtp.login("user", "secret", { mechanisms: ["login", "PLAIN"] });
    expect(server.lines.filter((line) => line.startsWith("AUTH")).map((line) => line.split(" ")[1])).toEqual([
      "LOGIN",
      "PLAIN",
    ]);
  });

  test.each<[name: string, options: object, error: unknown]>([
    ["a mechanism that we do not know", { mechanisms: ["X-FOO"] }, RangeError],
    ["mechanisms that are none", { mechanisms: "PLAIN" }, TypeError],
    ["initial_response_ok that is no boolean", { initial_response_ok: 1 }, TypeError],
  ])("refuses %s before a byte is written", async (_, options, error) => {
    const { server, smtp } = await session({ ehlo: ["AUTH PLAIN"] });
    expect(await reasonOf(smtp.login("user", "secret", options))).toBeInstanceOf(error);
    expect(server.lines).toEqual([]);
  });

  test.each([
    ["us\0er", "secret"],
    ["user", "sec\0ret"],
  ])("refuses NUL in the credentials before a byte is written", async (user, password) => {
    const { server, smtp } = await session({ ehlo: ["AUTH PLAIN"] });
    const error = await reasonOf(smtp.login(user, password));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).not.toMatch(/us.?er\b.*secret|sec.?ret/);
    expect(server.lines).toEqual([]);
  });

  test("lets the server ask first with initial_response_ok: false", async () => {
    const { server, smtp } = await session(authServer("PLAIN", { PLAIN: ["334 ", "235 in"] }));
    await smtp.login("user", "secret", { initial_response_ok: false });
    expect(server.lines.slice(1)).toEqual(["AUTH PLAIN", base64("\0user\0secret")]);
  });

  test("sends a long initial response behind an empty challenge: no AUTH line over 512 octets (RFC 4954 4)", async () => {
    const password = "p".repeat(500);
    const { server, smtp } = await session(authServer("PLAIN", { PLAIN: ["334 ", "235 in"] }));
    await smtp.login("user", password);
    expect(server.lines.slice(1)).toEqual(["AUTH PLAIN", base64(`\0user\0${password}`)]);
  });

  test("says so when the server offers no AUTH, or no mechanism that we know", async () => {
    const without = await session({ ehlo: ["DSN"] });
    expect(await reasonOf(without.smtp.login("user", "secret"))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability: "AUTH",
    });
    const other = await session({ ehlo: ["AUTH GSSAPI"] });
    const error = await reasonOf(other.smtp.login("user", "secret"));
    expect(error).toHaveProperty("name", "SMTPException");
    expect([...without.server.lines, ...other.server.lines].some((line) => line.startsWith("AUTH"))).toBe(false);
  });

  test("a second time is settled by 503, as in Python; the first time it is a refusal", async () => {
    const twice = await session(authServer("PLAIN", { PLAIN: ["235 in"] }));
    await twice.smtp.login("user", "secret");
    const { smtp } = await session(authServer("PLAIN", { PLAIN: "503 already" }));
    expect(await reasonOf(smtp.login("user", "secret"))).toMatchObject({
      name: "SMTPAuthenticationError",
      smtp_code: 503,
    });
  });
});

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
    // @ts-expect-error: what a caller without types may pass
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

  test("only 235 is success", async () => {
    for (const answer of ["250 fine", "220 fine", "535 no"]) {
      const { smtp } = await session({ on: { AUTH: answer } });
      expect(await reasonOf(smtp.auth("X", () => "x"))).toMatchObject({ name: "SMTPAuthenticationError" });
    }
  });
});

describe("a secret that the server echoes", () => {
  test.each(["correct horse", base64("\0user\0correct horse"), "user"])("is masked in the error: %s", async (echo) => {
    const { smtp } = await session(authServer("PLAIN", { PLAIN: `535 not ${echo}!` }));
    const error = await reasonOf(smtp.login("user", "correct horse"));
    if (!(error instanceof SMTPAuthenticationError)) throw error;
    for (const text of [
      error.message,
      error.smtp_error,
      error.stack,
      JSON.stringify(error.reply),
      error.reply?.lines.join(),
      String(error.causes),
    ]) {
      expect(text).not.toContain(echo === "user" ? "correct" : echo);
      expect(text).not.toContain("correct horse");
    }
  });
});
