/** One signal for many messages: runtimes warn about many listeners, and none may remain. */
import process from "node:process";
import { createMessage } from "@upyo/core";
import { createTransport } from "nodemailer";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SMTP, SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { FakeServer } from "./fake-server.ts";

const [from, to, host] = ["a@example.com", "b@example.com", "mail.example.com"];
const MESSAGES = 200;

/** A signal that counts its listeners. */
class Counted {
  readonly controller = new AbortController();
  most = 0;
  readonly #listeners = new Set<unknown>();

  constructor() {
    const { signal } = this.controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      this.#listeners.add(args[1]);
      this.most = Math.max(this.most, this.#listeners.size);
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      this.#listeners.delete(args[1]);
      remove(...args);
    };
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get now(): number {
    return this.#listeners.size;
  }
}

type Sender = { send(signal: AbortSignal): Promise<unknown>; close(): unknown };

const senders: readonly [string, (server: FakeServer) => Sender][] = [
  [
    "sendmail of an SMTP",
    ({ transport }) => {
      const smtp = new SMTP(host, 25, { transport });
      return {
        send: (signal) => smtp.sendmail(from, to, "x\r\n", [], [], { signal }),
        close: () => smtp.close(),
      };
    },
  ],
  [
    "deliver of an SMTP",
    ({ transport }) => {
      const smtp = new SMTP(host, 25, { transport });
      return {
        send: (signal) => smtp.deliver({ from, to: [to], body: ["x\r\n"], signal }),
        close: () => smtp.close(),
      };
    },
  ],
  [
    "a pool",
    ({ transport }) => {
      const pool = new SMTPPool({ host, transport });
      return {
        send: (signal) => pool.sendmail(from, to, "x\r\n", [], [], { signal }),
        close: () => pool.close(),
      };
    },
  ],
  [
    "nodemailer",
    ({ transport }) => {
      const transporter = createTransport(smtplib({ host, transport }));
      return {
        send: (signal) => transporter.sendMail({ from, to, text: "x", ...{ signal } }),
        close: () => transporter.close(),
      };
    },
  ],
  [
    "upyo",
    ({ transport }) => {
      const upyo = new SmtplibTransport({ host, transport });
      const message = createMessage({ from, to, subject: "x", content: { text: "x" } });
      return { send: (signal) => upyo.send(message, { signal }), close: () => upyo.close() };
    },
  ],
];

const warnings: Error[] = [];
const heard = (warning: Error): void => void warnings.push(warning);
beforeEach(() => void process.on("warning", heard));
afterEach(() => void process.off("warning", heard));

describe.each(senders)("a signal shared by 200 messages of %s", (_, open) => {
  test("has few listeners meanwhile and none afterwards, and no warning is printed", async () => {
    const sender = open(new FakeServer({ ehlo: ["PIPELINING"] }));
    const counted = new Counted();
    await Promise.all(Array.from({ length: MESSAGES }, () => sender.send(counted.signal)));
    await sender.close();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(warnings.map(String)).toEqual([]);
    // nodemailer adds listeners of its own.
    if (!/nodemailer/.test(_)) expect(counted.most).toBe(1);
    expect(counted.now).toBe(0);
  });

  test("ends them all, and keeps no listener", async () => {
    const sender = open(new FakeServer({ ehlo: ["PIPELINING"], on: { MAIL: () => undefined } }));
    const counted = new Counted();
    const reason = new Error("stop");
    const outcomes = Array.from({ length: 50 }, () => sender.send(counted.signal).catch((error: unknown) => error));
    setTimeout(() => counted.controller.abort(reason), 20);
    for (const outcome of await Promise.all(outcomes)) {
      if (/nodemailer/.test(_)) expect(outcome).toMatchObject({ code: "EABORT" });
      else expect(outcome).toBe(reason);
    }
    await sender.close();
  });
});

test("whoever withdraws while the signal fires is not called", async () => {
  const { onAbort } = await import("../../src/client/abort.ts");
  const controller = new AbortController();
  const called: number[] = [];
  onAbort(controller.signal, () => {
    called.push(1);
    second();
  });
  const second = onAbort(controller.signal, () => called.push(2));
  onAbort(controller.signal, (reason) => called.push(Number(reason)));
  controller.abort(3);
  expect(called).toEqual([1, 3]);
  onAbort(controller.signal, () => called.push(4));
  expect(called).toEqual([1, 3, 4]);
});
