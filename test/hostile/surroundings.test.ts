/**
 * Faulty surroundings other than the server: transports, loggers, options, MIME objects, terminals (SECURITY.md, rules
 * 4 and 10).
 */
import { inspect } from "node:util";
import { describe, expect, it, vi } from "vitest";
import type { ByteStream } from "../../src/byte-stream.ts";
import {
  SMTP,
  SMTPConnectError,
  SMTPDataError,
  SMTPException,
  type SMTPOptions,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import { type Act, close, delay, ehlo, raw, scriptedTransport, server, stall } from "../support/scripted-server.ts";
import { wrapped } from "../support/scripted-wire.ts";
import { expectThrown, MESSAGE, type Scenario, scenarios, sendOne, settled, watchForLeaks } from "./scenario.ts";

/** Characters that could control a terminal. */
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;
const EVIL = "\x1b]0;evil\x07\x9b31m\x7f\x85\x08";

const TALK: readonly [name: string, answers: { [verb: string]: Act }, greeting?: Act][] = [
  ["the greeting", {}, `554 ${EVIL}`],
  ["nonsense for a greeting", {}, EVIL],
  ["EHLO", { EHLO: `550 ${EVIL}`, HELO: `550 ${EVIL}` }],
  ["an EHLO keyword", { EHLO: ehlo(`X${EVIL}`), MAIL: "550 no" }],
  ["MAIL", { MAIL: `550 ${EVIL}` }],
  ["RCPT", { RCPT: `550 ${EVIL}` }],
  ["DATA", { DATA: `550 ${EVIL}` }],
  ["the message", { ".": `550 ${EVIL}` }],
  ["421", { MAIL: `421 ${EVIL}` }],
  ["nonsense", { MAIL: EVIL }],
  ["an early reply", { DATA: `354 go\r\n250 ${EVIL}` }],
  ["codes that differ", { MAIL: `250-${EVIL}\r\n550 ${EVIL}` }],
  ["a stray reply", { EHLO: `${ehlo("8BITMIME")}\r\n250 ${EVIL}` }],
  ["a stray half line", { EHLO: [`${ehlo("8BITMIME")}`, raw(`250 ${EVIL}`), delay(0.02), close] }],
];

describe("[surroundings: terminal]", () => {
  watchForLeaks();

  it.each(TALK)("control characters in %s reach no message, stack, log or debug line", async (_, answers, greeting) => {
    const printed: string[] = [];
    const spy = vi.spyOn(console, "error").mockImplementation((...args) => void printed.push(args.join(" ")));
    const print = (line: string): void => void printed.push(line);
    const logger = { debug: print, info: print, warn: print, error: print };
    const evil = scriptedTransport([server(answers, greeting)]);
    const smtp = new SMTP("evil.test", 25, { transport: evil.transport, logger, timeout: 2 });
    smtp.set_debuglevel(1);
    const outcome = await settled(() => sendOne(smtp));
    smtp.close();
    await evil.finish();
    spy.mockRestore();
    const error = "error" in outcome && outcome.error;
    expect(error).toBeInstanceOf(SMTPException);
    expect(error instanceof Error && `${error.message}\n${error.stack}`).not.toMatch(CONTROLS);
    expect(inspect(error, { depth: 8 })).not.toMatch(CONTROLS);
    expect(printed.length).toBeGreaterThan(0);
    expect(printed.join("\n")).not.toMatch(CONTROLS);
  });
});

describe("[surroundings: logger]", () => {
  watchForLeaks();

  it.each(["debug", "info", "warn", "error"] as const)(
    "a logger whose %s throws leaves no call pending",
    async (name) => {
      const good = scriptedTransport([server()]);
      const quiet = (): void => {};
      const logger = {
        debug: quiet,
        info: quiet,
        warn: quiet,
        error: quiet,
        [name](): never {
          throw new Error("the disk is full");
        },
      };
      const smtp = new SMTP("good.test", 25, { transport: good.transport, logger, timeout: 2 });
      await settled(() => sendOne(smtp));
      await settled(() => smtp.noop());
      smtp.close();
      await good.finish();
      if (good.conversations.length > 0) expect(good.first.taken).toBeLessThanOrEqual(1);
    },
  );
});

/** A stream with the given methods; the others do nothing, or wait for ever. */
function stream(parts: Partial<ByteStream>): ByteStream {
  return {
    read: () => new Promise(() => {}),
    write: () => undefined,
    startTls: async () => {},
    close: async () => {},
    abort() {},
    peer: { remoteAddress: undefined, localAddress: undefined, loopback: true, tls: undefined },
    ...parts,
  };
}

/** A `read` that returns these texts, one for each call, and then waits for ever. */
function reads(...texts: (string | null | Error)[]): ByteStream["read"] {
  const rest = [...texts];
  return () => {
    const next = rest.shift();
    if (next === undefined) return new Promise(() => {});
    if (next instanceof Error) return Promise.reject(next);
    return Promise.resolve(next === null ? null : new TextEncoder().encode(next));
  };
}

const broken = new Error("the wire is cut");

type Transported = {
  readonly name: string;
  readonly transport: NonNullable<SMTPOptions["transport"]>;
  readonly type: new (...args: never[]) => unknown;
};

const TRANSPORTS: readonly Transported[] = [
  {
    name: "throws",
    transport: () => {
      throw broken;
    },
    type: SMTPConnectError,
  },
  { name: "rejects", transport: () => Promise.reject(broken), type: SMTPConnectError },
  { name: "rejects with undefined", transport: () => Promise.reject(undefined), type: SMTPConnectError },
  { name: "never connects", transport: () => new Promise(() => {}), type: SMTPTimeoutError },
  { name: "never reads", transport: async () => stream({}), type: SMTPTimeoutError },
  { name: "ends at once", transport: async () => stream({ read: reads(null) }), type: SMTPServerDisconnected },
  { name: "fails to read", transport: async () => stream({ read: reads(broken) }), type: SMTPServerDisconnected },
  {
    name: "throws from read",
    transport: async () =>
      stream({
        read() {
          throw broken;
        },
      }),
    type: SMTPServerDisconnected,
  },
  {
    name: "throws from write",
    transport: async () =>
      stream({
        read: reads("220 hi\r\n"),
        write() {
          throw broken;
        },
      }),
    type: SMTPServerDisconnected,
  },
  {
    name: "fails to write",
    transport: async () => stream({ read: reads("220 hi\r\n"), write: () => Promise.reject(broken) }),
    type: SMTPServerDisconnected,
  },
  {
    name: "fails to write later",
    transport: async () => stream({ read: reads("220 hi\r\n"), write: async () => pauseThenThrow() }),
    type: SMTPServerDisconnected,
  },
  {
    name: "never takes a write",
    transport: async () => stream({ read: reads("220 hi\r\n"), write: () => new Promise(() => {}) }),
    type: SMTPTimeoutError,
  },
  {
    name: "gives empty reads",
    transport: async () => stream({ read: reads("", "", "220 hi\r\n", "", "", null) }),
    type: SMTPServerDisconnected,
  },
];

async function pauseThenThrow(): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, 10));
  throw broken;
}

describe("[surroundings: transport]", () => {
  watchForLeaks();

  it.each(TRANSPORTS)("a transport that $name", async ({ transport, type }) => {
    const smtp = new SMTP("x.test", 25, { transport, timeout: 0.1 });
    const outcome = await settled(() => sendOne(smtp), 1.4);
    expectThrown("error" in outcome && outcome.error, { type, temporary: true });
    expect(smtp.connected).toBe(false);
    smtp.close();
  });

  const BROKEN_PIPES: readonly [name: string, fails: () => Promise<void>][] = [
    [
      "throws",
      () => {
        throw broken;
      },
    ],
    ["rejects", () => Promise.reject(broken)],
    ["rejects late", () => pauseThenThrow()],
  ];

  describe.each(BROKEN_PIPES)("a write of the body that %s", (_, fails) => {
    const cut = (transport: SMTPOptions["transport"]): NonNullable<SMTPOptions["transport"]> => {
      return async (endpoint, options) => {
        if (transport === undefined) throw new Error("the server is not in memory");
        const whole = await transport(endpoint, options);
        const write: ByteStream["write"] = (data) => (data.length > 1000 ? fails() : whole.write(data));
        return wrapped(whole, { write });
      };
    };

    it("does not hide the reply that says why", async () => {
      const refusing = scriptedTransport([server({ DATA: ["354 go", delay(0.05), "552 5.3.4 too big", stall] })]);
      const smtp = new SMTP("x.test", 25, { transport: cut(refusing.transport), timeout: 2 });
      const outcome = await settled(() => smtp.sendmail("a@client.test", "b@lab.test", "x".repeat(200_000)));
      expectThrown("error" in outcome && outcome.error, {
        type: SMTPDataError,
        smtp_code: 552,
        delivery: "rejected",
      });
      expect(smtp.connected).toBe(false);
      await refusing.finish();
    });

    it("is a lost connection if no reply comes, soon", async () => {
      const silent = scriptedTransport([server({ DATA: ["354 go", stall] })]);
      const smtp = new SMTP("x.test", 25, { transport: cut(silent.transport), timeout: 30 });
      const outcome = await settled(() => smtp.sendmail("a@client.test", "b@lab.test", "x".repeat(200_000)), 3);
      expectThrown("error" in outcome && outcome.error, {
        type: SMTPServerDisconnected,
        delivery: "not-sent",
        temporary: true,
        cause: /the wire is cut/,
      });
      expect(smtp.connected).toBe(false);
      await silent.finish();
    });
  });

  it("a stream that comes after the time is over is aborted", async () => {
    const aborted = vi.fn();
    const transport = async (): Promise<ByteStream> => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return stream({ abort: aborted });
    };
    const smtp = new SMTP("x.test", 25, { transport, timeouts: { connect: 0.03 } });
    const outcome = await settled(() => smtp.noop());
    expectThrown("error" in outcome && outcome.error, { type: SMTPTimeoutError, phase: "connect" });
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(aborted).toHaveBeenCalled();
  });

  it("a stream that comes after close() is aborted", async () => {
    const aborted = vi.fn();
    const transport = async (): Promise<ByteStream> => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return stream({ abort: aborted });
    };
    const smtp = new SMTP("x.test", 25, { transport });
    const call = settled(() => smtp.noop());
    await new Promise((resolve) => setTimeout(resolve, 10));
    smtp.close();
    const outcome = await call;
    expect("error" in outcome && outcome.error).toBeInstanceOf(SMTPException);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(aborted).toHaveBeenCalled();
  });

  it("a server in memory that only ever gives one octet at a time", async () => {
    const slow = scriptedTransport([server()], { chunkSize: 1, highWaterMark: 1 });
    const smtp = new SMTP("x.test", 25, { transport: slow.transport, timeout: 2 });
    expect(await sendOne(smtp)).toEqual({});
    await smtp.quit();
    await slow.finish();
    expect(slow.first.taken).toBe(1);
  });
});

/** Options that TypeScript would refuse. */
const OPTIONS: readonly [name: string, options: unknown, type: typeof TypeError | typeof RangeError][] = [
  ["an unknown option", { timeuot: 1 }, TypeError],
  ["a prototype's name", { constructor: 1 }, TypeError],
  ["a string", "timeout", TypeError],
  ["an array", [], TypeError],
  ["timeout 0", { timeout: 0 }, RangeError],
  ["a negative timeout", { timeout: -1 }, RangeError],
  ["a timeout that is no number", { timeout: Number.NaN }, RangeError],
  ["an endless timeout", { timeout: Number.POSITIVE_INFINITY }, RangeError],
  ["a timeout in text", { timeout: "1" }, TypeError],
  ["an unknown phase", { timeouts: { conect: 1 } }, TypeError],
  ["a phase of 0", { timeouts: { quit: 0 } }, RangeError],
  ["a transport that is none", { transport: {} }, TypeError],
  ["a signal that is none", { signal: { aborted: false } }, TypeError],
  ["a logger that lacks a method", { logger: { debug() {} } }, TypeError],
  ["limits of 0", { limits: { line: 0 } }, RangeError],
  ["an unknown limit", { limits: { lines: 10 } }, TypeError],
  ["a limit in text", { limits: { line: "10" } }, TypeError],
  ["an unknown kind of pipelining", { pipelining: "yes" }, TypeError],
  ["allowInsecureAuth in text", { allowInsecureAuth: "false" }, TypeError],
  ["an unknown eightBit", { eightBit: "7bit" }, RangeError],
  ["a source address without a port", { source_address: ["127.0.0.1"] }, TypeError],
  ["a source port that is none", { source_address: ["127.0.0.1", -1] }, RangeError],
  ["a local host name that is no text", { local_hostname: 42 }, TypeError],
  ["a local host name with a space", { local_hostname: "a b" }, RangeError],
];

describe("[surroundings: options]", () => {
  it.each(OPTIONS)("%s: the constructor throws", (_, options, type) => {
    expect(() => new SMTP("x.test", 25, options as SMTPOptions)).toThrow(type);
  });

  it.each<[string, unknown]>([
    ["a fraction", 25.5],
    ["negative", -1],
    ["too big", 65_536],
    ["text", "25"],
    ["not a number", Number.NaN],
  ])("a port that is %s: the constructor throws", (_, port) => {
    expect(() => new SMTP("x.test", port as number)).toThrow(/port/);
  });

  it.each(["x.test:", "x.test:smtp", "x.test:99999", "[::1", "[::1]25", "[::1]:x", "a b", "x\0y"])(
    "the host %j is refused",
    async (host) => {
      const transport = (): never => {
        throw new Error("it was asked to connect");
      };
      const outcome = await settled(async () => new SMTP(host, 0, { transport }).noop());
      const error = "error" in outcome && outcome.error;
      expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true);
    },
  );

  it("a timeout of years does not fire at once", async () => {
    const good = scriptedTransport([server({ NOOP: [delay(0.02), "250 ok"] })]);
    const smtp = new SMTP("x.test", 25, { transport: good.transport, timeout: 1e9 });
    expect((await smtp.noop()).code).toBe(250);
    await smtp.quit();
    await good.finish();
  });
});

class Unbuildable extends Error {}

const mimeObjects: Scenario[] = [
  ...(
    [
      [
        "throws",
        () => {
          throw new Unbuildable("no");
        },
      ],
      ["rejects", () => Promise.reject(new Unbuildable("no"))],
    ] satisfies [string, () => unknown][]
  ).map(
    ([name, build]): Scenario => ({
      name: `a MIME object whose build() ${name}`,
      server: server(),
      call: async (smtp) => {
        await smtp.ehlo();
        const failed = await smtp.send_message({ build }, "a@client.test", "b@lab.test").catch((error: Error) => error);
        return [failed instanceof Unbuildable, await sendOne(smtp)];
      },
      gives: [true, {}],
      connected: true,
      taken: 1,
    }),
  ),
  {
    name: "a MIME object that gives no message",
    server: server(),
    call: async (smtp) => {
      await smtp.ehlo();
      return smtp.send_message({ build: () => 42 }, "a@client.test", "b@lab.test");
    },
    throws: { type: TypeError, message: /msg/ },
    connected: true,
  },
  {
    name: "a plain object is no message",
    server: server(),
    call: async (smtp) => {
      await smtp.ehlo();
      return smtp.send_message({}, "a@client.test", "b@lab.test");
    },
    throws: { type: TypeError, message: /msg/ },
    connected: true,
  },
  {
    name: "a MIME object that never builds, and an abort",
    server: server(),
    call: async (smtp) => {
      // By then the message has its turn, even on a slow machine: before, the connection would be kept.
      await smtp.ehlo();
      const controller = new AbortController();
      const { signal } = controller;
      const build = (): Promise<never> => {
        setTimeout(() => controller.abort(), 60);
        return new Promise(() => {});
      };
      return smtp.send_message({ build }, "a@client.test", "b@lab.test", [], [], { signal });
    },
    throws: { type: DOMException },
    connected: false,
    within: 0.5,
  },
  {
    name: "a MIME object that never builds, and close()",
    server: server(),
    call: (smtp) => {
      setTimeout(() => smtp.close(), 60);
      return smtp.send_message({ build: () => new Promise(() => {}) }, "a@client.test", "b@lab.test");
    },
    throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
    connected: false,
    within: 0.5,
  },
  {
    name: "a MIME object that never builds, and the total time",
    server: server(),
    options: { timeouts: { total: 0.1 } },
    call: (smtp) => smtp.send_message({ build: () => new Promise(() => {}) }, "a@client.test", "b@lab.test"),
    throws: { type: SMTPTimeoutError, phase: "total", delivery: "not-sent" },
    connected: false,
    within: 0.5,
  },
  {
    name: "a MIME object that is built slowly keeps its place in the queue",
    server: server({ EHLO: ehlo("8BITMIME") }),
    call: (smtp) => {
      const build = async (): Promise<string> => {
        await new Promise((resolve) => setTimeout(resolve, 40));
        return "X: first\r\n\r\nfirst\r\n";
      };
      return Promise.all([
        smtp.send_message({ build }, "a@client.test", "b@lab.test"),
        smtp.sendmail("a@client.test", "b@lab.test", "second\r\n"),
      ]);
    },
    gives: [{}, {}],
    connected: true,
    bodies: ["X: first\r\n\r\nfirst\r\n.\r\n", "second\r\n.\r\n"],
  },
];

/** Bodies that cannot be opened. */
const unopenable: Scenario[] = (
  [
    [
      "a locked stream",
      () => {
        const stream = new Blob(["x"]).stream();
        stream.getReader();
        return stream;
      },
    ],
    [
      "an iterable whose iterator cannot be had",
      () => ({
        [Symbol.asyncIterator](): never {
          throw new Error("no");
        },
      }),
    ],
    ["an iterator that is no object", () => ({ [Symbol.iterator]: () => 42 })],
    ["an iterator without next()", () => ({ [Symbol.iterator]: () => ({}) })],
    ["an iterator whose next() gives no object", () => ({ [Symbol.iterator]: () => ({ next: () => 42 }) })],
  ] satisfies [string, () => unknown][]
).flatMap(([name, make]): Scenario[] =>
  [ehlo("PIPELINING", "8BITMIME"), ehlo("8BITMIME")].map((hello, i) => ({
    name: `a body that is ${name}, ${i === 0 ? "pipelined" : "lock-step"}`,
    server: server({ EHLO: hello }),
    call: async (smtp) => {
      await smtp.ehlo();
      const outcome = await settled(() => smtp.sendmail("a@client.test", "b@lab.test", make() as string), 1);
      return "error" in outcome && outcome.error instanceof Error ? outcome.error.name : outcome;
    },
    gives: expect.stringMatching(/^(TypeError|SMTPException)$/),
    connected: false,
    taken: 0,
    bodies: [],
  })),
);

const signals: Scenario[] = [
  {
    name: "the session's signal fires while nothing is asked",
    server: server(),
    options: () => ({ signal: controller.signal }),
    call: async (smtp) => {
      await smtp.noop();
      controller.abort(new Error("stop"));
      expect(smtp.connected).toBe(false);
      return smtp.noop();
    },
    throws: { type: SMTPServerDisconnected },
    connected: false,
    within: 0.5,
  },
  {
    name: "the timeout can be changed while the session lasts",
    server: server({ NOOP: stall }),
    call: async (smtp) => {
      await smtp.ehlo();
      smtp.timeout = 0.1;
      return smtp.noop();
    },
    throws: { type: SMTPTimeoutError, phase: "command" },
    connected: false,
    within: 0.5,
  },
  {
    name: "a message that is changed after the call is the caller's fault, and still one message",
    server: server(),
    call: (smtp) => {
      const octets = new TextEncoder().encode(MESSAGE);
      const sent = smtp.sendmail("a@client.test", "b@lab.test", octets);
      octets.fill(46);
      return sent;
    },
    connected: true,
    check: (_, { bodies, lines }) => {
      expect(bodies.length).toBe(1);
      expect(lines).toHaveLength(4);
    },
  },
];

const controller = new AbortController();

scenarios("surroundings: MIME objects", mimeObjects);
scenarios("surroundings: bodies", unopenable);
scenarios("surroundings: signals", signals);
