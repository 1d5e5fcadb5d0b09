/**
 * Bodies that pause: the client sends their bytes, and notices the server's replies meanwhile (SECURITY.md, rule 6).
 */
import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import {
  type Body,
  LMTP,
  SMTP,
  SMTPDataError,
  type SMTPOptions,
  SMTPPool,
  SMTPServerDisconnected,
} from "../../src/index.ts";
import {
  type Act,
  type Answers,
  callback,
  close,
  ehlo,
  reset,
  type ScriptedServer,
  scriptedTransport,
  server,
  startScriptedServer,
  take,
} from "../support/scripted-server.ts";
import { settled, watchForLeaks } from "./scenario.ts";

const FIRST = `${"first part ".repeat(272)}\r\n`;
const REST = "the rest\r\n";

/** A source that yields the first part, waits for `gate`, then yields the rest. */
type Make = (gate: Promise<unknown>) => { body: Body; released(): boolean };

const SOURCES: readonly [string, Make][] = [
  [
    "an async iterator",
    (gate) => {
      let asked = 0;
      let released = false;
      const iterator: AsyncIterator<string> = {
        async next() {
          asked++;
          if (asked === 2) await gate;
          if (asked > 2) return { done: true, value: undefined };
          return { done: false, value: asked === 1 ? FIRST : REST };
        },
        async return() {
          released = true;
          return new Promise(() => {});
        },
      };
      return { body: { [Symbol.asyncIterator]: () => iterator }, released: () => released };
    },
  ],
  [
    "an async generator",
    (gate) => {
      async function* body(): AsyncGenerator<string> {
        yield FIRST;
        await gate;
        yield REST;
      }
      // A generator that awaits a promise cannot be ended.
      return { body: body(), released: () => true };
    },
  ],
  [
    "an iterable of promises",
    (gate) => {
      function* body(): Generator<string> {
        yield FIRST;
        yield gate.then(() => REST) as unknown as string;
      }
      return { body: body(), released: () => true };
    },
  ],
  [
    "a ReadableStream",
    (gate) => {
      let released = false;
      let pulls = 0;
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          pulls++;
          if (pulls === 2) await gate;
          if (pulls > 2) controller.close();
          else controller.enqueue(new TextEncoder().encode(pulls === 1 ? FIRST : REST));
        },
        cancel() {
          released = true;
        },
      });
      return { body, released: () => released };
    },
  ],
  [
    "a stream of Node's",
    (gate) => {
      const body = new PassThrough();
      body.write(FIRST);
      void gate.then(() => body.end(REST));
      return { body, released: () => body.destroyed };
    },
  ],
];

type Way = {
  readonly hello: readonly string[];
  /** True if BDAT carries the message. */
  readonly chunked?: true;
  readonly options?: SMTPOptions;
  readonly send?: (server: ScriptedServer, body: Body, options: SMTPOptions) => Promise<unknown>;
};

const [from, to] = ["a@client.test", "b@lab.test"];

async function bySmtp({ host, port, transport }: ScriptedServer, body: Body, options: SMTPOptions): Promise<unknown> {
  const smtp = new SMTP(host, port, { transport, ...options });
  try {
    return await smtp.sendmail(from, to, body);
  } finally {
    smtp.close();
  }
}

const WAYS: readonly [string, Way][] = [
  ["DATA", { hello: ["PIPELINING"] }],
  ["DATA, lock-step", { hello: [] }],
  ["BDAT", { hello: ["PIPELINING", "CHUNKING"], chunked: true }],
  ["BDAT, lock-step", { hello: ["CHUNKING"], chunked: true }],
  [
    "data()",
    {
      hello: ["PIPELINING"],
      send: async ({ host, port, transport }, body, options) => {
        const smtp = new SMTP(host, port, { transport, ...options });
        try {
          await smtp.ehlo();
          await smtp.mail(from);
          await smtp.rcpt(to);
          const reply = await smtp.data(body);
          return reply.code === 250 ? {} : reply;
        } finally {
          smtp.close();
        }
      },
    },
  ],
  [
    "LMTP",
    {
      hello: ["PIPELINING"],
      send: async ({ host, port, transport }, body, options) => {
        const lmtp = new LMTP(host, port, { transport, ...options });
        try {
          return await lmtp.sendmail(from, to, body);
        } finally {
          lmtp.close();
        }
      },
    },
  ],
  [
    "a pool",
    {
      hello: ["PIPELINING", "CHUNKING"],
      chunked: true,
      send: async ({ host, port, transport }, body, options) => {
        const pool = new SMTPPool({ host, port, transport, ...options });
        try {
          return await pool.sendmail(from, to, body);
        } finally {
          await pool.close();
        }
      },
    },
  ],
];

const play = async (way: Way, answers: Answers, body: Body): Promise<{ outcome: object; server: ScriptedServer }> => {
  const hello = ehlo(...way.hello);
  const running = await startScriptedServer(server({ EHLO: hello, LHLO: hello, ...answers }));
  try {
    const { send = bySmtp, options = {} } = way;
    const outcome = await settled(() => send(running, body, { timeout: 5, ...options }), 1);
    return { outcome, server: running };
  } finally {
    await running.finish();
  }
};

/** The server's actions after so many bytes of a message. */
const after = (octets: number, ...acts: Act[]): Answers => ({
  DATA: ["354 go", take(octets), ...acts],
  chunk: [take(octets), ...acts],
});

describe.each(WAYS)("what a body has given leaves when it pauses: %s", (_, way) => {
  watchForLeaks();

  it.each(SOURCES)("%s", async (_, make) => {
    let arrived: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const saw = callback(() => arrived());
    const { outcome, server } = await play(
      way,
      { DATA: ["354 go", take(FIRST.length), saw], BDAT: [saw, "250 ok"] },
      make(gate).body,
    );
    expect(outcome).toEqual({ value: {} });
    expect(server.first.bodies.join("").replace(/\.\r\n$/, "")).toBe(way.chunked === true ? FIRST + REST : REST);
  });

  const failures: readonly [string, Act[], object][] = [
    ["resets", [reset], { error: expect.any(SMTPServerDisconnected) }],
    ["closes", [close], { error: expect.any(SMTPServerDisconnected) }],
    ["refuses it by 552", ["552 5.3.4 too big", close], { error: expect.any(SMTPDataError) }],
    ["says 421 and closes", ["421 4.3.2 going down", close], { error: expect.objectContaining({ smtp_code: 421 }) }],
    ["times out with 421", ["421 4.4.2 timeout", reset], { error: expect.objectContaining({ temporary: true }) }],
  ];
  it.each(
    SOURCES.flatMap(([name, make]) =>
      failures.map(([how, acts, expected]): [string, string, Make, Act[], object] => [how, name, make, acts, expected]),
    ),
  )("a server that %s is heard while %s is silent", async (_, __, make, acts, expected) => {
    const source = make(new Promise(() => {}));
    const { outcome } = await play(way, after(1000, ...acts), source.body);
    expect(outcome).toMatchObject(expected);
    expect(outcome).toHaveProperty("error.delivery", expect.stringMatching(/^(not-sent|rejected)$/));
    expect(source.released()).toBe(true);
  });
});

describe("what comes at once", () => {
  const lines = Array.from({ length: 500 }, (_, index) => `line ${index}\r\n`);
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  async function* generator(): AsyncGenerator<string> {
    yield* lines;
  }
  async function* nested(depth: number): AsyncGenerator<string> {
    if (depth === 0) yield* lines;
    else for await (const line of nested(depth - 1)) yield line;
  }
  const enqueued = (): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start(controller) {
        for (const line of lines) controller.enqueue(encode(line));
        controller.close();
      },
    });
  const pulled = (): ReadableStream<Uint8Array> => {
    const rest = [...lines];
    return new ReadableStream({
      pull(controller) {
        const line = rest.shift();
        if (line === undefined) controller.close();
        else controller.enqueue(encode(line));
      },
    });
  };

  it.each<[string, () => Body]>([
    ["a generator", () => lines.values()],
    ["an array", () => lines],
    ["an async generator", generator],
    ["generators within generators", () => nested(4)],
    ["a stream whose chunks are there", enqueued],
    ["a stream that is pulled", pulled],
    ["a stream through another", () => pulled().pipeThrough(new TransformStream())],
    ["a stream of Node's", () => Readable.from([lines.join("")], { objectMode: false })],
  ])("is one write, by DATA: %s", async (_, make) => {
    const writes: number[] = [];
    const running = scriptedTransport([server({ EHLO: ehlo("PIPELINING") })]);
    const { transport } = running;
    const smtp = new SMTP(running.host, running.port, {
      transport: async (...where) => {
        const stream = await (transport ?? expect.fail())(...where);
        const write = stream.write.bind(stream);
        stream.write = (data) => {
          writes.push(data.length);
          return write(data);
        };
        return stream;
      },
    });
    await smtp.sendmail(from, to, make());
    expect(running.first.bodies).toEqual([`${lines.join("")}.\r\n`]);
    // EHLO, the envelope, the content, its end, QUIT.
    expect(writes.slice(2, -1)).toEqual([lines.join("").length]);
    await smtp.quit();
    await running.finish();
  });
});

describe("a body of many small chunks, each after a pause", () => {
  const COUNT = 200;
  async function* drip(): AsyncGenerator<string> {
    for (let index = 0; index < COUNT; index++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      yield "x\r\n";
    }
  }

  it("by BDAT does not wait for replies, and leaves no more than 32 chunks unanswered", async () => {
    const running = scriptedTransport([server({ EHLO: ehlo("PIPELINING", "CHUNKING"), BDAT: [] })]);
    const { transport } = running;
    const smtp = new SMTP(running.host, running.port, { transport });
    const sending = smtp.sendmail(from, to, drip()).catch((error: unknown) => error);
    const bdats = (): number => running.first.lines.filter((line) => line.startsWith("BDAT")).length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    while (!running.first.lines.some((line) => line.endsWith("LAST")))
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(bdats()).toBe(33);
    expect(running.first.bodies).toEqual(["x\r\n".repeat(COUNT)]);
    smtp.close();
    await sending;
    await running.finish();
  });

  it("by BDAT without pipelining is read on while a reply is outstanding", async () => {
    const running = scriptedTransport([
      server({
        EHLO: ehlo("CHUNKING"),
        BDAT: [callback(() => new Promise((resolve) => setTimeout(resolve, 20))), "250 ok"],
      }),
    ]);
    const smtp = new SMTP(running.host, running.port, { transport: running.transport });
    await smtp.sendmail(from, to, drip());
    expect(running.first.bodies).toEqual(["x\r\n".repeat(COUNT)]);
    expect(running.first.pipelined).toEqual([]);
    const bdats = running.first.lines.filter((line) => line.startsWith("BDAT"));
    expect(bdats.length).toBeGreaterThan(2);
    expect(bdats.length).toBeLessThan(COUNT / 2);
    await smtp.quit();
    await running.finish();
  });
});
