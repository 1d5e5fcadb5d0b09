/**
 * All functions that schedule work are faked, as with Jest's full list of fake timers, including nextTick: none of them
 * runs anything, and everything that does not wait for time settles nevertheless.
 */
import process from "node:process";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LMTP, SMTP, SMTPPool } from "../../src/index.ts";
import { FakeServer, type Script } from "./fake-server.ts";
import { FAKED, inTime } from "./faked.ts";

const [from, to, host] = ["a@example.com", "b@example.com", "mail.example.com"];
const { nextTick } = process;

/** The scheduled work of the runtime and of Vitest. */
const held: [(...args: unknown[]) => void, ...unknown[]][] = [];

afterEach(() => {
  process.nextTick = nextTick;
  for (const [tick, ...args] of held.splice(0)) process.nextTick(tick, ...args);
  vi.useRealTimers();
});

/**
 * Vitest does not fake nextTick in a child process. Loads the code for first use beforehand, since loading takes ticks.
 */
async function fakeAll(): Promise<void> {
  const smtp = new SMTP(host, 25, { transport: new FakeServer().transport });
  await smtp.noop();
  await smtp.quit();
  vi.useFakeTimers({ toFake: [...FAKED] });
  process.nextTick = (...tick: [(...args: unknown[]) => void, ...unknown[]]) => void held.push(tick);
}

const DYING: readonly [string, Script][] = [
  ["closes behind MAIL", { on: { MAIL: "close" } }],
  ["closes behind the message", { on: { ".": "close", BDAT: "close" } }],
  ["says 421 behind the message", { on: { ".": "421 bye", BDAT: "421 bye" } }],
  ["says more than it was asked", { on: { ".": "250 ok\r\n250 and more", BDAT: "250 ok\r\n250 and more" } }],
  ["refuses the message", { on: { ".": "554 spam", BDAT: "554 spam" } }],
  ["refuses the recipient", { on: { RCPT: "550 no" } }],
  ["takes it", {}],
];

describe("with nothing but promises", () => {
  beforeEach(fakeAll);

  describe.each<[string, string[], object]>([
    ["DATA", ["PIPELINING"], {}],
    ["BDAT", ["PIPELINING", "CHUNKING"], { chunking: true }],
    ["eager", ["PIPELINING", "CHUNKING"], { pipelining: "eager" }],
    ["lock-step", [], {}],
  ])("%s", (_, extensions, options) => {
    test.each(DYING)(
      "messages to a server that %s settle, and so does all that waits behind them",
      async (__, script) => {
        const { transport } = new FakeServer({ ehlo: extensions, ...script });
        for (const Client of [SMTP, LMTP]) {
          const smtp = new Client(host, 25, { transport, ...options });
          const calls = [
            smtp.sendmail(from, to, "1\r\n"),
            smtp.sendmail(from, to, ["2\r\n"]),
            smtp.noop(),
            smtp.sendmail(from, to, "3\r\n"),
            smtp.quit(),
          ];
          await inTime(Promise.allSettled(calls));
          smtp.close();
        }
      },
    );

    // After a 421 a pool waits for a timer before it connects again.
    test.each(DYING.filter(([how]) => !how.includes("421")))(
      "a pool whose server %s settles its messages and closes",
      async (__, script) => {
        const { transport } = new FakeServer({ ehlo: extensions, ...script });
        const pool = new SMTPPool({ host, transport, maxConnections: 2, ...options });
        const calls = Array.from({ length: 6 }, (_, index) =>
          pool.sendmail(from, to, index % 2 === 0 ? "x\r\n" : ["x\r\n"]),
        );
        await inTime(Promise.allSettled(calls));
        expect(await inTime(pool.close())).toBeUndefined();
      },
    );
  });

  test("an aborted message settles", async () => {
    const controller = new AbortController();
    const stop = (): undefined => {
      controller.abort(new Error("stop"));
      return undefined;
    };
    const server = new FakeServer({ on: { DATA: stop } });
    const smtp = new SMTP(host, 25, { transport: server.transport });
    const { signal } = controller;
    expect(await inTime(smtp.sendmail(from, to, "x", [], [], { signal }))).toMatchObject({ message: "stop" });
    expect(await inTime(smtp.noop())).toMatchObject({ name: "SMTPServerDisconnected" });
  });
});
