/** An error of the caller's code rejects each call as the same object, unchanged. */
import { AsyncLocalStorage } from "node:async_hooks";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { SMTPException, SMTPPool } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { permit } from "../judge/under-test.ts";
import { reasonOf, session } from "../support/session.ts";

const MESSAGE = "From: a@a.test\r\nTo: b@b.test\r\n\r\nhello\r\n";

const make = (): Error[] => [new TypeError("own"), new RangeError("own"), new SMTPException("own"), new Error("own")];

const BY: readonly [string, (error: Error) => unknown][] = [
  ["build()", (error) => ({ build: () => thrown(error) })],
  ["an async build()", (error) => ({ build: () => Promise.reject(error) })],
  ["build() with keepBcc", (error) => ({ keepBcc: false, build: () => Promise.reject(error) })],
  ["compile()", (error) => ({ compile: () => thrown(error) })],
  ["asRaw()", (error) => ({ asRaw: () => thrown(error) })],
  ["readAsync()", (error) => ({ readAsync: () => Promise.reject(error) })],
  ["createReadStream()", (error) => ({ createReadStream: () => thrown(error) })],
  ["toString()", (error) => ({ toString: () => thrown(error) })],
];

function thrown(error: Error): never {
  throw error;
}

describe("an error of the caller's code", () => {
  test.each(BY)("thrown by %s of a message", async (_, messageOf) => {
    permit(/says nothing of the message/);
    const { smtp } = await session();
    const pool = new SMTPPool({ host: "mail.example.com", transport: new FakeServer().transport });
    for (const error of make()) {
      const { stack } = error;
      for (const sender of [smtp, smtp, pool, pool]) {
        expect(await reasonOf(sender.send_message(Object(messageOf(error))))).toBe(error);
        expect(error.stack).toBe(stack);
      }
    }
    await pool.close();
  });

  test("thrown by the iterator of to_addrs", async () => {
    const { smtp } = await session();
    for (const error of make()) {
      const { stack } = error;
      const people = {
        [Symbol.iterator]: () => thrown(error),
      };
      for (let times = 0; times < 2; times++) {
        expect(await reasonOf(smtp.sendmail("a@a.test", people, MESSAGE))).toBe(error);
        expect(await reasonOf(smtp.send_message(MESSAGE, "a@a.test", people))).toBe(error);
      }
      expect(error.stack).toBe(stack);
    }
  });

  test("thrown by an authobject, at once or later", async () => {
    const { smtp } = await session({ ehlo: ["AUTH FOO"], on: { AUTH: "334 ", "*": "501 cancelled" } });
    await smtp.ehlo();
    for (const error of [new TypeError("own"), new RangeError("own")]) {
      const { stack } = error;
      for (const fail of [() => thrown(error), async () => thrown(error)]) {
        expect(await reasonOf(smtp.auth("FOO", fail as never))).toBe(error);
        expect(error.stack).toBe(stack);
      }
    }
  });
});

test("a source that send_message gives up is told so in the context of its call", async () => {
  const store = new AsyncLocalStorage<string>();
  const { smtp } = await session();
  const seen: unknown[] = [];
  const source = new ReadableStream<Uint8Array>({
    pull: () => new Promise(() => {}),
    cancel: () => void seen.push(store.getStore()),
  });
  const aborting = new AbortController();
  const { signal } = aborting;
  const sent = store.run("call", () =>
    smtp.send_message(source, undefined, undefined, undefined, undefined, { signal }),
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  store.run("abort", () => aborting.abort());
  await reasonOf(sent);
  expect(seen).toEqual(["call"]);
});

test("a source is released where the options of the call are refused", async () => {
  const { smtp } = await session();
  const source = Readable.from([MESSAGE]);
  const options = { signal: "x" } as never;
  const sent = smtp.send_message(source, undefined, undefined, undefined, undefined, options);
  expect(await reasonOf(sent)).toMatchObject({ name: "TypeError", message: expect.stringContaining("call.signal") });
  expect(source.destroyed).toBe(true);
  const failing = new Readable({ read() {}, destroy: (_, done) => done(new Error("late")) });
  expect(
    await reasonOf(smtp.send_message(failing, undefined, undefined, undefined, undefined, options)),
  ).toBeInstanceOf(TypeError);
});
