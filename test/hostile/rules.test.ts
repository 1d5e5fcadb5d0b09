/**
 * The life of a session: connecting, calls that come too early or too late, quitting, printing (SECURITY.md, rules 6
 * and 10).
 */
import { describe, expect, it } from "vitest";
import {
  SMTP,
  SMTPConnectError,
  SMTPException,
  SMTPResponseException,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import {
  callback,
  close,
  delay,
  ehlo,
  inOrder,
  raw,
  reset,
  server,
  stall,
  startScriptedServer,
} from "../support/scripted-server.ts";
import { expectThrown, HELLO, MESSAGE, type Scenario, scenarios, sendOne, settled, watchForLeaks } from "./scenario.ts";

type Call = readonly [name: string, call: (smtp: SMTP) => Promise<unknown>];

/** Every method that needs a session. */
const CALLS: readonly Call[] = [
  ["helo", (s) => s.helo()],
  ["ehlo", (s) => s.ehlo()],
  ["ehlo_or_helo_if_needed", (s) => s.ehlo_or_helo_if_needed()],
  ["mail", (s) => s.mail("a@client.test")],
  ["rcpt", (s) => s.rcpt("b@lab.test")],
  ["data", (s) => s.data("x")],
  ["rset", (s) => s.rset()],
  ["noop", (s) => s.noop()],
  ["verify", (s) => s.verify("x")],
  ["vrfy", (s) => s.vrfy("x")],
  ["expn", (s) => s.expn("x")],
  ["help", (s) => s.help()],
  ["docmd", (s) => s.docmd("XYZ")],
  ["putcmd", (s) => s.putcmd("XYZ")],
  ["getreply", (s) => s.getreply()],
  ["send", (s) => s.send("XYZ\r\n")],
  ["send of nothing", (s) => s.send("")],
  ["starttls", (s) => s.starttls({ servername: "x.test" })],
  ["login", (s) => s.login("u", "p")],
  ["auth", (s) => s.auth("PLAIN", () => "x")],
  ["sendmail", (s) => sendOne(s)],
  ["send_message", (s) => s.send_message("From: a@client.test\r\nTo: b@lab.test\r\n\r\nx\r\n")],
  ["deliver", (s) => s.deliver({ from: "a@client.test", to: ["b@lab.test"], body: "x" })],
  ["quit", (s) => s.quit()],
];

const OF_A_MESSAGE = ["data", "sendmail", "send_message", "deliver"];

/** The ways in which a session ends. */
const DEAD: readonly [name: string, kill: (smtp: SMTP) => Promise<unknown>][] = [
  [
    "close()",
    async (smtp) => {
      await smtp.noop();
      smtp.close();
    },
  ],
  ["quit()", (smtp) => smtp.quit()],
  ["the server's end", (smtp) => smtp.docmd("DIE").catch(() => {})],
  ["421", (smtp) => smtp.docmd("BYE")],
];

/** quit() reports the end of the session by its reply: in a `finally` block it must hide no error. */
const REJECTING = CALLS.filter(([name]) => name !== "quit");

const dead: Scenario[] = DEAD.flatMap(([death, kill]) =>
  REJECTING.map(
    ([name, call]): Scenario => ({
      name: `${name} after ${death}`,
      server: server({ DIE: close, BYE: "421 bye" }),
      call: async (smtp) => {
        await kill(smtp);
        expect(smtp.connected).toBe(false);
        return call(smtp);
      },
      throws: {
        type: SMTPServerDisconnected,
        ...(OF_A_MESSAGE.includes(name) ? { delivery: "not-sent" as const } : { delivery: undefined }),
      },
      connected: false,
      within: 0.5,
    }),
  ),
);

describe("[rules: no session]", () => {
  watchForLeaks();

  it.each(CALLS)("%s on an instance that was never connected", async (name, call) => {
    const smtp = new SMTP();
    const outcome = await settled(() => call(smtp));
    expectThrown("error" in outcome && outcome.error, {
      type: SMTPServerDisconnected,
      message: /connect\(\)/,
      ...(OF_A_MESSAGE.includes(name) ? { delivery: "not-sent" as const } : {}),
    });
    smtp.close();
    smtp.close();
  });

  it.each(REJECTING)("%s is the first method after a connection that was refused", async (name, call) => {
    const smtp = new SMTP("127.0.0.1", await closedPort(), { timeout: 2 });
    const outcome = await settled(() => call(smtp), 2);
    expectThrown("error" in outcome && outcome.error, {
      type: SMTPConnectError,
      smtp_code: -1,
      temporary: true,
      ...(OF_A_MESSAGE.includes(name) && name !== "data" ? { delivery: "not-sent" as const } : {}),
    });
    expect(smtp.connected).toBe(false);
    smtp.close();
  });

  it("a connection that fails and that nobody asks about is no unhandled rejection", async () => {
    const smtp = new SMTP("127.0.0.1", await closedPort());
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(smtp.connected).toBe(false);
  });

  it("the failure to connect is thrown by SMTP.connect itself", async () => {
    const port = await closedPort();
    const outcome = await settled(() => SMTP.connect("127.0.0.1", port));
    expectThrown("error" in outcome && outcome.error, { type: SMTPConnectError, smtp_code: -1, cause: Error });
  });

  it("after a failure to connect, connect() to a server that is there works", async () => {
    const answering = await startScriptedServer(server());
    const smtp = new SMTP("127.0.0.1", await closedPort(), { timeout: 2 });
    await smtp.noop().catch(() => {});
    expect((await smtp.connect(answering.host, answering.port)).code).toBe(220);
    expect(await sendOne(smtp)).toEqual({});
    await smtp.quit();
    await answering.finish();
  });

  it("connect() closes an earlier session and forgets it", async () => {
    const [first, second] = await Promise.all([
      startScriptedServer(server({ EHLO: ehlo("PIPELINING", "XFIRST") })),
      startScriptedServer(server({ EHLO: ehlo("XSECOND") })),
    ]);
    const smtp = new SMTP(first.host, first.port, { timeout: 2 });
    await smtp.ehlo();
    await smtp.mail("old@client.test");
    await smtp.connect(second.host, second.port);
    expect([smtp.does_esmtp, smtp.has_extn("xfirst"), smtp.ehlo_resp]).toEqual([false, false, undefined]);
    expect(await sendOne(smtp)).toEqual({});
    expect(smtp.has_extn("xsecond")).toBe(true);
    await smtp.quit();
    await Promise.all([first.finish(), second.finish()]);
    expect(first.first.taken).toBe(0);
    expect(second.first.lines.join()).not.toMatch(/RSET/);
  });

  it("close() while connecting ends all calls", async () => {
    const silent = await startScriptedServer(stall);
    const smtp = new SMTP(silent.host, silent.port, { timeout: 5 });
    const calls = REJECTING.map(([, call]) => settled(() => call(smtp), 1));
    smtp.close();
    for (const outcome of await Promise.all(calls)) {
      expect("error" in outcome && outcome.error).toBeInstanceOf(SMTPException);
    }
    await silent.finish();
  });

  it("close() while the greeting is awaited ends all calls", async () => {
    const silent = await startScriptedServer([delay(0.02), callback(() => smtp.close()), stall]);
    const smtp: SMTP = new SMTP(silent.host, silent.port, { timeout: 5 });
    const calls = REJECTING.map(([, call]) => settled(() => call(smtp), 1));
    for (const outcome of await Promise.all(calls)) {
      expect("error" in outcome && outcome.error).toBeInstanceOf(SMTPServerDisconnected);
    }
    await silent.finish();
  });

  it("all calls that are made at once on one session are settled when it dies in the first", async () => {
    const dying = await startScriptedServer(server({ HELO: reset }));
    const smtp = new SMTP(dying.host, dying.port, { timeout: 5 });
    const outcomes = await Promise.all(REJECTING.map(([, call]) => settled(() => call(smtp), 1)));
    for (const outcome of outcomes) expect("error" in outcome && outcome.error).toBeInstanceOf(SMTPServerDisconnected);
    await dying.finish();
  });
});

/** A port of 127.0.0.1 on which nothing listens. */
async function closedPort(): Promise<number> {
  const short = await startScriptedServer([]);
  await short.finish();
  return short.port;
}

const quits: Scenario[] = [
  {
    name: "a message that was accepted stays accepted when QUIT is answered with 500",
    server: server({ QUIT: "500 what" }),
    call: async (smtp) => [await sendOne(smtp), (await smtp.quit()).code],
    gives: [{}, 500],
    connected: false,
    taken: 1,
  },
  {
    name: "QUIT that is not answered ends in time",
    server: server({ QUIT: stall }),
    options: { timeouts: { quit: 0.1 } },
    call: (smtp) => smtp.quit(),
    gives: [-1, "timed out after 0.1 s (quit)"],
    connected: false,
    within: 0.5,
  },
  {
    name: "QUIT that is answered by the end of the connection",
    server: server({ QUIT: close }),
    call: (smtp) => smtp.quit(),
    gives: [-1, "connection lost: the server closed the connection"],
    connected: false,
  },
  {
    name: "`await using` and an answer other than 221",
    server: server({ QUIT: "250 ok" }),
    call: async (smtp) => {
      await smtp.noop();
      return smtp[Symbol.asyncDispose]();
    },
    throws: { type: SMTPResponseException, smtp_code: 250 },
    connected: false,
  },
  {
    name: "`await using` and 421",
    server: server({ QUIT: "421 bye" }),
    call: async (smtp) => {
      await smtp.noop();
      return smtp[Symbol.asyncDispose]();
    },
    throws: { type: SMTPResponseException, smtp_code: 421 },
    connected: false,
  },
  ...[close, reset].map(
    (act, i): Scenario => ({
      name: `\`await using\` and a connection that is ${i === 0 ? "closed" : "reset"} is fine`,
      server: server({ QUIT: act }),
      call: async (smtp) => {
        await smtp.noop();
        await smtp[Symbol.asyncDispose]();
      },
      gives: undefined,
      connected: false,
    }),
  ),
  {
    name: "`await using` after close() is fine",
    server: server(),
    call: async (smtp) => {
      await smtp.noop();
      smtp.close();
      await smtp[Symbol.asyncDispose]();
      await smtp[Symbol.asyncDispose]();
    },
    gives: undefined,
    connected: false,
  },
  {
    name: "QUIT waits for messages that are under way",
    server: server({ ".": [delay(0.05), "250 ok"] }),
    call: (smtp) => Promise.all([sendOne(smtp), sendOne(smtp), smtp.quit()]).then((all) => all.length),
    gives: 3,
    connected: false,
    taken: 2,
  },
  {
    name: "a server that says more behind its 221",
    server: server({ QUIT: ["221 bye\r\n250 and more", close] }),
    call: async (smtp) => (await smtp.quit()).code,
    gives: 221,
    connected: false,
  },
];

const raws: Scenario[] = [
  {
    name: "putcmd and getreply",
    server: server({ XA: "250 a", XB: "250 b" }),
    call: async (smtp) => {
      await smtp.putcmd("XA");
      await smtp.putcmd("XB", "1");
      return [await smtp.getreply(), await smtp.getreply(), (await smtp.noop()).code];
    },
    gives: [[250, "a"], [250, "b"], 250],
    connected: true,
    lines: ["XA", "XB 1", "NOOP"],
  },
  {
    name: "getreply that nothing answers ends in time",
    server: server(),
    options: { timeouts: { command: 0.1 } },
    call: (smtp) => smtp.getreply(),
    throws: { type: SMTPTimeoutError, phase: "command" },
    connected: false,
    within: 0.5,
  },
  {
    name: "getreply on a connection that ends",
    server: ["220 hi", delay(0.02), close],
    call: (smtp) => smtp.getreply(),
    throws: { type: SMTPServerDisconnected },
    connected: false,
  },
  {
    name: "a raw message by send() and getreply()",
    server: server(),
    call: async (smtp) => {
      const codes: number[] = [];
      for (const text of ["MAIL FROM:<a@client.test>\r\n", "RCPT TO:<b@lab.test>\r\n", "DATA\r\n", "x\r\n.\r\n"]) {
        await smtp.send(text);
        codes.push((await smtp.getreply()).code);
      }
      return codes;
    },
    gives: [250, 250, 354, 250],
    connected: true,
    taken: 1,
  },
  {
    name: "an answer that nobody fetched is not taken for that of the next message",
    server: server({ XA: "550 a" }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.putcmd("XA");
      await new Promise((resolve) => setTimeout(resolve, 30));
      return sendOne(smtp);
    },
    throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
    connected: false,
    check: (_, { lines }) => expect(lines.join()).not.toMatch(/MAIL/),
  },
  {
    name: "an answer that nobody fetched and that comes late is not taken for that of the next message either",
    server: server({ EHLO: ehlo("8BITMIME"), XA: [delay(0.05), "250 a"], RCPT: "354 go" }),
    call: async (smtp) => {
      await smtp.ehlo();
      await smtp.putcmd("XA");
      return sendOne(smtp);
    },
    throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
    connected: false,
    taken: 0,
    check: (_, { lines }) => expect(lines.join()).not.toMatch(/MAIL/),
  },
  {
    name: "send() writes as it is told",
    server: server({ XA: raw("250 a\r\n"), XB: "250 b" }),
    call: async (smtp) => {
      await smtp.send(new TextEncoder().encode("XA\r\nXB\r\n"));
      return [(await smtp.getreply()).message, (await smtp.getreply()).message];
    },
    gives: ["a", "b"],
    connected: true,
  },
];

const sizes: Scenario[] = [
  {
    name: "a name of a megabyte in EHLO is sent whole, and answered",
    server: server({ EHLO: "500 line too long", HELO: "500 line too long" }),
    call: (smtp) => smtp.ehlo("x".repeat(1_000_000)),
    permits: /12,288 octets/,
    gives: [500, "line too long"],
    connected: true,
    within: 3,
  },
  {
    name: "recipients of a megabyte of quotes and comments are read in linear time",
    server: server(),
    call: async (smtp) => {
      await smtp.noop();
      const evil = [
        '"'.repeat(1_000_000),
        "(".repeat(1_000_000),
        "<".repeat(1_000_000),
        '"\\'.repeat(500_000),
        "a@".repeat(500_000),
      ];
      const began = performance.now();
      for (const address of evil) await smtp.sendmail("a@client.test", address, MESSAGE).catch(() => {});
      return performance.now() - began < 3000;
    },
    gives: true,
    connected: true,
    within: 10,
    lines: ["NOOP"],
  },
  {
    name: "a hundred failed messages leave a session that works",
    server: server({ MAIL: inOrder(...Array.from({ length: 100 }, () => "550 no"), "250 ok") }),
    call: async (smtp) => {
      for (let i = 0; i < 100; i++) await sendOne(smtp).catch(() => {});
      return sendOne(smtp);
    },
    gives: {},
    connected: true,
    within: 5,
  },
  {
    name: "EHLO is said once, whatever is called",
    server: server(),
    call: async (smtp) => {
      await Promise.all([sendOne(smtp), sendOne(smtp), smtp.ehlo_or_helo_if_needed()]);
    },
    gives: undefined,
    connected: true,
    check: (_, { lines }) => expect(lines.filter((line) => HELLO.test(line))).toHaveLength(1),
  },
];

scenarios("rules: dead", dead);
scenarios("rules: QUIT", quits);
scenarios("rules: raw", raws);
scenarios("rules: sizes", sizes);
