/** login(): the mechanisms and their order, the sent lines, and secrets that never appear (SECURITY.md, rule 8). */
import { describe, expect, test } from "vitest";
import { SMTPAuthenticationError } from "../../src/index.ts";
import { reasonOf, session } from "../support/session.ts";
import { authServer } from "./auth-server.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("login", () => {
  test.each<[mechanisms: string, answers: Record<string, string | string[]>, lines: string[]]>([
    ["PLAIN", { PLAIN: "235 in" }, [`AUTH PLAIN ${base64("\0user\0secret")}`]],
    ["LOGIN", { LOGIN: ["334 eA==", "334 eQ==", "235 in"] }, ["AUTH LOGIN", base64("user"), base64("secret")]],
    ["LOGIN PLAIN", { PLAIN: "235 in" }, [`AUTH PLAIN ${base64("\0user\0secret")}`]],
    ["plain", { PLAIN: "235 in" }, [`AUTH PLAIN ${base64("\0user\0secret")}`]],
    ["GSSAPI NTLM PLAIN", { PLAIN: "235 in" }, [`AUTH PLAIN ${base64("\0user\0secret")}`]],
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

  test("goes on to the next mechanism after a refusal, keeps all causes, and is refused as the first 535 says", async () => {
    const { server, smtp } = await session(
      authServer("CRAM-MD5 PLAIN LOGIN", {
        "CRAM-MD5": ["334 eA==", "535 no cram"],
        PLAIN: "534 no plain",
        LOGIN: ["334 eA==", "334 eQ==", "535 no login"],
      }),
    );
    const error = await reasonOf(smtp.login("user", "secret"));
    expect(error).toBeInstanceOf(SMTPAuthenticationError);
    expect(error).toMatchObject({ smtp_code: 535, smtp_error: "no cram", temporary: false });
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

  test.each(["Username:", "OK, go on", "PDE@eD4=", "="])(
    "tries the next mechanism where the challenge %j cannot be used, and shows it if none does",
    async (challenge) => {
      const answers = { "SCRAM-SHA-256": [`334 ${challenge}`, "501 ok"], "CRAM-MD5": [`334 ${challenge}`, "501 ok"] };
      const { server, smtp } = await session(
        authServer("SCRAM-SHA-256 CRAM-MD5 PLAIN", { ...answers, PLAIN: "235 in" }),
      );
      expect((await smtp.login("user", "secret")).code).toBe(235);
      expect(server.lines.filter((line) => line === "*")).toHaveLength(2);
      const refusing = await session(authServer("SCRAM-SHA-256 CRAM-MD5 PLAIN", { ...answers, PLAIN: "535 no" }));
      expect(await reasonOf(refusing.smtp.login("user", "secret"))).toMatchObject({
        smtp_code: 535,
        causes: [
          { message: `the challenge of SCRAM-SHA-256 is not base64: ${JSON.stringify(challenge)}` },
          { message: `the challenge of CRAM-MD5 is not base64: ${JSON.stringify(challenge)}` },
          { smtp_code: 535 },
        ],
      });
      const alone = await session(authServer("CRAM-MD5", answers));
      expect(await reasonOf(alone.smtp.login("user", "secret"))).toMatchObject({
        name: "SMTPException",
        message: `the challenge of CRAM-MD5 is not base64: ${JSON.stringify(challenge)}`,
      });
    },
  );

  test("shows no control character and no secret of a challenge that cannot be used", async () => {
    const { smtp } = await session(
      authServer("CRAM-MD5 X", { "CRAM-MD5": ["334 \x1b[2Jsecret-word", "501 ok"], X: "535 no" }),
    );
    await reasonOf(smtp.auth("X", () => "secret-word"));
    const error = await reasonOf(smtp.login("user", "secret-word"));
    expect(String(error)).toBe('SMTPException: the challenge of CRAM-MD5 is not base64: "\\u001b[2J***"');
  });

  test("is as good with a password that SASLprep would change or refuse", async () => {
    for (const password of ["ge²heim", "\u0627\u0644\u0633\u0631", "\u06271", "\ue000"]) {
      for (const name of ["PLAIN", "LOGIN"]) {
        const { server, smtp } = await session(
          authServer(name, { PLAIN: "235 in", LOGIN: ["334 eA==", "334 eQ==", "235 in"] }),
        );
        await smtp.login(password, password);
        const said = server.lines
          .slice(1)
          .map((line) => Buffer.from(line.split(" ").at(-1) ?? "", "base64").toString());
        expect(said.at(-1)).toBe(name === "PLAIN" ? `\0${password}\0${password}` : password);
      }
    }
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
      authServer("CRAM-MD5 PLAIN LOGIN", { LOGIN: ["334 eA==", "334 eQ==", "534 no"], PLAIN: "235 in" }),
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
