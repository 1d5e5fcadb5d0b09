/** The failure of one call is not reported by another, and no party's text gets a meaning that it must not have. */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { SMTPHeloError, SMTPServerDisconnected, SMTPTimeoutError } from "../../src/index.ts";
import { cramMd5 } from "../../src/sasl/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { reasonOf, session } from "../support/session.ts";

const from = "a@example.com";
const to = "b@example.com";
const message = "Subject: x\r\n\r\nhello\r\n";

/** A server with PIPELINING that accepts this many messages and is silent from the end of the next one on. */
function silentAfter(messages: number): Script {
  let left = messages;
  const unlessSilent = (answer: string) => (): string | undefined => (left >= 0 ? answer : undefined);
  const ended = (): string | undefined => (left-- > 0 ? "250 ok" : undefined);
  const on = { MAIL: unlessSilent("250 ok"), RCPT: unlessSilent("250 ok"), DATA: unlessSilent("354 go"), ".": ended };
  return { ehlo: ["PIPELINING"], on };
}

describe("a message that is on its way while the next one", () => {
  test("is aborted is unknown, and not aborted itself", async () => {
    const { server, smtp } = await session(silentAfter(0));
    const controller = new AbortController();
    const first = reasonOf(smtp.sendmail(from, to, message));
    const second = reasonOf(smtp.sendmail(from, to, message, [], [], { signal: controller.signal }));
    await server.until(({ lines }) => lines.filter((line) => line.startsWith("MAIL")).length === 2);
    controller.abort(new Error("the second one"));
    expect(await second).toBe(controller.signal.reason);
    expect(await first).toMatchObject({ name: "SMTPServerDisconnected", delivery: "unknown" });
  });

  test("takes too long in all is unknown, and told so by no clock of the other's", async () => {
    const { smtp } = await session(silentAfter(1), { timeouts: { total: 0.2 } });
    await smtp.sendmail(from, to, message);
    const reasons = await Promise.all([1, 2].map(() => reasonOf(smtp.sendmail(from, to, message))));
    expect(reasons.filter((reason) => reason instanceof SMTPTimeoutError)).toHaveLength(1);
    expect(reasons[0]).toMatchObject({ name: "SMTPTimeoutError", phase: "total", delivery: "unknown" });
    expect(reasons[1]).toMatchObject({ name: "SMTPServerDisconnected", delivery: "not-sent" });
  });
});

describe("a secret that the server echoes", () => {
  test.each([
    ["in a 421", "421 closing on"],
    ["in what is no reply", "???"],
  ])("%s shows in no error", async (_, words) => {
    const { smtp } = await session({ ehlo: ["AUTH PLAIN"], on: { AUTH: (line) => `${words} ${line}` } });
    const errors = [await reasonOf(smtp.login("user", "tanstaaftanstaaf")), await reasonOf(smtp.noop())];
    for (const error of errors) {
      const texts: string[] = [];
      for (let at: unknown = error; at instanceof Error; at = at.cause) texts.push(at.message, at.stack ?? "");
      expect(texts.join()).not.toMatch(/tanstaaf|dGFuc3Rh|AHVzZXI/);
    }
  });
});

describe("a server that refuses EHLO and HELO", () => {
  test("gets no MAIL, however often it is tried", async () => {
    const { server, smtp } = await session({ on: { EHLO: "502 no", HELO: "502 no" } });
    for (const _ of [1, 2]) expect(await reasonOf(smtp.sendmail(from, to, message))).toBeInstanceOf(SMTPHeloError);
    expect(server.lines.join()).not.toContain("MAIL");
  });
});

describe("a stream of Node's as a body", () => {
  test("that fails before it is read is the cause of the failure, and of nothing else", async () => {
    const { smtp } = await session();
    const reason = await reasonOf(smtp.sendmail(from, to, createReadStream("/nowhere/to/be/found")));
    expect(reason).toMatchObject({ delivery: "not-sent", cause: { code: "ENOENT" } });
  });

  test.each(["sendmail", "deliver"] as const)("is heard of at once, though %s is loaded with it", async (method) => {
    vi.resetModules();
    const { SMTP, SMTPPool } = await import("../../src/index.ts");
    const { transport } = new FakeServer({});
    const smtp = await SMTP.connect("mail.example.com", 25, { transport });
    const pool = new SMTPPool({ host: "mail.example.com", transport });
    for (const sender of [smtp, pool]) {
      const body = Readable.from(["x"]);
      const call = method === "deliver" ? sender.deliver({ from, to: [to], body }) : sender.sendmail(from, to, body);
      expect(body.listenerCount("error")).toBeGreaterThan(0);
      await call;
    }
    await Promise.all([smtp.quit(), pool.close()]);
  });

  test.each(["sendmail", "deliver"] as const)(
    "is destroyed if %s refuses the envelope, at the first call, too",
    async (method) => {
      vi.resetModules();
      const { SMTP, SMTPPool } = await import("../../src/index.ts");
      const { transport } = new FakeServer({});
      const smtp = await SMTP.connect("mail.example.com", 25, { transport });
      const pool = new SMTPPool({ host: "mail.example.com", transport });
      for (const sender of [smtp, pool, smtp, pool]) {
        const body = Readable.from(["never read"]);
        const bad = "a b c@@";
        const call =
          method === "deliver" ? sender.deliver({ from: bad, to: [to], body }) : sender.sendmail(bad, to, body);
        expect(await reasonOf(call)).toBeInstanceOf(RangeError);
        expect(body.destroyed).toBe(true);
      }
      await Promise.all([smtp.quit(), pool.close()]);
    },
  );

  test("that is not wanted is destroyed", async () => {
    const { smtp } = await session({ on: { MAIL: "550 no" } });
    const body = Readable.from(["never read"]);
    await reasonOf(smtp.sendmail(from, to, body));
    expect(body.destroyed).toBe(true);
  });

  test("is given back by data() as well", async () => {
    const { smtp } = await session({ on: { DATA: "554 no" } });
    const body = Readable.from(["never read"]);
    await reasonOf(smtp.data(body));
    expect(body.destroyed).toBe(true);
  });
});

test("no message follows a 354 that nonsense follows", async () => {
  const { server, smtp } = await session({ on: { DATA: "354 go\r\nXYZ" } });
  expect(await reasonOf(smtp.sendmail(from, to, message))).toMatchObject({ delivery: "not-sent" });
  expect(server.messages).toEqual([]);
  expect(server.lines.at(-1)).toBe("DATA");
});

test("auth() does not run another mechanism than it names", async () => {
  const { server, smtp } = await session({ ehlo: ["AUTH CRAM-MD5 XOAUTH2"] });
  const other = cramMd5({ user: "user", password: "secret" });
  expect(await reasonOf(smtp.auth("XOAUTH2", other))).toBeInstanceOf(RangeError);
  expect(server.lines).toEqual([]);
});

test("an authobject that never answers runs out of time", async () => {
  const { smtp } = await session({}, { timeouts: { command: 0.1 } });
  const never = (): Promise<string> => new Promise(() => {});
  expect(await reasonOf(smtp.auth("X", never))).toMatchObject({ name: "SMTPTimeoutError", phase: "command" });
});

test("close() ends a connect() that waits for its turn", async () => {
  const { smtp } = await session({ on: { NOOP: () => undefined } });
  const calls = [reasonOf(smtp.noop()), reasonOf(smtp.connect("mail.example.com", 25))];
  smtp.close();
  for (const reason of await Promise.all(calls)) expect(reason).toBeInstanceOf(SMTPServerDisconnected);
  expect(smtp.connected).toBe(false);
});

test("options that cannot be copied reject, as everything else that is wrong does", async () => {
  const { smtp } = await session();
  const options = {
    get size(): number {
      throw new RangeError("there is no size");
    },
  };
  for (const say of [() => smtp.mail(from, options), () => smtp.sendmail(from, to, message, options)]) {
    expect(await reasonOf(say())).toBeInstanceOf(RangeError);
  }
});
