/** quit() in a `finally`: it hides neither a success nor a failure, whatever the server does. */
import { describe, expect, test } from "vitest";
import { LMTP, SMTP, type SMTPOptions, SMTPPool, SMTPServerDisconnected } from "../../src/index.ts";
import type { FakeServer } from "../client/fake-server.ts";
import {
  type Act,
  close,
  delay,
  ehlo,
  freeze,
  raw,
  reset,
  server,
  stall,
  startScriptedServer,
} from "../support/scripted-server.ts";
import { reasonOf, session } from "../support/session.ts";

const MESSAGE = "Subject: x\r\n\r\nx\r\n";

const ANSWERS: readonly [name: string, answer: Act, reply: RegExp | [number, string]][] = [
  ["221", ["221 bye", close], [221, "bye"]],
  ["another code", "500 what?", [500, "what?"]],
  ["421", ["421 closing", close], [421, "closing"]],
  ["a close", close, /^connection lost/],
  ["a reset", reset, /^connection lost/],
  ["half a line and a close", [raw("22"), close], /^connection lost/],
  ["garbage", "\u0001bye bye", /broke the protocol/],
  ["a code that is none", "999 bye", /broke the protocol/],
  ["silence", stall, /^timed out after 0.2 s \(quit\)/],
  ["a server that does not read", freeze, /^timed out after 0.2 s \(quit\)/],
];

/** The example of the guides. */
async function sendAndQuit(smtp: SMTP, replies: unknown[] = []): Promise<unknown> {
  try {
    return await smtp.sendmail("a@client.test", "b@lab.test", MESSAGE);
  } finally {
    replies.push(await smtp.quit());
  }
}

const OPTIONS: SMTPOptions = { timeout: 5, timeouts: { quit: 0.2 } };

describe.each([
  ["SMTP", SMTP],
  ["LMTP", LMTP],
] as const)("quit() of %s, over a real socket", (_, Class) => {
  test.each(ANSWERS)("answered by %s leaves a success a success", async (_name, answer, reply) => {
    const peer = await startScriptedServer(server({ QUIT: answer }));
    const smtp = await Class.connect(peer.host, peer.port, OPTIONS);
    const replies: unknown[] = [];
    expect(await sendAndQuit(smtp, replies)).toEqual({});
    expect(replies).toEqual([reply instanceof RegExp ? [-1, expect.stringMatching(reply)] : reply]);
    expect(Object.isFrozen(replies[0])).toBe(true);
    expect(smtp.connected).toBe(false);
    await peer.finish();
  });

  test.each(ANSWERS)("answered by %s leaves a refusal as it is", async (_name, answer) => {
    const peer = await startScriptedServer(server({ RCPT: "550 nobody", QUIT: answer }));
    const smtp = await Class.connect(peer.host, peer.port, OPTIONS);
    expect(await reasonOf(sendAndQuit(smtp))).toMatchObject({ name: "SMTPRecipientsRefused", delivery: "rejected" });
    await peer.finish();
  });

  test.each<[name: string, act: Act]>([
    ["a close", close],
    ["a reset", reset],
    ["a 421", ["421 too busy", close]],
    ["silence", stall],
  ])("leaves unknown what %s instead of the final reply made unknown", async (_name, act) => {
    const peer = await startScriptedServer(server({ ".": act }));
    const smtp = await Class.connect(peer.host, peer.port, { ...OPTIONS, timeouts: { quit: 0.2, dataDone: 0.2 } });
    const replies: unknown[] = [];
    const error = await reasonOf(sendAndQuit(smtp, replies));
    expect(error).toMatchObject({ delivery: String(act).includes("421") ? "rejected" : "unknown", temporary: true });
    expect(replies).toEqual([[-1, expect.not.stringContaining("connect()")]]);
    await peer.finish();
  });

  test.each(ANSWERS)(
    "by await using, answered by %s, throws only for an answer other than 221",
    async (_n, answer, reply) => {
      const peer = await startScriptedServer(server({ QUIT: answer }));
      const smtp = await Class.connect(peer.host, peer.port, OPTIONS);
      await smtp.noop();
      const outcome = await reasonOf(smtp[Symbol.asyncDispose]());
      if (reply instanceof RegExp || reply[0] === 221) expect(outcome).toBe("no rejection");
      else expect(outcome).toMatchObject({ name: "SMTPResponseException", smtp_code: reply[0] });
      await peer.finish();
    },
  );
});

describe("quit()", () => {
  test("gives [-1, why] for a session that is over, however often it is called", async () => {
    const over: [end: (smtp: SMTP, server: FakeServer) => unknown, why: RegExp][] = [
      [(smtp) => smtp.quit(), /QUIT/],
      [(smtp) => smtp.close(), /close\(\)/],
      [(smtp) => smtp.docmd("BYE"), /421 go away/],
      [(smtp) => reasonOf(smtp.docmd("SILENCE")), /^timed out after 0.05 s/],
      [(_, peer) => peer.streams.at(-1)?.abort(new Error("gone")), /gone|lost/],
    ];
    for (const [end, why] of over) {
      const { server, smtp } = await session(
        { on: { BYE: "421 go away", SILENCE: () => undefined } },
        { timeouts: { command: 0.05 } },
      );
      await end(smtp, server);
      await new Promise((resolve) => setTimeout(resolve, 5));
      for (let i = 0; i < 2; i++) {
        const reply = await smtp.quit();
        expect(reply).toEqual([-1, expect.stringMatching(why)]);
        expect(reply).toMatchObject({ code: -1, lines: [reply.message], enhancedCode: undefined });
      }
    }
  });

  test("waits its turn", async () => {
    const { server, smtp } = await session({ on: { ".": () => undefined } });
    const calls = [smtp.sendmail("a@b.c", "d@e.f", MESSAGE), smtp.noop(), smtp.quit(), smtp.quit()];
    await server.saw(".");
    server.say("250 taken\r\n");
    expect(await Promise.all(calls)).toEqual([{}, [250, "ok"], [221, "bye"], [-1, expect.any(String)]]);
  });

  test("ends a session that is in the middle of something", async () => {
    const { smtp } = await session({ on: { AUTH: "334 eA==" } });
    await smtp.docmd("AUTH", "X");
    expect(await smtp.quit()).toEqual([-1, expect.stringContaining("QUIT cannot be sent now")]);
    expect(smtp.connected).toBe(false);
  });

  test("gives the reason of the signal that ended the session", async () => {
    const controller = new AbortController();
    const { smtp } = await session({}, { signal: controller.signal });
    controller.abort(new Error("enough"));
    expect(await smtp.quit()).toEqual([-1, expect.stringContaining("enough")]);
  });

  test.each<[name: string, end: (smtp: SMTP) => Promise<unknown>]>([
    ["quit()", (smtp) => smtp.quit()],
    ["await using", (smtp) => smtp[Symbol.asyncDispose]()],
  ])("rejects with the reason of a signal that fires while QUIT is awaited: %s", async (_, end) => {
    const silent = server({ QUIT: stall });
    const peer = await startScriptedServer(silent, silent);
    for (const reason of [new Error("enough"), "a text"]) {
      const controller = new AbortController();
      const smtp = await SMTP.connect(peer.host, peer.port, { timeout: 5, signal: controller.signal });
      const ended = reasonOf(end(smtp));
      setTimeout(() => controller.abort(reason), 20);
      expect(await ended).toBe(reason);
      expect(smtp.connected).toBe(false);
      expect(await smtp.quit()).toEqual([-1, expect.any(String)]);
    }
    await peer.finish();
  });

  test("rejects on an instance that was never connected", async () => {
    expect(await reasonOf(new SMTP().quit())).toMatchObject({
      name: "SMTPServerDisconnected",
      message: "please run connect() first",
      delivery: undefined,
    });
    const own = new Error("no route");
    const refused = new SMTP("mail.example.com", 25, { transport: () => Promise.reject(own) });
    expect(await reasonOf(refused.quit())).toMatchObject({
      name: "SMTPServerDisconnected",
      message: expect.stringContaining("no route"),
      cause: { name: "SMTPConnectError", cause: own },
    });
  });

  test("does not replace the failure to connect that another call has thrown", async () => {
    const transport = () => Promise.reject(new Error("no route"));
    const smtp = new SMTP("mail.example.com", 25, { transport });
    expect(await reasonOf(sendAndQuit(smtp))).toMatchObject({ name: "SMTPConnectError", delivery: "not-sent" });
    const later = new SMTP(undefined, undefined, { transport });
    const connectAndQuit = async (): Promise<void> => {
      try {
        await later.connect("mail.example.com");
      } finally {
        await later.quit();
      }
    };
    expect(await reasonOf(connectAndQuit())).toMatchObject({ name: "SMTPConnectError" });
  });

  test("may be followed by connect()", async () => {
    const { smtp } = await session({ on: { QUIT: "close" } });
    await smtp.quit();
    expect(await reasonOf(smtp.noop())).toMatchObject({
      name: "SMTPServerDisconnected",
      message: "the session was ended by quit()",
      cause: { message: expect.stringContaining("closed the connection") },
    });
    await smtp.connect("mail.example.com");
    expect((await smtp.noop()).code).toBe(250);
    expect((await smtp.quit()).code).toBe(-1);
  });

  test("is bounded by its own phase only", async () => {
    const peer = await startScriptedServer(server({ QUIT: [delay(0.2), "221 bye", close] }));
    const smtp = await SMTP.connect(peer.host, peer.port, { timeout: 0.1 });
    expect(await smtp.quit()).toEqual([221, "bye"]);
    await peer.finish();
  });
});

test.each(ANSWERS)("a pool's results do not depend on QUIT: %s", async (_, answer) => {
  const peer = await startScriptedServer(server({ EHLO: ehlo(), QUIT: answer }));
  const pool = new SMTPPool({ host: peer.host, port: peer.port, ...OPTIONS, maxMessages: 1 });
  const sent = [1, 2, 3].map(() => pool.sendmail("a@client.test", "b@lab.test", MESSAGE));
  expect(await Promise.all(sent)).toEqual([{}, {}, {}]);
  await pool.close();
  await peer.finish();
});

test("a lost session's reason is an exception of each call", async () => {
  const { smtp } = await session({ on: { NOOP: "421 4.3.2 shutting down" } });
  await smtp.noop();
  const errors = [await reasonOf(smtp.noop()), await reasonOf(smtp.noop()), await reasonOf(smtp.quit())];
  expect(errors[0]).toBeInstanceOf(SMTPServerDisconnected);
  expect(errors[0]).not.toBe(errors[1]);
  expect(errors[0]).toMatchObject({ message: "the server is closing: 421 4.3.2 shutting down", temporary: true });
});
