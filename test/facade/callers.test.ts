/** The stack of a rejection has the functions of the program that made the call. */

import { describe, expect, it } from "vitest";
import { SMTP, type SMTPOptions, SMTPServerDisconnected } from "../../src/index.ts";
import { plain } from "../../src/sasl/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { permit } from "../judge/under-test.ts";
import { CALLERS, callersOf, formattedBy, namesIn, unformatted } from "../support/callers.ts";
import { reasonOf, session } from "../support/session.ts";

const MESSAGE = "From: a@a.test\r\nTo: b@b.test\r\n\r\nhello\r\n";

/** Each method that rejects, as a program calls it. */
const CALLS: Record<string, (smtp: SMTP) => Promise<unknown>> = {
  helo: (smtp) => smtp.helo(),
  ehlo: (smtp) => smtp.ehlo(),
  mail: (smtp) => smtp.mail("a@a.test"),
  rcpt: (smtp) => smtp.rcpt("b@b.test"),
  data: (smtp) => smtp.data(MESSAGE),
  "data of a stream": (smtp) => smtp.data([MESSAGE]),
  rset: (smtp) => smtp.rset(),
  noop: (smtp) => smtp.noop(),
  verify: (smtp) => smtp.verify("a@a.test"),
  vrfy: (smtp) => smtp.vrfy("a@a.test"),
  expn: (smtp) => smtp.expn("list@a.test"),
  help: (smtp) => smtp.help(),
  docmd: (smtp) => smtp.docmd("XTRA"),
  starttls: (smtp) => smtp.starttls(),
  login: (smtp) => smtp.login("ada", "secret"),
  auth: (smtp) => smtp.auth("PLAIN", plain({ user: "ada", password: "secret" })),
  sendmail: (smtp) => smtp.sendmail("a@a.test", "b@b.test", MESSAGE),
  "sendmail of a stream": (smtp) => smtp.sendmail("a@a.test", "b@b.test", [MESSAGE]),
  send_message: (smtp) => smtp.send_message(MESSAGE),
  "send_message of an object": (smtp) => smtp.send_message({ build: async () => MESSAGE }),
  deliver: (smtp) => smtp.deliver({ from: "a@a.test", to: ["b@b.test"], body: MESSAGE }),
  "deliver of a stream": (smtp) => smtp.deliver({ from: "a@a.test", to: ["b@b.test"], body: [MESSAGE] }),
};

/** The methods that reject without a session. */
const CONNECTED_CALLS: typeof CALLS = {
  ...CALLS,
  ehlo_or_helo_if_needed: (smtp) => smtp.ehlo_or_helo_if_needed(),
  getreply: (smtp) => smtp.getreply(),
  putcmd: (smtp) => smtp.putcmd("NOOP"),
  send: (smtp) => smtp.send("NOOP\r\n"),
  quit: (smtp) => smtp.quit(),
};

/** A session after EHLO, with a server that disconnects at the next command. */
async function doomed(options: SMTPOptions = {}): Promise<SMTP> {
  const answers = { EHLO: ["250-fake\r\n250-STARTTLS\r\n250 AUTH PLAIN", "close"] };
  const on: Script["on"] = new Proxy(answers, { get: (known, verb) => Reflect.get(known, verb) ?? "close" });
  const { smtp } = await session({ on, peer: { loopback: true } }, options);
  await smtp.ehlo();
  return smtp;
}

describe("the stack of a rejection has the callers", () => {
  it.each(Object.entries(CALLS))("%s, when the server hangs up", async (_, call) => {
    const smtp = await doomed();
    const callers = await callersOf(() => call(smtp));
    expect(callers).toEqual(CALLERS);
  });

  it.each(Object.entries(CONNECTED_CALLS))("%s, without a session", async (_, call) => {
    const smtp = new SMTP();
    const callers = await callersOf(() => call(smtp));
    expect(callers).toEqual(CALLERS);
  });

  it.each(Object.entries(CONNECTED_CALLS))(
    "%s, as the first call of an instance that cannot connect",
    async (_, call) => {
      const smtp = new SMTP("mail.example.com", 25, { transport: refusing });
      const callers = await callersOf(() => call(smtp));
      expect(callers).toEqual(CALLERS);
    },
  );

  it("connect()", async () => {
    const callers = await callersOf(() => new SMTP("", 0, { transport: refusing }).connect("mail.example.com"));
    expect(callers).toEqual(CALLERS);
  });

  it("SMTP.connect(), refused by the network and by the server", async () => {
    const { transport } = new FakeServer({ greeting: "554 no" });
    for (const options of [{ transport: refusing }, { transport }]) {
      const callers = await callersOf(() => SMTP.connect("mail.example.com", 25, options));
      expect(callers).toEqual(CALLERS);
    }
  });

  it("the end of `await using`", async () => {
    const { smtp } = await session({ on: { QUIT: "500 no" } });
    const callers = await callersOf(() => smtp[Symbol.asyncDispose]());
    expect(callers).toEqual(CALLERS);
  });
});

describe("whatever is refused", () => {
  const REFUSALS: [string, Script, (smtp: SMTP) => Promise<unknown>][] = [
    ["the sender", { on: { MAIL: "550 no" } }, (smtp) => smtp.sendmail("a@a.test", "b@b.test", MESSAGE)],
    ["the recipients", { on: { RCPT: "550 no" } }, (smtp) => smtp.sendmail("a@a.test", "b@b.test", MESSAGE)],
    ["DATA", { on: { DATA: "550 no" } }, (smtp) => smtp.deliver({ from: "a@a.test", to: ["b@b.test"], body: MESSAGE })],
    ["the content", { on: { ".": "550 no" } }, (smtp) => smtp.sendmail("a@a.test", "b@b.test", [MESSAGE])],
    ["EHLO and HELO", { on: { EHLO: "550 no", HELO: "550 no" } }, (smtp) => smtp.send_message(MESSAGE)],
    [
      "the credentials",
      { ehlo: ["AUTH PLAIN"], on: { AUTH: "535 no" }, peer: { loopback: true } },
      (smtp) => smtp.login("ada", "secret"),
    ],
    ["the size", { ehlo: ["SIZE 10"] }, (smtp) => smtp.sendmail("a@a.test", "b@b.test", MESSAGE)],
    [
      "an answer in time",
      { on: { NOOP: () => undefined } },
      (smtp) => {
        smtp.timeout = 0.05;
        return smtp.noop();
      },
    ],
  ];

  it.each(REFUSALS)("%s", async (_, script, call) => {
    const { smtp } = await session(script);
    const callers = await callersOf(() => call(smtp));
    expect(callers).toEqual(CALLERS);
  });

  const ARGUMENTS: [string, (smtp: SMTP) => Promise<unknown>][] = [
    ["an address", (smtp) => smtp.sendmail("a@a.test\r\n", "b@b.test", MESSAGE)],
    ["a recipient", (smtp) => smtp.rcpt("b@b.test\r\n")],
    ["a command", (smtp) => smtp.docmd("NOOP\r\n")],
    ["a parameter", (smtp) => smtp.sendmail("a@a.test", "b@b.test", MESSAGE, { size: -1 })],
    [
      "a recipient's parameter",
      (smtp) => smtp.deliver({ from: "a@a.test", to: [{ address: "b@b.test", orcpt: "no" }], body: MESSAGE }),
    ],
    ["a body", (smtp) => smtp.data(Reflect.get({}, "body"))],
    ["a message", (smtp) => smtp.send_message({})],
  ];

  it.each(ARGUMENTS)("%s that cannot be", async (_, call) => {
    const { smtp } = await session();
    await smtp.ehlo();
    const callers = await callersOf(() => call(smtp));
    expect(callers).toEqual(CALLERS);
  });
});

describe("each call has its own callers", () => {
  it("of calls that are queued and pipelined", async () => {
    const { smtp } = await session({ ehlo: ["PIPELINING"], on: { MAIL: "550 no" } });
    async function sendFirst(): Promise<void> {
      await smtp.sendmail("a@a.test", "b@b.test", MESSAGE);
    }
    async function sendSecond(): Promise<void> {
      await smtp.sendmail("a@a.test", "b@b.test", MESSAGE);
    }
    async function askThird(): Promise<void> {
      await smtp.verify("no\r\n");
    }
    const names = await namesOf(sendFirst, sendSecond, askThird);
    expect(names).toEqual([["sendFirst"], ["sendSecond"], ["askThird"]]);
  });

  it("of calls that one end of the session cuts off", async () => {
    const { server, smtp } = await session({ on: { NOOP: () => undefined } });
    async function askFirst(): Promise<void> {
      await smtp.noop();
    }
    async function askSecond(): Promise<void> {
      await smtp.noop();
    }
    void server.saw("NOOP").then(() => server.say("garbage\r\n"));
    const names = await namesOf(askFirst, askSecond);
    expect(names).toEqual([["askFirst"], ["askSecond"]]);
  });

  it("of calls in Promise.all", async () => {
    const { smtp } = await session({ on: { MAIL: "550 no" } });
    const send = () => smtp.sendmail("a@a.test", "b@b.test", MESSAGE);
    const callers = await callersOf(() => Promise.all([send(), send()]));
    expect(callers).toEqual(CALLERS);
  });
});

describe("what the error is otherwise", () => {
  it("keeps the message and its own lines first", async () => {
    const { smtp } = await session({ on: { MAIL: "550 no" } });
    async function sendNewsletter(): Promise<void> {
      await smtp.sendmail("a@a.test", "b@b.test", MESSAGE);
    }
    const error = await unformatted(() => reasonOf(sendNewsletter()));
    const ownLine = /^\w+: 550 no\n\s+at .*\n/;
    expect(error).toMatchObject({ message: "550 no", stack: expect.stringMatching(ownLine) });
    expect(namesIn(error)).toContain("sendNewsletter");
    expect(Object.keys(Object(error))).not.toContain("stack");
  });

  it("leaves the reason of an abort as it is, whatever it is", async () => {
    // One of the reasons is an exception of the caller, which reports nothing about a message.
    permit(/says nothing of the message/);
    for (const reason of [new Error("stop"), new TypeError("stop"), new SMTPServerDisconnected("stop"), "stop"]) {
      const { stack } = Object(reason);
      const { smtp } = await session({ on: { ".": () => undefined } });
      const aborting = new AbortController();
      const send = () => smtp.sendmail("a@a.test", "b@b.test", MESSAGE, [], [], { signal: aborting.signal });
      const sent = [send(), send()].map(reasonOf);
      await new Promise((resolve) => setTimeout(resolve, 5));
      aborting.abort(reason);
      const errors = await Promise.all([...sent, reasonOf(send())]);
      for (const error of errors) expect(error).toBe(reason);
      expect(Object(reason).stack).toBe(stack);
    }
  });

  it("leaves a stack alone that the program's own Error.prepareStackTrace made", async () => {
    const error = await formattedBy(
      () => ["not", "text"],
      () => reasonOf(new SMTP().noop()),
    );
    expect(error).toBeInstanceOf(SMTPServerDisconnected);
  });
});

/** The given functions that appear in the stacks of their rejections. */
function namesOf(...callers: (() => Promise<void>)[]): Promise<string[][]> {
  const names = callers.map(({ name }) => name);
  return unformatted(async () => {
    const errors = await Promise.all(callers.map((caller) => reasonOf(caller())));
    return errors.map((error) => namesIn(error).filter((name) => names.includes(name)));
  });
}

async function refusing(): Promise<never> {
  throw Object.assign(new Error("connection refused"), { code: "ECONNREFUSED" });
}
