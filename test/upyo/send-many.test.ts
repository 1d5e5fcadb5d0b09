/** `sendMany()`: order, how far it reads ahead, and how it ends. */
import type { Message } from "@upyo/core";
import { describe, expect, it } from "vitest";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { attachment, closed, collected, faked, letter } from "./harness.ts";

function numbered(index: number): Message {
  return letter({ to: `user${index}@example.net` });
}

/** A source that counts requests for messages, and calls of `return()`. */
function counted(last = Number.POSITIVE_INFINITY): { asked: number; closed: number; messages: Iterable<Message> } {
  const source = {
    asked: 0,
    closed: 0,
    messages: {
      [Symbol.iterator]: (): Iterator<Message> => ({
        next: () =>
          source.asked < last ? { done: false, value: numbered(source.asked++) } : { done: true, value: undefined },
        return: () => {
          source.closed++;
          return { done: true, value: undefined };
        },
      }),
    },
  };
  return source;
}

describe("the receipts", () => {
  it("come in the order of the messages, whichever is done first", async () => {
    const { transport } = faked({}, { maxConnections: 3 });
    const delays = [30, 0, 15, 5, 0, 20];
    const messages = delays.map((delay, index) => ({
      ...numbered(index),
      attachments: [attachment(new Promise((resolve) => setTimeout(() => resolve(new Uint8Array([1])), delay)))],
    }));
    const receipts = await collected(transport.sendMany(messages));
    expect(receipts.map((one) => one.successful && one.delivery.accepted)).toEqual(
      delays.map((_, index) => [`user${index}@example.net`]),
    );
  });

  it("are as many as the messages: refused ones, empty sources, sets and generators alike", async () => {
    const { transport } = faked({ on: { RCPT: (line) => (line.includes("user1@") ? "550 no" : "250 ok") } });
    const three = [numbered(0), numbered(1), numbered(2)];
    for (const source of [three, new Set(three), three.values(), counted(3).messages]) {
      const receipts = await collected(transport.sendMany(source));
      expect(receipts.map(({ successful }) => successful)).toEqual([true, false, true]);
    }
    expect(await collected(transport.sendMany([]))).toEqual([]);
  });

  it("of messages that were sent are not lost when the source fails", async () => {
    const { server, transport } = faked();
    async function* source(): AsyncGenerator<Message> {
      for (let index = 0; index < 5; index++) yield numbered(index);
      throw new Error("no more paper");
    }
    const sent: boolean[] = [];
    const sending = (async () => {
      for await (const { successful } of transport.sendMany(source())) sent.push(successful);
    })();
    await expect(sending).rejects.toThrow("no more paper");
    expect(sent).toEqual([true, true, true, true, true]);
    expect(server.messages).toHaveLength(5);
  });
});

describe("the source", () => {
  it("is not asked before the receipts are, nor after an abort, nor again after its end", async () => {
    const { transport } = faked();
    const unasked = counted();
    transport.sendMany(unasked.messages);
    const aborted = counted();
    const reason = new Error("changed my mind");
    await expect(collected(transport.sendMany(aborted.messages, { signal: AbortSignal.abort(reason) }))).rejects.toBe(
      reason,
    );
    expect([unasked.asked, aborted.asked]).toEqual([0, 0]);
    const whole = counted(3);
    await collected(transport.sendMany(whole.messages));
    expect(whole).toMatchObject({ asked: 3, closed: 0 });
  });

  it("is asked for twenty messages more than receipts were taken, at most", async () => {
    const { transport } = faked();
    const source = counted();
    const receipts = transport.sendMany(source.messages)[Symbol.asyncIterator]();
    for (let taken = 1; taken <= 5; taken++) {
      await receipts.next();
      expect(source.asked).toBeLessThanOrEqual(taken + 20);
    }
    await receipts.return?.();
  });

  it("is ended when the receipts are no longer read, and what waits is not sent", async () => {
    const { server, transport } = faked({ on: { ".": ["250 ok", "250 ok"] } }, { maxConnections: 1 });
    const source = counted();
    for await (const receipt of transport.sendMany(source.messages)) {
      expect(receipt.successful).toBe(true);
      break;
    }
    const asked = source.asked;
    await transport.close();
    expect(source).toMatchObject({ asked, closed: 1 });
    expect(server.messages.length).toBeLessThan(5);
  });

  it("is ended over real connections, too, whose messages arrive once or not at all", async () => {
    const server = closed(await startEmbeddedServer({ tls: "none" }));
    const transport = closed(new SmtplibTransport({ host: "127.0.0.1", port: server.port, maxConnections: 3 }));
    const source = counted();
    let taken = 0;
    for await (const receipt of transport.sendMany(source.messages)) {
      expect(receipt).toMatchObject({ successful: true });
      if (++taken === 7) break;
    }
    await transport.close();
    const arrivals = server.messages.map(({ to }) => String(to));
    expect(new Set(arrivals).size).toBe(arrivals.length);
    expect(arrivals).toEqual(
      expect.arrayContaining(Array.from({ length: 7 }, (_, index) => `user${index}@example.net`)),
    );
    expect(arrivals.length).toBeLessThan(source.asked);
  });

  it("is ended once by an abort, which does not wait for it", async () => {
    const { transport } = faked();
    const controller = new AbortController();
    let ended = 0;
    const source: AsyncIterable<Message> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: letter() }),
        return: () => {
          ended++;
          return new Promise(() => {});
        },
      }),
    };
    const reason = new Error("changed my mind");
    const sending = (async () => {
      for await (const _ of transport.sendMany(source, { signal: controller.signal })) controller.abort(reason);
    })();
    await expect(sending).rejects.toBe(reason);
    expect(ended).toBe(1);
  });

  it("may fail when it is asked, at once or later, and is not ended then", async () => {
    const { transport } = faked();
    for (const next of [() => rejected(), throwing]) {
      let ended = 0;
      const source = {
        [Symbol.asyncIterator]: () => ({
          next,
          return: async () => {
            ended++;
            return { done: true as const, value: undefined };
          },
        }),
      };
      await expect(collected(transport.sendMany(source))).rejects.toThrow("no paper");
      expect(ended).toBe(0);
    }
  });

  it("is told nothing by an error of its own end, where another error is thrown", async () => {
    const { transport } = faked();
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const source: Iterable<Message> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: letter() }),
        return: () => {
          throw new Error("cannot end");
        },
      }),
    };
    const sending = (async () => {
      for await (const _ of transport.sendMany(source, { signal: controller.signal })) controller.abort(reason);
    })();
    await expect(sending).rejects.toBe(reason);
  });
});

async function rejected(): Promise<never> {
  throw new Error("no paper");
}

function throwing(): never {
  throw new Error("no paper");
}

describe("an abort", () => {
  it("ends a message at any stage, with the signal's reason", async () => {
    const stages = ["EHLO", "MAIL", "RCPT", "DATA", "."];
    for (const stage of stages) {
      const { server, transport } = faked({ on: { [stage]: () => undefined } });
      const controller = new AbortController();
      const reason = new Error(`aborted at ${stage}`);
      const sent = transport.send(letter(), { signal: controller.signal });
      const many = collected(transport.sendMany([letter()], { signal: controller.signal }));
      await server.saw(new RegExp(`^${stage === "." ? "\\." : stage}`));
      controller.abort(reason);
      await expect(sent).rejects.toBe(reason);
      await expect(many).rejects.toBe(reason);
    }
  });

  it("leaves no listener on the signal, and does nothing to what was sent", async () => {
    const { transport } = faked();
    const { signal, listeners } = watched();
    await transport.send(letter(), { signal });
    await collected(transport.sendMany([letter(), letter()], { signal }));
    for await (const _ of transport.sendMany([letter(), letter()], { signal })) break;
    expect(listeners.size).toBe(0);
  });
});

/** A signal, and its listeners. */
function watched(): { signal: AbortSignal; listeners: Set<unknown> } {
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    listeners.add(listener);
    add(type, listener);
  };
  signal.removeEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    listeners.delete(listener);
    remove(type, listener);
  };
  return { signal, listeners };
}
