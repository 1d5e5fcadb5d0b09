/** set_debuglevel() and the logger: Python's prefixes, and no credentials (SECURITY.md, rules 4 and 8). */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Logger, SMTP, type SMTPOptions } from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { session as connected } from "../support/session.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const [user, password] = ["someone", "correct horse"];

let printed: string[];

beforeEach(() => {
  printed = [];
  vi.spyOn(console, "error").mockImplementation((...args: unknown[]) => void printed.push(args.join(" ")));
});

afterEach(() => {
  vi.restoreAllMocks();
});

const session = async (script: Script = {}, options: SMTPOptions = {}): Promise<SMTP> =>
  (await connected(script, options)).smtp;

describe("set_debuglevel", () => {
  test("prints nothing at 0, the dialogue at 1, with the time of day at 2", async () => {
    const smtp = await session();
    await smtp.noop();
    expect(printed).toEqual([]);
    smtp.set_debuglevel(1);
    expect(smtp.debuglevel).toBe(1);
    await smtp.noop();
    expect(printed.some((line) => line.startsWith('send: "NOOP\\r\\n"'))).toBe(true);
    expect(printed.some((line) => /^reply: .*250.*ok/.test(line))).toBe(true);
    expect(printed.every((line) => /^(send|reply|connect|data): /.test(line))).toBe(true);
    printed.length = 0;
    smtp.set_debuglevel(2);
    await smtp.noop();
    expect(printed.length).toBeGreaterThan(1);
    expect(printed.every((line) => /^\d\d:\d\d:\d\d\.\d{6} (send|reply): /.test(line))).toBe(true);
    printed.length = 0;
    smtp.set_debuglevel(false);
    await smtp.noop();
    expect(printed).toEqual([]);
    smtp.set_debuglevel(true);
    expect(smtp.debuglevel).toBe(1);
  });

  test("prints where it connects", async () => {
    const smtp = new SMTP(undefined, undefined, { transport: new FakeServer().transport });
    smtp.debuglevel = 1;
    await smtp.connect("mail.example.com", 2525);
    expect(printed[0]).toMatch(/^connect: .*mail\.example\.com.*2525/);
  });

  test("prints a line for a reply of many lines, with no control character in it", async () => {
    const smtp = await session({ on: { NOOP: "250-one\x1b[2J\r\n250 two\x07" } });
    smtp.set_debuglevel(1);
    await smtp.noop();
    expect(printed.filter((line) => line.startsWith("reply: "))).toHaveLength(1);
    for (const line of printed) expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });
});

describe("a logger", () => {
  const logged: string[] = [];
  const take = (message: string): void => void logged.push(message);
  const logger: Logger = { debug: take, info: take, warn: take, error: take };

  test("is told of the dialogue", async () => {
    logged.length = 0;
    const smtp = await session({}, { logger });
    await smtp.noop();
    expect(logged.join("\n")).toMatch(/mail\.example\.com:25[\s\S]*220[\s\S]*NOOP[\s\S]*250/);
    expect(printed).toEqual([]);
  });

  test("gets no control characters: a reply cannot forge a line of the log", async () => {
    logged.length = 0;
    const smtp = await session({ on: { NOOP: "250-fine\r\n250 12:00 ERROR\x1b[31m forged\x07\x9b" } }, { logger });
    await smtp.noop();
    for (const message of logged) expect(message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });
});

describe("credentials are masked", () => {
  const secrets = [password, base64(password), base64(user), base64(`\0${user}\0${password}`)];
  const everything = (): string => printed.join("\n");

  const CASES: [name: string, script: Script, run: (smtp: SMTP) => Promise<unknown>][] = [
    ["login by PLAIN", { ehlo: ["AUTH PLAIN"], on: { AUTH: "235 in" } }, (smtp) => smtp.login(user, password)],
    [
      "login by LOGIN",
      {
        ehlo: ["AUTH LOGIN"],
        on: { AUTH: "334 eA==", [base64(user).toUpperCase()]: "334 eQ==", [base64(password).toUpperCase()]: "235 in" },
      },
      (smtp) => smtp.login(user, password),
    ],
    [
      "a server that echoes them",
      { ehlo: ["AUTH PLAIN"], on: { AUTH: (line) => `535 not ${line} (${password})` } },
      (smtp) => smtp.login(user, password),
    ],
    ["docmd", { on: { AUTH: "235 in" } }, (smtp) => smtp.docmd("AUTH", `PLAIN ${base64(`\0${user}\0${password}`)}`)],
    [
      "docmd step by step",
      {
        on: { AUTH: "334 eA==", [base64(user).toUpperCase()]: "334 eQ==", [base64(password).toUpperCase()]: "535 no" },
      },
      async (smtp) => {
        await smtp.docmd("AUTH", "LOGIN");
        await smtp.docmd(base64(user));
        await smtp.docmd(base64(password));
      },
    ],
    [
      "putcmd",
      { on: { AUTH: "235 in" } },
      (smtp) => smtp.putcmd("AUTH PLAIN", base64(`\0${user}\0${password}`)).then(() => smtp.getreply()),
    ],
    [
      "putcmd step by step",
      { on: { AUTH: "334 eA==", [base64(password).toUpperCase()]: "235 in" } },
      async (smtp) => {
        await smtp.putcmd("AUTH", "EXTERNAL");
        await smtp.getreply();
        await smtp.putcmd(base64(password));
        await smtp.getreply();
      },
    ],
    [
      "send",
      { on: { AUTH: "235 in" } },
      (smtp) => smtp.send(`AUTH PLAIN ${base64(`\0${user}\0${password}`)}\r\n`).then(() => smtp.getreply()),
    ],
    [
      "auth",
      { on: { AUTH: "334 Y2hhbGxlbmdl", [base64(password).toUpperCase()]: "235 in" } },
      (smtp) => smtp.auth("X", (c) => (c ? password : undefined)),
    ],
  ];

  test.each(CASES)("in %s", async (_, script, run) => {
    const logged: string[] = [];
    const take = (message: string): void => void logged.push(message);
    const smtp = await session(script, { logger: { debug: take, info: take, warn: take, error: take } });
    smtp.set_debuglevel(2);
    const error: unknown = await run(smtp).catch((reason: unknown) => reason);
    expect(printed.length).toBeGreaterThan(1);
    const shown = [everything(), logged.join("\n"), error instanceof Error ? `${error.stack}` : ""].join("\n");
    for (const secret of secrets) expect(shown.toLowerCase()).not.toContain(secret.toLowerCase());
  });

  test("and so are challenges, from which they could be guessed", async () => {
    const challenge = base64("<1896.697170952@postoffice.reston.mci.net>");
    const smtp = await session({ ehlo: ["AUTH CRAM-MD5"], on: { AUTH: `334 ${challenge}` } });
    smtp.set_debuglevel(1);
    await smtp.login(user, password).catch(() => {});
    expect(everything()).not.toContain(challenge);
  });

  test("and the instance shows no more of them than Python's attributes", async () => {
    const smtp = await session({ ehlo: ["AUTH PLAIN"], on: { AUTH: "535 no" } });
    const error: unknown = await smtp.login(user, password).catch((reason: unknown) => reason);
    const { inspect } = await import("node:util");
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(password);
    expect(inspect(error, { depth: 9 })).not.toContain(base64(`\0${user}\0${password}`));
  });
});
