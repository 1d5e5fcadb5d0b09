/** Calls without await: their order, the ends of a session, and that no call stays pending or unhandled. */
import { describe, expect, test, vi } from "vitest";
import { SMTP } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { reasonOf, session } from "../support/session.ts";

const verbs = (server: FakeServer): (string | undefined)[] => server.lines.map((line) => line.split(/[ :]/)[0]);
const message = "From: a@b.c\nTo: d@e.f\n\nx\n";

describe("calls made at once", () => {
  test("run in call order, and none falls into another's transaction", async () => {
    const { server, smtp } = await session({
      ehlo: ["PIPELINING", "SIZE", "DSN", "AUTH PLAIN"],
      on: { AUTH: "235 in" },
    });
    await Promise.all([
      smtp.ehlo(),
      smtp.login("u", "p"),
      smtp.sendmail("a@b.c", "d@e.f", "x"),
      smtp.noop(),
      smtp.send_message(message),
      smtp.mail("a@b.c", { size: 5 }),
      smtp.rcpt("d@e.f"),
      smtp.data("x"),
      smtp.deliver({ from: "a@b.c", to: [{ address: "d@e.f", notify: ["NEVER"] }], body: "x" }),
      smtp.docmd("XFOO"),
      smtp.quit(),
    ]);
    const transaction = ["MAIL", "RCPT", "DATA", "."];
    expect(verbs(server)).toEqual([
      "EHLO",
      "AUTH",
      ...transaction,
      "NOOP",
      ...transaction,
      ...transaction,
      ...transaction,
      "XFOO",
      "QUIT",
    ]);
  });

  test("give each its own reply", async () => {
    const { smtp } = await session({ on: { NOOP: ["250 one", "250 two", "250 three"] } });
    const replies = await Promise.all([smtp.noop(), smtp.noop(), smtp.noop()]);
    expect(replies.map(([, text]) => text)).toEqual(["one", "two", "three"]);
  });

  test("on an instance that is still connecting wait for it", async () => {
    const server = new FakeServer();
    const smtp = new SMTP("mail.example.com", 25, { transport: server.transport });
    const [noop, refused] = await Promise.all([smtp.noop(), smtp.sendmail("a@b.c", "d@e.f", "x")]);
    expect(noop.code).toBe(250);
    expect({ ...refused }).toEqual({});
  });

  test("go on behind one that failed", async () => {
    const { server, smtp } = await session({ on: { MAIL: ["550 no", "250 ok"] } });
    const results = await Promise.allSettled([
      smtp.sendmail("a@b.c", "d@e.f", "x"),
      smtp.sendmail("a\r\nb", "d@e.f", "x"),
      smtp.sendmail("a@b.c", "d@e.f", "x", { ret: "HDRS" }),
      smtp.noop(),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected", "fulfilled"]);
    expect(verbs(server)).toEqual(["EHLO", "MAIL", "RSET", "NOOP"]);
  });

  test("are all settled by close(), which does not queue", async () => {
    const { server, smtp } = await session({ on: { NOOP: () => undefined } });
    const calls = [smtp.noop(), smtp.sendmail("a@b.c", "d@e.f", "x"), smtp.send_message(message), smtp.getreply()].map(
      reasonOf,
    );
    const quit = smtp.quit();
    await server.saw("NOOP");
    smtp.close();
    expect(await quit).toEqual([-1, "the connection was closed by close()"]);
    for (const error of await Promise.all(calls)) expect(error).toHaveProperty("name", "SMTPServerDisconnected");
    expect(smtp.connected).toBe(false);
  });

  test("are all settled by a lost connection", async () => {
    const { server, smtp } = await session({ on: { NOOP: () => undefined } });
    const calls = [smtp.noop(), smtp.sendmail("a@b.c", "d@e.f", "x"), smtp.rset()].map(reasonOf);
    await server.saw("NOOP");
    server.streams[0]?.abort();
    const [noop, sendmail, rset] = await Promise.all(calls);
    expect(noop).toMatchObject({ name: "SMTPServerDisconnected", delivery: undefined });
    expect(sendmail).toMatchObject({ name: "SMTPServerDisconnected", delivery: "not-sent" });
    expect(rset).toMatchObject({ name: "SMTPServerDisconnected" });
  });
});

describe("a rejection that nobody has heard of yet", () => {
  /** Runs a function; returns the rejections that Node, Deno or Bun would report as unhandled. */
  async function unhandledDuring(run: () => Promise<unknown>): Promise<unknown[]> {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      await run();
      await new Promise((resolve) => setTimeout(resolve, 50));
      return unhandled;
    } finally {
      process.off("unhandledRejection", note);
    }
  }

  test.each<[name: string, call: (smtp: SMTP) => Promise<unknown>]>([
    ["typed options of mail()", (smtp) => smtp.mail("a@b.c", { size: -1 })],
    ["typed options of rcpt()", (smtp) => smtp.rcpt("a@b.c", { notify: [] })],
    ["typed options of sendmail()", (smtp) => smtp.sendmail("a@b.c", "d@e.f", "x", { size: -1 })],
    ["a header that cannot be read", (smtp) => smtp.send_message("From: a@b.c\nTo: x y z\n\nx")],
    ["a login with NUL", (smtp) => smtp.login("u\0", "p")],
  ])("is not unhandled while its call waits in the queue: %s", async (_, call) => {
    const server = new FakeServer({ on: { NOOP: () => undefined } });
    // Makes modules that are loaded on first use load again.
    vi.resetModules();
    const fresh = await import("../../src/index.ts");
    const smtp = await fresh.SMTP.connect("mail.example.com", 25, { transport: server.transport });
    const unhandled = await unhandledDuring(async () => {
      const noop = smtp.noop();
      const waiting = reasonOf(call(smtp));
      await server.saw("NOOP");
      await Promise.all([import("../../src/core/extensions/index.ts"), import("../../src/facade/message.ts")]);
      await new Promise((resolve) => setTimeout(resolve, 30));
      server.say("250 ok\r\n");
      await noop;
      expect(await waiting).toBeInstanceOf(Error);
    });
    expect(unhandled).toEqual([]);
  });

  test("is not unhandled when an instance is never used", async () => {
    expect(
      await unhandledDuring(async () => {
        new SMTP("mail.example.com", 25, { transport: () => Promise.reject(new Error("no")) });
      }),
    ).toEqual([]);
  });
});

describe("a signal", () => {
  test("of a call in the queue takes it out; the session lives on", async () => {
    const { server, smtp } = await session({ on: { NOOP: () => undefined } });
    const controller = new AbortController();
    const noop = smtp.noop();
    const waiting = reasonOf(smtp.sendmail("a@b.c", "d@e.f", "x", [], [], { signal: controller.signal }));
    await server.saw("NOOP");
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    server.say("250 ok\r\n");
    expect((await noop).code).toBe(250);
    expect(server.lines).toEqual(["NOOP"]);
  });

  test.each(["MAIL", "RCPT", "DATA", "."])("of a call under way ends it and the session: at %s", async (verb) => {
    const { server, smtp } = await session({ on: { [verb]: () => undefined } });
    const controller = new AbortController();
    const result = reasonOf(smtp.sendmail("a@b.c", "d@e.f", "x", [], [], { signal: controller.signal }));
    await server.saw(new RegExp(`^${verb === "." ? "\\." : verb}`));
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await result).toBe(reason);
    expect(smtp.connected).toBe(false);
    expect(await reasonOf(smtp.noop())).toHaveProperty("name", "SMTPServerDisconnected");
  });

  test("of a call ends it while a MIME library still renders the message", { timeout: 2000 }, async () => {
    const { smtp } = await session();
    const controller = new AbortController();
    const never = { asRaw: () => new Promise<string>(() => {}) };
    const result = reasonOf(smtp.send_message(never, "a@b.c", "d@e.f", [], [], { signal: controller.signal }));
    await new Promise((resolve) => setTimeout(resolve, 10));
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await result).toBe(reason);
  });

  test("of the session ends all of it", async () => {
    const controller = new AbortController();
    const { server, smtp } = await session({ on: { NOOP: () => undefined } }, { signal: controller.signal });
    const noop = reasonOf(smtp.noop());
    await server.saw("NOOP");
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await noop).toBe(reason);
    expect(await reasonOf(smtp.connect("x"))).toBe(reason);
  });

  test("that fires after the call does nothing", async () => {
    const { smtp } = await session();
    const controller = new AbortController();
    await smtp.sendmail("a@b.c", "d@e.f", "x", [], [], { signal: controller.signal });
    controller.abort();
    expect((await smtp.noop()).code).toBe(250);
  });
});

describe("a timeout", () => {
  test.each<[verb: string, phase: string, delivery: string]>([
    ["EHLO", "command", "not-sent"],
    ["MAIL", "envelope", "not-sent"],
    ["RCPT", "envelope", "not-sent"],
    ["DATA", "dataInit", "not-sent"],
    [".", "dataDone", "unknown"],
  ])("while %s is unanswered names the phase %s", async (verb, phase, delivery) => {
    const { smtp } = await session({ on: { [verb]: () => undefined } }, { timeouts: { [phase]: 0.03 } });
    expect(await reasonOf(smtp.sendmail("a@b.c", "d@e.f", "x"))).toMatchObject({
      name: "SMTPTimeoutError",
      phase,
      delivery,
      temporary: true,
    });
    expect(smtp.connected).toBe(false);
  });

  test("bounds QUIT by itself", async () => {
    const { smtp } = await session({ on: { QUIT: () => undefined } }, { timeouts: { quit: 0.03 } });
    expect(await smtp.quit()).toEqual([-1, expect.stringMatching(/^timed out after 0.03 s \(quit\)/)]);
    expect(smtp.connected).toBe(false);
  });

  test("is for the whole reply: a byte now and then does not put it off", async () => {
    const { server, smtp } = await session({ on: { NOOP: () => undefined } }, { timeout: 0.1 });
    const result = reasonOf(smtp.noop());
    const drip = setInterval(() => server.say("2"), 15);
    expect(await result).toHaveProperty("phase", "command");
    clearInterval(drip);
  });

  test("starts anew at each complete reply of a pipelined group", async () => {
    const { server, smtp } = await session(
      { ehlo: ["PIPELINING"], on: { MAIL: () => undefined, RCPT: () => undefined, DATA: () => undefined } },
      { timeout: 0.2 },
    );
    const to = Array.from({ length: 5 }, (_, i) => `r${i}@example.com`);
    const result = reasonOf(smtp.sendmail("a@b.c", to, "x"));
    await server.saw("DATA");
    for (const reply of ["250 m", ...to.map(() => "550 no")]) {
      await new Promise((resolve) => setTimeout(resolve, 80));
      server.say(`${reply}\r\n`);
    }
    server.say("554 nobody\r\n");
    expect(await result).toHaveProperty("name", "SMTPRecipientsRefused");
  });
});
