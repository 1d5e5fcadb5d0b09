/**
 * Credentials: the servers that get them, servers that manipulate the exchange, and that nobody else sees the
 * credentials (SECURITY.md, rule 8).
 */
import { inspect } from "node:util";
import { describe, expect, it, vi } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import {
  type Logger,
  SMTP,
  SMTPAuthenticationError,
  SMTPException,
  SMTPNotSupportedError,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import { type Act, close, ehlo, inOrder, reset, scriptedTransport, server, stall } from "../support/scripted-server.ts";
import { wrapped } from "../support/scripted-wire.ts";
import { expectThrown, HELLO, type Scenario, scenarios, settled, watchForLeaks } from "./scenario.ts";

const ALL = ehlo("AUTH PLAIN LOGIN CRAM-MD5");
const offering = (mechanisms: string): string => ehlo(`AUTH ${mechanisms}`);
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const login = (smtp: SMTP): Promise<unknown> => smtp.login("tim", "tanstaaftanstaaf");
const PLAIN = `AUTH PLAIN ${base64("\0tim\0tanstaaftanstaaf")}`;
const CHALLENGE = `334 ${base64("<1896.697170952@postoffice.reston.mci.net>")}`;

const exchanges: Scenario[] = [
  {
    name: "PLAIN with an initial response",
    server: server({ EHLO: offering("PLAIN"), AUTH: "235 2.7.0 ok" }),
    call: login,
    gives: [235, "2.7.0 ok"],
    connected: true,
    lines: [HELLO, PLAIN],
  },
  {
    name: "PLAIN asked by a bare 334",
    server: server({ EHLO: offering("PLAIN"), AUTH: "334", "334": "235 ok" }),
    call: (smtp) => smtp.login("tim", "tanstaaftanstaaf", { initial_response_ok: false }),
    gives: [235, "ok"],
    connected: true,
    lines: [HELLO, "AUTH PLAIN", base64("\0tim\0tanstaaftanstaaf")],
  },
  {
    name: "LOGIN asked in two steps, whatever the questions say",
    server: server({ EHLO: offering("LOGIN"), AUTH: "334 UGFzc3dvcmQ6", "334": inOrder("334 VXNlcm5hbWU6", "235 ok") }),
    call: (smtp) => smtp.login("tim", "tanstaaftanstaaf", { initial_response_ok: false }),
    gives: [235, "ok"],
    connected: true,
    lines: [HELLO, "AUTH LOGIN", base64("tim"), base64("tanstaaftanstaaf")],
  },
  {
    name: "CRAM-MD5 is preferred, and does not show the password",
    server: server({ EHLO: ALL, AUTH: CHALLENGE, "334": "235 ok" }),
    call: login,
    gives: [235, "ok"],
    connected: true,
    lines: [HELLO, "AUTH CRAM-MD5", base64("tim b913a602c7eda7a495b4e6e7334d3890")],
  },
  {
    name: "mechanisms are found in any case and in the old form",
    server: server({ EHLO: ehlo("AUTH=plain"), AUTH: "235 ok" }),
    call: login,
    connected: true,
    lines: [HELLO, PLAIN],
  },
  {
    name: "an empty initial response is =",
    server: server({ EHLO: offering("X-EMPTY"), AUTH: "235 ok" }),
    call: (smtp) => smtp.auth("X-EMPTY", () => ""),
    connected: true,
    lines: ["AUTH X-EMPTY ="],
  },
  {
    name: "an empty response to a challenge is an empty line",
    server: server({ AUTH: "334", "334": "235 ok" }),
    call: (smtp) => smtp.auth("X-EMPTY", (challenge) => (challenge === undefined ? null : "")),
    connected: true,
    lines: ["AUTH X-EMPTY", ""],
  },
  {
    name: "an initial response too long for a command line waits for the 334",
    server: server({ EHLO: offering("PLAIN"), AUTH: "334", "334": "235 ok" }),
    call: (smtp) => smtp.login("tim", "x".repeat(500)),
    connected: true,
    lines: [HELLO, "AUTH PLAIN", base64(`\0tim\0${"x".repeat(500)}`)],
  },
  {
    name: "base64 of a long response is one line",
    server: server({ EHLO: offering("PLAIN"), AUTH: "334", "334": "235 ok" }),
    call: (smtp) => smtp.login("tim", "x".repeat(3000)),
    connected: true,
    lines: [HELLO, "AUTH PLAIN", base64(`\0tim\0${"x".repeat(3000)}`)],
  },
  {
    name: "a challenge of 12,000 octets is within the limits",
    server: server({ AUTH: `334 ${"A".repeat(12_000)}`, "334": "235 ok" }),
    call: (smtp) => smtp.auth("X-LONG", (challenge) => (challenge === undefined ? null : String(challenge.length))),
    connected: true,
    lines: ["AUTH X-LONG", base64("9000")],
  },
  {
    name: "a challenge of 20,000 octets is not",
    server: server({ AUTH: `334 ${"A".repeat(20_000)}` }),
    call: (smtp) => smtp.auth("X-LONG", (challenge) => (challenge === undefined ? null : "x")),
    throws: { type: SMTPServerDisconnected },
    connected: false,
  },
];

const refusals: Scenario[] = [
  {
    name: "535 to all: each is tried once, strongest first, LOGIN not after PLAIN, and all causes are kept",
    server: server({ EHLO: ALL, AUTH: inOrder(CHALLENGE, "535 plain", "235 login"), "334": "535 cram" }),
    call: login,
    throws: { type: SMTPAuthenticationError, smtp_code: 535, temporary: false },
    connected: true,
    lines: [HELLO, "AUTH CRAM-MD5", /^[\w+/=]+$/, PLAIN],
    check: (_, __, outcome) =>
      expect("error" in outcome && outcome.error).toMatchObject({
        causes: [
          { smtp_code: 535, smtp_error: "cram" },
          { smtp_code: 535, smtp_error: "plain" },
        ],
      }),
  },
  {
    name: "535 to the first, 235 to the next",
    server: server({ EHLO: ALL, AUTH: inOrder(CHALLENGE, "235 ok"), "334": "535 no" }),
    call: login,
    gives: [235, "ok"],
    connected: true,
  },
  {
    name: "534 asks for another one",
    server: server({ EHLO: ALL, AUTH: inOrder("534 5.7.9 too weak", "235 ok") }),
    call: login,
    gives: [235, "ok"],
    connected: true,
  },
  {
    name: "454 ends it: no other mechanism shows the password once more",
    server: server({ EHLO: ALL, AUTH: "454 4.7.0 later" }),
    call: login,
    throws: { type: SMTPAuthenticationError, smtp_code: 454, temporary: true },
    connected: true,
    lines: [HELLO, "AUTH CRAM-MD5"],
  },
  {
    name: "421 ends it and the session",
    server: server({ EHLO: ALL, AUTH: "421 bye" }),
    call: login,
    throws: { type: SMTPAuthenticationError, smtp_code: 421, temporary: true },
    connected: false,
    lines: [HELLO, "AUTH CRAM-MD5"],
  },
  {
    name: "503 from a server that never said 235 is no login",
    server: server({ EHLO: offering("PLAIN"), AUTH: "503 already" }),
    call: login,
    throws: { type: SMTPAuthenticationError, smtp_code: 503 },
    connected: true,
  },
  ...["250 ok", "220 ok", "334", "200 ok", "354 go"].map(
    (reply): Scenario => ({
      name: `${reply} to the last response is no login`,
      server: server({ EHLO: offering("PLAIN"), AUTH: reply, "334": "250 ok" }),
      call: login,
      throws: { type: reply === "334" ? SMTPException : SMTPAuthenticationError },
      connected: true,
    }),
  ),
  {
    name: "no AUTH offered",
    server: server({ EHLO: ehlo("PIPELINING") }),
    call: login,
    throws: { type: SMTPNotSupportedError, fields: { capability: "AUTH" } },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "AUTH offered before the last EHLO only",
    server: server({ EHLO: inOrder(ALL, ehlo("PIPELINING")) }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.ehlo();
      return login(smtp);
    },
    throws: { type: SMTPNotSupportedError },
    connected: true,
    lines: [HELLO, HELLO],
  },
  {
    name: "no mechanism in common",
    server: server({ EHLO: offering("GSSAPI NTLM __proto__ constructor") }),
    call: login,
    throws: { type: SMTPException, message: /no suitable/ },
    connected: true,
    lines: [HELLO],
  },
  {
    name: "a mechanism that the caller excluded is not used",
    server: server({ EHLO: offering("PLAIN LOGIN") }),
    call: (smtp) => smtp.login("tim", "tanstaaftanstaaf", { mechanisms: ["CRAM-MD5"] }),
    throws: { type: SMTPException },
    connected: true,
    lines: [HELLO],
  },
];

const play: Scenario[] = [
  {
    name: "endless challenges are given up",
    server: server({ EHLO: offering("LOGIN"), AUTH: "334 Og==", "334": inOrder("334 Og==") }),
    call: (smtp) => smtp.auth("X-LOOP", () => "x"),
    throws: { type: SMTPException, message: /infinite loop/ },
    connected: true,
    check: (_, { lines }) => {
      expect(lines.length).toBeLessThanOrEqual(7);
      expect(lines.at(-1)).toBe("*");
    },
  },
  {
    name: "a server that goes on asking after the exchange was given up",
    server: server({ AUTH: "334 Og==", "334": "334 Og==", cancel: "334 Og==" }),
    call: (smtp) => smtp.auth("X-LOOP", () => "x"),
    throws: { type: SMTPException },
    connected: false,
    check: (_, { lines }) => expect(lines.length).toBeLessThanOrEqual(8),
  },
  {
    name: "endless challenges to login()",
    server: server({ EHLO: offering("LOGIN"), AUTH: "334 Og==", "334": inOrder("334 Og==") }),
    call: login,
    throws: { type: SMTPException },
    connected: true,
    check: (_, { lines }) => expect(lines.length).toBeLessThanOrEqual(8),
  },
  ...["***", "A", "AA=A", "AAAA=", "Zm9v Zm9v", "Zm9\u00e9", "=", "Zm9vYg", "Zm9vYg==="].map(
    (challenge): Scenario => ({
      name: `the challenge ${JSON.stringify(challenge)} is no base64 and cancelled`,
      server: server({ AUTH: `334 ${challenge}` }),
      call: (smtp) => smtp.auth("X-STRICT", (text) => (text === undefined ? null : "secret-answer")),
      throws: { type: SMTPException, message: /base64/ },
      connected: true,
      lines: ["AUTH X-STRICT", "*"],
    }),
  ),
  {
    name: "an authobject that throws cancels the exchange",
    server: server({ AUTH: "334 Og==" }),
    call: (smtp) =>
      smtp.auth("X-THROW", (challenge) => {
        if (challenge === undefined) return null;
        throw new RangeError("no answer");
      }),
    throws: { type: RangeError, message: /no answer/ },
    connected: true,
    lines: ["AUTH X-THROW", "*"],
  },
  {
    name: "an authobject that throws at once sends nothing",
    server: server(),
    call: async (smtp) => {
      await smtp.noop();
      return smtp.auth("X-THROW", () => {
        throw new RangeError("no answer");
      });
    },
    throws: { type: RangeError },
    connected: true,
    lines: ["NOOP"],
  },
  {
    name: "an authobject that answers something else than text",
    server: server({ AUTH: "334 Og==" }),
    call: (smtp) => smtp.auth("X-TYPE", ((c?: Uint8Array) => (c === undefined ? null : 42)) as () => null),
    throws: { type: TypeError },
    connected: true,
    lines: ["AUTH X-TYPE", "*"],
  },
  {
    name: "an authobject that calls the session is told, and does not wait for itself",
    server: server({ AUTH: "334 Og==" }),
    call: (smtp) => smtp.auth("X-REENTRY", async (c) => (c === undefined ? null : (await smtp.noop()).message)),
    throws: { type: TypeError },
    connected: true,
    within: 0.5,
    lines: ["AUTH X-REENTRY", "*"],
  },
  {
    name: "an authobject that never answers, and close()",
    server: server({ AUTH: "334 Og==" }),
    call: (smtp) => {
      setTimeout(() => smtp.close(), 50);
      return smtp.auth("X-HANG", (c) => (c === undefined ? null : new Promise(() => {})));
    },
    throws: { type: SMTPServerDisconnected },
    connected: false,
    within: 0.5,
  },
  {
    name: "an authobject that never answers, and a server that goes away",
    server: server({ AUTH: ["334 Og==", close] }),
    call: (smtp) => smtp.auth("X-HANG", (c) => (c === undefined ? null : new Promise(() => {}))),
    throws: { type: SMTPServerDisconnected },
    connected: false,
    within: 0.5,
  },
  ...(
    [
      ["closes", close],
      ["resets", reset],
    ] satisfies [string, Act][]
  ).flatMap(([name, act]) => [
    {
      name: `a server that ${name} at AUTH`,
      server: server({ EHLO: ALL, AUTH: act }),
      call: login,
      throws: { type: SMTPServerDisconnected, temporary: true, delivery: undefined },
      connected: false,
      lines: [HELLO, "AUTH CRAM-MD5"],
    } satisfies Scenario,
    {
      name: `a server that ${name} after the response`,
      server: server({ EHLO: ALL, AUTH: CHALLENGE, "334": act }),
      call: login,
      throws: { type: SMTPServerDisconnected, temporary: true },
      connected: false,
    } satisfies Scenario,
  ]),
  {
    name: "a server that stalls at AUTH",
    server: server({ EHLO: ALL, AUTH: stall }),
    options: { timeouts: { command: 0.1 } },
    call: login,
    throws: { type: SMTPTimeoutError, phase: "command" },
    connected: false,
    within: 0.5,
  },
  {
    name: "a server that says 235 and more",
    server: server({ EHLO: offering("PLAIN"), AUTH: "235 ok\r\n250 and more" }),
    call: async (smtp) => {
      await login(smtp);
      return smtp.noop();
    },
    throws: { type: SMTPServerDisconnected },
    connected: false,
    lines: [HELLO, PLAIN],
  },
  {
    name: "235 to SCRAM without a proof is no login, and ends the session",
    server: server({ EHLO: ehlo("AUTH SCRAM-SHA-256"), AUTH: "235 2.7.0 welcome" }),
    call: (smtp) => smtp.login("tim", "tanstaaf"),
    throws: { type: SMTPException, message: /SCRAM/ },
    connected: false,
  },
  {
    name: "a second login on the same session, which the server refuses with 503",
    server: server({ EHLO: offering("PLAIN"), AUTH: inOrder("235 ok", "503 already") }),
    call: async (smtp) => {
      await login(smtp);
      return login(smtp);
    },
    permits: /no AUTH after a successful one/,
    gives: [503, "already"],
    connected: true,
  },
];

scenarios("auth: exchanges", exchanges);
scenarios("auth: refusals", refusals);
scenarios("auth: play", play);

/** The same stream with a remote address in place of loopback. */
function faraway(transport: Transport | undefined): Transport {
  return async (endpoint, options) => {
    if (transport === undefined) throw new Error("the server is not in memory");
    const near = await transport(endpoint, options);
    return wrapped(near, { peer: { ...near.peer, loopback: false, remoteAddress: "192.0.2.1" } });
  };
}

type Secret = { name: string; offers: string; call: (smtp: SMTP) => Promise<unknown>; allowed?: boolean; sent: RegExp };

const OPEN: readonly Secret[] = [
  { name: "login() with PLAIN", offers: "PLAIN", call: login, sent: /^EHLO [^ ]+$/ },
  { name: "login() with LOGIN", offers: "LOGIN", call: login, sent: /^EHLO [^ ]+$/ },
  {
    name: "auth() with PLAIN",
    offers: "PLAIN",
    call: (smtp) => smtp.auth("plain", () => "\0tim\0tanstaaftanstaaf"),
    sent: /^$/,
  },
  { name: "auth() with LOGIN", offers: "LOGIN", call: (smtp) => smtp.auth("LOGIN", () => "tim"), sent: /^$/ },
  { name: "auth() with XOAUTH2", offers: "XOAUTH2", call: (smtp) => smtp.auth("XOAUTH2", () => "token"), sent: /^$/ },
  {
    name: "auth() with OAUTHBEARER",
    offers: "OAUTHBEARER",
    call: (smtp) => smtp.auth("OAUTHBEARER", () => "token"),
    sent: /^$/,
  },
];

describe("[auth: in clear]", () => {
  watchForLeaks();

  it.each(OPEN)("$name is refused over a connection that others can read", async ({ offers, call, sent }) => {
    const far = scriptedTransport([server({ EHLO: offering(offers), AUTH: "235 ok" })]);
    const smtp = new SMTP("far.test", 25, { transport: faraway(far.transport), timeout: 5 });
    const outcome = await settled(() => call(smtp));
    expectThrown("error" in outcome && outcome.error, { type: SMTPNotSupportedError, message: /starttls|SMTP_SSL/i });
    expect(smtp.connected).toBe(true);
    smtp.close();
    await far.finish();
    expect(far.first.lines.join("\n")).toMatch(sent);
  });

  it.each(OPEN)("$name is allowed there with allowInsecureAuth", async ({ offers, call }) => {
    const far = scriptedTransport([server({ EHLO: offering(offers), AUTH: "235 ok" })]);
    const smtp = new SMTP("far.test", 25, { transport: faraway(far.transport), allowInsecureAuth: true });
    expect(await call(smtp)).toEqual([235, "ok"]);
    await smtp.quit();
    await far.finish();
  });

  it("CRAM-MD5 is allowed there, and nothing weaker follows its refusal", async () => {
    const far = scriptedTransport([server({ EHLO: ALL, AUTH: CHALLENGE, "334": "535 no" })]);
    const smtp = new SMTP("far.test", 25, { transport: faraway(far.transport), timeout: 5 });
    const outcome = await settled(() => login(smtp));
    expectThrown("error" in outcome && outcome.error, { type: SMTPAuthenticationError, smtp_code: 535 });
    smtp.close();
    await far.finish();
    expect(far.first.lines.filter((line) => line.startsWith("AUTH"))).toEqual(["AUTH CRAM-MD5"]);
  });
});

/** All forms in which the password could appear. */
const FORMS = ["tanstaaftanstaaf", base64("tanstaaftanstaaf"), base64("\0tim\0tanstaaftanstaaf")];

function expectHidden(text: string): void {
  for (const form of FORMS) expect(text).not.toContain(form);
}

class Memory implements Logger {
  readonly lines: string[] = [];
  debug = (line: string): void => void this.lines.push(line);
  info = (line: string): void => void this.lines.push(line);
  warn = (line: string): void => void this.lines.push(line);
  error = (line: string): void => void this.lines.push(line);
}

const ECHOES: readonly [name: string, reply: Act][] = [
  ["nothing", "535 5.7.8 no"],
  ["the response", `535 5.7.8 no: ${base64("\0tim\0tanstaaftanstaaf")}`],
  ["the password", "535 5.7.8 wrong password: tanstaaftanstaaf"],
  ["the password in base64", `535 5.7.8 wrong: ${base64("tanstaaftanstaaf")}`],
  ["the response over lines", `535-5.7.8 no\r\n535 ${base64("\0tim\0tanstaaftanstaaf")}`],
  ["the password, as an unknown command", "500 unknown command: tanstaaftanstaaf"],
];

describe("[auth: secrets]", () => {
  watchForLeaks();

  it.each(ECHOES)("a server that echoes %s: no error, log or debug line has the password", async (_, reply) => {
    const printed: string[] = [];
    const spy = vi.spyOn(console, "error").mockImplementation((...args) => void printed.push(args.join(" ")));
    const logger = new Memory();
    const near = scriptedTransport([server({ EHLO: offering("PLAIN LOGIN"), AUTH: reply, "334": reply })]);
    const { transport } = near;
    const smtp = new SMTP("near.test", 25, { transport, logger, timeout: 5 });
    smtp.set_debuglevel(2);
    const outcome = await settled(() => login(smtp));
    await smtp.quit();
    await near.finish();
    spy.mockRestore();
    expect(outcome).toHaveProperty("error");
    const error = "error" in outcome && outcome.error;
    expectHidden(inspect(error, { depth: 10, showHidden: true }));
    expectHidden(JSON.stringify(error));
    expectHidden(error instanceof Error ? `${error.message}${error.stack}` : "");
    expect(logger.lines.length).toBeGreaterThan(2);
    expectHidden(logger.lines.join("\n"));
    expect(printed.join("\n")).toMatch(/send: .*AUTH PLAIN/);
    expectHidden(printed.join("\n"));
  });

  it("the session itself does not show the password when it is printed", async () => {
    const near = scriptedTransport([server({ EHLO: offering("PLAIN"), AUTH: "235 ok" })]);
    const { transport } = near;
    const smtp = new SMTP("near.test", 25, { transport });
    await login(smtp);
    expectHidden(inspect(smtp, { depth: 10, showHidden: true }));
    expectHidden(JSON.stringify(smtp));
    expect(smtp.password).toBe("tanstaaftanstaaf");
    await smtp.quit();
    await near.finish();
  });

  it("docmd and putcmd with AUTH do not show what they send", async () => {
    const logger = new Memory();
    const near = scriptedTransport([server({ AUTH: "235 ok" })]);
    const { transport } = near;
    const smtp = new SMTP("near.test", 25, { transport, logger });
    await smtp.docmd("AUTH", `PLAIN ${FORMS[2]}`);
    await smtp.docmd(`auth plain ${FORMS[2]}`);
    await smtp.putcmd("AUTH", `PLAIN ${FORMS[2]}`);
    await smtp.getreply();
    await smtp.quit();
    await near.finish();
    expect(near.first.lines.filter((line) => line.includes(FORMS[2] ?? "-"))).toHaveLength(3);
    expectHidden(logger.lines.join("\n"));
  });

  it("a response that the caller gives to docmd's 334 is not shown either", async () => {
    const logger = new Memory();
    const near = scriptedTransport([server({ AUTH: "334", "334": "235 ok" })]);
    const { transport } = near;
    const smtp = new SMTP("near.test", 25, { transport, logger });
    await smtp.docmd("AUTH PLAIN");
    const outcome = await settled(() => smtp.docmd(FORMS[2] ?? ""));
    smtp.close();
    await near.finish();
    expect("error" in outcome || near.first.lines.length === 2).toBe(true);
    expectHidden(logger.lines.join("\n"));
  });

  it.each([
    ["a response", FORMS[2] ?? "", ["235 ok"]],
    ["an empty response", "", ["235 ok"]],
  ])("%s that the caller puts behind a 334 with putcmd is not shown either", async (_, response, answers) => {
    const logger = new Memory();
    const near = scriptedTransport([server({ AUTH: "334", "334": answers })]);
    const { transport } = near;
    const smtp = new SMTP("near.test", 25, { transport, logger });
    await smtp.putcmd("AUTH", "PLAIN");
    expect(await smtp.getreply()).toMatchObject({ code: 334 });
    await smtp.putcmd(response);
    expect(await smtp.getreply()).toMatchObject({ code: 235 });
    await smtp.quit();
    await near.finish();
    expect(near.first.lines).toEqual(["AUTH PLAIN", response, "QUIT"]);
    expectHidden(logger.lines.join("\n"));
  });

  it("a lost connection in the middle of AUTH does not show the response", async () => {
    const near = scriptedTransport([server({ EHLO: offering("PLAIN"), AUTH: reset })]);
    const { transport } = near;
    const smtp = new SMTP("near.test", 25, { transport });
    const outcome = await settled(() => login(smtp));
    smtp.close();
    await near.finish();
    expectHidden(inspect("error" in outcome && outcome.error, { depth: 10, showHidden: true }));
  });
});
