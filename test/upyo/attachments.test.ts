/** Attachments that are promises and fail: a receipt reports that, and the process continues. */
import process from "node:process";
import type { Message } from "@upyo/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { arrived, attachment, collected, faked, letter, rejecting } from "./harness.ts";

const unhandled: unknown[] = [];
const hear = (reason: unknown): void => void unhandled.push(reason);

beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", hear);
});

afterEach(async () => {
  // Each runtime looks for unhandled rejections when it is idle.
  await pause(60);
  process.off("unhandledRejection", hear);
  expect(unhandled).toEqual([]);
});

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function failing(name: string, milliseconds = 0): Message["attachments"][number] {
  return attachment(rejecting(new Error(`${name} is gone`), milliseconds));
}

describe("send", () => {
  it.each<[string, () => Message["attachments"]]>([
    ["at once", () => [attachment(Promise.reject(new Error("a is gone")))]],
    ["while others are read", () => [attachment(new Uint8Array([1])), failing("a", 10)]],
    ["one after the other", () => [failing("a", 5), failing("b", 15), failing("c", 30)]],
    ["while another one never ends", () => [attachment(new Promise(() => {})), failing("a", 10)]],
  ])("has a receipt for attachments that fail %s", async (_, attachments) => {
    const { server, transport } = faked();
    const receipt = await transport.send({ ...letter(), attachments: attachments() });
    expect(receipt).toMatchObject({
      ...{ successful: false, errorMessages: ["a is gone"], retryable: false },
      errors: [{ category: "unknown", code: "unknown", retryable: false, provider: "smtplib" }],
    });
    expect(server.messages).toEqual([]);
  });

  it("survives attachments that fail after it was aborted, and before it began", async () => {
    const { transport } = faked();
    const reason = new Error("changed my mind");
    const before = { ...letter(), attachments: [failing("a"), failing("b", 10)] };
    await expect(transport.send(before, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const sent = transport.send(
      { ...letter(), attachments: [failing("a", 10), failing("b", 30)] },
      { signal: controller.signal },
    );
    controller.abort(reason);
    await expect(sent).rejects.toBe(reason);
    await pause(40);
  });

  it("survives attachments that fail after the transport was closed", async () => {
    const { transport } = faked();
    const sent = transport.send({ ...letter(), attachments: [failing("a", 20)] });
    await transport.close();
    expect(await sent).toMatchObject({ successful: false });
    expect(await transport.send({ ...letter(), attachments: [failing("b", 5)] })).toMatchObject({ successful: false });
  });
});

describe("sendMany", () => {
  it("has receipts for attachments that fail long before the turn of their message comes", async () => {
    const { transport } = faked();
    const slow = attachment(pause(60).then(() => new Uint8Array([1])));
    const messages = [[slow], [failing("a", 5)], [failing("b", 20), failing("c", 40)], []];
    const receipts = await collected(transport.sendMany(messages.map((attachments) => ({ ...letter(), attachments }))));
    expect(receipts).toMatchObject([
      { successful: true },
      { successful: false, errorMessages: ["a is gone"] },
      { successful: false, errorMessages: ["b is gone"] },
      { successful: true },
    ]);
  });

  it("survives those of an array's messages that are never sent", async () => {
    const { transport } = faked();
    const messages = Array.from({ length: 50 }, (_, index) => ({
      ...letter(),
      attachments: index < 2 ? [] : [failing("a", index)],
    }));
    for await (const receipt of transport.sendMany(messages)) {
      expect(receipt.successful).toBe(true);
      break;
    }
    const reason = new Error("changed my mind");
    const aborted = transport.sendMany([{ ...letter(), attachments: [failing("b", 5)] }], {
      signal: AbortSignal.abort(reason),
    });
    await expect(collected(aborted)).rejects.toBe(reason);
    transport.sendMany([{ ...letter(), attachments: [failing("never asked for")] }]);
    await pause(60);
  });

  it("survives those of a message that its source gives after the end", async () => {
    const { transport } = faked();
    const controller = new AbortController();
    let late = (): void => {};
    const wanted = new Promise<void>((resolve) => {
      late = resolve;
    });
    async function* source(): AsyncGenerator<Message> {
      yield letter();
      await wanted;
      yield { ...letter(), attachments: [failing("a")] };
    }
    const reason = new Error("changed my mind");
    const sending = (async () => {
      for await (const _ of transport.sendMany(source(), { signal: controller.signal })) controller.abort(reason);
    })();
    await expect(sending).rejects.toBe(reason);
    late();
    await pause(20);
  });

  it("survives those of messages behind one whose source fails", async () => {
    const { transport } = faked();
    function* source(): Generator<Message> {
      yield { ...letter(), attachments: [failing("a", 20)] };
      yield { ...letter(), attachments: [failing("b", 5), failing("c", 30)] };
      throw new Error("no more paper");
    }
    const errors: unknown[] = [];
    const sending = (async () => {
      for await (const receipt of transport.sendMany(source()))
        errors.push(receipt.successful || receipt.errorMessages);
    })();
    await expect(sending).rejects.toThrow("no more paper");
    expect(errors).toEqual([["a is gone"], ["b is gone"]]);
  });
});

describe("contents of Upyo 0.6", () => {
  const octets = new Uint8Array(70_000).map((_, index) => (index * 31) % 256);

  it.each<[string, unknown]>([
    ["a Blob", new Blob([octets])],
    ["a promise of a Blob", Promise.resolve(new Blob([octets]))],
    ["a function that makes an iterable", pieces],
    ["a function that makes a promise of one", async () => pieces()],
    ["a function that makes a ReadableStream", () => new Blob([octets]).stream()],
    ["a view of a longer memory", new Uint8Array([0, ...octets, 0]).subarray(1, -1)],
  ])("may be %s", async (_, content) => {
    const { parsed } = await arrived({ ...letter(), attachments: [attachment(content)] });
    expect(new Uint8Array(parsed.attachments[0]?.content ?? [])).toEqual(octets);
  });

  async function* pieces(): AsyncGenerator<Uint8Array> {
    // Reuses the same memory, as a file reader does.
    const memory = new Uint8Array(1000);
    for (let offset = 0; offset < octets.length; offset += memory.length) {
      memory.set(octets.subarray(offset, offset + memory.length));
      yield memory.subarray(0, Math.min(memory.length, octets.length - offset));
    }
  }

  it("are read anew for each attempt, with a signal", async () => {
    const signals: unknown[] = [];
    const content = async function* (signal: unknown): AsyncGenerator<Uint8Array> {
      signals.push(signal);
      yield octets;
    };
    const { transport } = faked();
    const { signal } = new AbortController();
    const message = { ...letter(), attachments: [attachment(content)] };
    await transport.send(message, { signal });
    await transport.send(message, { signal });
    expect(signals).toEqual([signal, signal]);
  });

  it.each<[string, unknown, RegExp]>([
    ["a function that throws", throwing(), /^the disk is gone$/],
    ["a source that fails", () => failingSource(), /^the disk is gone$/],
    [
      "a source of something else",
      () => textSource(),
      /^attachments: "x\.bin" yields something else than a Uint8Array$/,
    ],
    ["something else", 7, /^attachments: "x\.bin" has a content of an unknown kind$/],
  ])("fail in the receipt: %s", async (_, content, text) => {
    const { transport } = faked();
    const receipt = await transport.send({ ...letter(), attachments: [attachment(content)] });
    expect(receipt).toMatchObject({ successful: false, errorMessages: [expect.stringMatching(text)] });
  });

  it("are not read to their end once the message is aborted", async () => {
    const { transport } = faked();
    const controller = new AbortController();
    let closed = false;
    const content = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          await pause(5);
          yield octets;
        }
      } finally {
        closed = true;
      }
    };
    const sent = transport.send({ ...letter(), attachments: [attachment(content)] }, { signal: controller.signal });
    await pause(10);
    controller.abort(new Error("changed my mind"));
    await expect(sent).rejects.toThrow("changed my mind");
    await pause(20);
    expect(closed).toBe(true);
  });
});

function throwing(): () => never {
  return () => {
    throw new Error("the disk is gone");
  };
}

async function* failingSource(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array([1]);
  throw new Error("the disk is gone");
}

async function* textSource(): AsyncGenerator<string> {
  yield "text";
}
