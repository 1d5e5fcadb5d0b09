/** How slowly a server may accept a message: each write has a deadline, and all of them together a minimum rate. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ByteStream } from "../../src/byte-stream.ts";
import { SMTP, type SMTPOptions } from "../../src/index.ts";

const PIECE = 65_536;
const OCTETS = 64 * PIECE;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A connection to a friendly server that accepts `rate` bytes of a message per second. */
class SlowStream implements ByteStream {
  readonly peer = { remoteAddress: undefined, localAddress: undefined, loopback: true, tls: undefined };
  readonly #extension: string;
  readonly #secondsFor: (octets: number) => number;
  readonly #replies: string[] = ["220 slow"];
  #reader: { resolve(reply: Uint8Array): void; reject(reason: unknown): void } | undefined;
  #inData = false;
  #chunk = 0;

  constructor(extension: string, secondsFor: (octets: number) => number) {
    this.#extension = extension;
    this.#secondsFor = secondsFor;
  }

  read(): Promise<Uint8Array> {
    return this.#next();
  }

  #next(): Promise<Uint8Array> {
    const reply = this.#replies.shift();
    if (reply !== undefined) return Promise.resolve(new TextEncoder().encode(`${reply}\r\n`));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (!this.#inData && this.#chunk === 0) {
      this.#command(new TextDecoder().decode(data));
      return undefined;
    }
    return new Promise((resolve) => {
      setTimeout(() => {
        resolve();
        this.#taken(data);
      }, this.#secondsFor(data.length) * 1000);
    });
  }

  async startTls(): Promise<void> {}

  async close(): Promise<void> {}

  abort(reason?: unknown): void {
    this.#reader?.reject(reason);
  }

  #command(line: string): void {
    const [, octets] = /^BDAT (\d+)/.exec(line) ?? [];
    if (octets !== undefined) this.#chunk = Number(octets);
    else if (line.startsWith("EHLO")) this.#say(`250-slow\r\n250 ${this.#extension}`);
    else this.#say(line.startsWith("DATA") ? "354 go" : "250 ok");
    this.#inData = line.startsWith("DATA");
  }

  #taken(data: Uint8Array): void {
    if (this.#chunk > 0) {
      this.#chunk -= data.length;
      if (this.#chunk === 0) this.#say("250 ok");
    } else if (new TextDecoder().decode(data) === ".\r\n") {
      this.#inData = false;
      this.#say("250 ok");
    }
  }

  #say(reply: string): void {
    this.#replies.push(reply);
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) this.#next().then(reader.resolve);
  }
}

/** Sends 4 MiB; returns the outcome and the time in seconds. */
async function sent(
  extension: string,
  secondsFor: (octets: number) => number,
  options: SMTPOptions = {},
): Promise<{ outcome: unknown; seconds: number }> {
  const stream = new SlowStream(extension, secondsFor);
  const smtp = new SMTP("slow.test", 25, { transport: async () => stream, ...options });
  const piece = new TextEncoder().encode(`${"x".repeat(62)}\r\n`.repeat(1024));
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let octets = 0; octets < OCTETS; octets += PIECE) yield piece.slice();
  }
  const began = performance.now();
  let outcome: unknown;
  let settled = false;
  void smtp
    .sendmail("a@client.test", "b@lab.test", pieces())
    .catch((error: unknown) => error)
    .then((value) => {
      outcome = value;
      settled = true;
    });
  while (!settled) {
    // Loading code on first use takes real time.
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(5000);
  }
  const seconds = (performance.now() - began) / 1000;
  smtp.close();
  return { outcome, seconds };
}

const perPiece = (seconds: number) => (octets: number) => (octets / PIECE) * seconds;
const tooSlow = (rate: number) => ({
  name: "SMTPTimeoutError",
  phase: "dataBlock",
  delivery: "not-sent",
  temporary: true,
  message: expect.stringContaining(`${rate} octets a second`),
});

describe.each(["8BITMIME", "CHUNKING"])("a server with %s that takes a message", (extension) => {
  test("at 655 octets a second is waited for, however long that takes", async () => {
    const { outcome, seconds } = await sent(extension, perPiece(100));
    expect(outcome).toEqual({});
    expect(seconds).toBeGreaterThan(6000);
  });

  test("at 410 octets a second is given up, though each write is in time", async () => {
    const { outcome, seconds } = await sent(extension, perPiece(160));
    expect(outcome).toMatchObject(tooSlow(500));
    expect(seconds).toBeLessThan(3000);
  });

  test("slower than the caller wants is given up", async () => {
    const { outcome } = await sent(extension, perPiece(10), { limits: { minRate: 10_000 } });
    expect(outcome).toMatchObject(tooSlow(10_000));
  });

  test("slowly now and then, and fast in between, is waited for", async () => {
    let writes = 0;
    const { outcome } = await sent(extension, () => (writes++ % 5 === 0 ? 170 : 1));
    expect(outcome).toEqual({});
  });

  test("in one write too slowly is given up by that write's time", async () => {
    const { outcome } = await sent(extension, perPiece(200));
    expect(outcome).toMatchObject({ name: "SMTPTimeoutError", phase: "dataBlock", delivery: "not-sent" });
  });
});
