/** Bodies that fail, hang or are aborted, and servers that reply early or stop reading (SECURITY.md, rule 6). */
import { describe, expect, it } from "vitest";
import {
  type Body,
  SMTP,
  SMTPDataError,
  SMTPException,
  type SMTPOptions,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import {
  type Act,
  type Answers,
  callback,
  close,
  delay,
  ehlo,
  freeze,
  halfClose,
  reset,
  scriptedTransport,
  server,
  stall,
  take,
} from "../support/scripted-server.ts";
import { type Scenario, scenarios, sendOne, settled, type Thrown, watchForLeaks } from "./scenario.ts";

const MODES: readonly [string, Act][] = [
  ["lock-step", ehlo("8BITMIME")],
  ["pipelined", ehlo("PIPELINING", "8BITMIME")],
];

const send = (smtp: SMTP, body: Body): Promise<unknown> => smtp.sendmail("a@client.test", "b@lab.test", body);

/** The message was begun, but never ended. */
const neverEnded = (_: SMTP, { text, taken, bodies }: { text: string; taken: number; bodies: string[] }): void => {
  expect(text).not.toMatch(/\r\n\.\r\n$/);
  expect(bodies).toEqual([]);
  expect(taken).toBe(0);
};

class SourceError extends Error {}

const broken = new SourceError("the disk is gone");

async function* failing(after: number): AsyncGenerator<string> {
  for (let i = 0; i < after; i++) yield `line ${i}\r\n`;
  throw broken;
}

function* failingAtOnce(after: number): Generator<string> {
  for (let i = 0; i < after; i++) yield `line ${i}\r\n`;
  throw broken;
}

function failingStream(after: number): ReadableStream<Uint8Array> {
  let chunks = 0;
  return new ReadableStream({
    pull(controller) {
      if (chunks++ < after) controller.enqueue(new TextEncoder().encode("line\r\n"));
      else controller.error(broken);
    },
  });
}

/** A hanging source that records its release. */
class Hanging implements AsyncIterable<string> {
  returned = false;
  started: Promise<void>;
  #start: () => void = () => {};
  readonly #returns: "at once" | "never" | "throws";

  constructor(returns: "at once" | "never" | "throws" = "at once") {
    this.#returns = returns;
    this.started = new Promise((resolve) => {
      this.#start = resolve;
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    let first = true;
    return {
      next: () => {
        if (first) {
          first = false;
          return Promise.resolve({ done: false, value: "first line\r\n" });
        }
        this.#start();
        return new Promise(() => {});
      },
      return: async () => {
        this.returned = true;
        if (this.#returns === "never") return new Promise(() => {});
        if (this.#returns === "throws") throw new Error("no");
        return { done: true, value: undefined };
      },
    };
  }
}

const sources: Scenario[] = MODES.flatMap(([mode, hello]) =>
  (
    [
      ["an iterator that throws at once", () => failing(0)],
      ["an iterator that throws later", () => failing(3)],
      ["a generator that throws at once", () => failingAtOnce(0)],
      ["a generator that throws later", () => failingAtOnce(3)],
      ["a stream that fails at once", () => failingStream(0)],
      ["a stream that fails later", () => failingStream(3)],
      [
        "an iterator whose next() throws",
        () => ({
          [Symbol.asyncIterator]: () => ({
            next(): never {
              throw broken;
            },
          }),
        }),
      ],
    ] satisfies [string, () => Body][]
  ).map(
    ([name, make]): Scenario => ({
      name: `${name}, ${mode}`,
      server: server({ EHLO: hello }),
      call: (smtp) => send(smtp, make()),
      throws: {
        type: SMTPException,
        delivery: "not-sent",
        temporary: false,
        cause: SourceError,
        message: /the disk is gone/,
      },
      connected: false,
      check: neverEnded,
    }),
  ),
);

const wrongChunks: Scenario[] = (
  [
    ["a number", 42],
    ["null", null],
    ["undefined", undefined],
    ["an object", {}],
    ["an array", ["x"]],
  ] as const
).map(([name, chunk]) => ({
  name: `a chunk that is ${name}`,
  server: server(),
  call: (smtp) => send(smtp, new Set<unknown>(["x\r\n", chunk]).values() as unknown as Body),
  throws: { type: SMTPException, delivery: "not-sent", cause: TypeError },
  connected: false,
  check: neverEnded,
}));

const wrongBodies: Scenario[] = (
  [
    ["a number", 42],
    ["null", null],
    ["undefined", undefined],
    ["an object", {}],
    ["a promise", Promise.resolve("x")],
    ["a function", () => "x"],
    ["an ArrayBuffer", new ArrayBuffer(4)],
    ["a String object's number", new Number(4)],
  ] as const
).map(([name, body]) => ({
  name: `a body that is ${name} is refused before one octet`,
  server: server(),
  call: async (smtp) => {
    await smtp.noop();
    return send(smtp, body as unknown as Body);
  },
  throws: { type: TypeError, message: /msg/ },
  connected: true,
  lines: ["NOOP"],
}));

class Reason extends Error {}

type Abortable = { options: SMTPOptions; signal: AbortSignal | undefined; abort(): void };

/** Both signals of a caller. */
const SIGNALS: readonly [string, () => Abortable][] = [
  [
    "the call's signal",
    () => {
      const controller = new AbortController();
      return { options: {}, signal: controller.signal, abort: () => controller.abort(new Reason("stop")) };
    },
  ],
  [
    "the session's signal",
    () => {
      const controller = new AbortController();
      return {
        options: { signal: controller.signal },
        signal: undefined,
        abort: () => controller.abort(new Reason("stop")),
      };
    },
  ],
];

const aborts: Scenario[] = MODES.flatMap(([mode, hello]) =>
  SIGNALS.flatMap(([which, make]) =>
    ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "."].map((verb): Scenario => {
      const { options, signal, abort } = make();
      const act: Act = [callback(abort), stall];
      return {
        name: `${which} fires at ${verb}, ${mode}`,
        server: verb === "greeting" ? server({ EHLO: hello }, act) : server({ EHLO: hello, [verb]: act }),
        options,
        call: (smtp) =>
          smtp.sendmail("a@client.test", "b@lab.test", "x\r\n", [], [], signal === undefined ? undefined : { signal }),
        throws: { type: Reason },
        // Cancels a call that waits for its turn. The session that is being opened does not belong to the call: it may
        // be connected by then.
        connected: verb === "greeting" && signal !== undefined ? undefined : false,
        taken: 0,
        within: 0.5,
      };
    }),
  ),
);

const hanging: Scenario[] = (["at once", "never", "throws"] as const).flatMap((returns) =>
  MODES.flatMap(([mode, hello]) => {
    const body = new Hanging(returns);
    const controller = new AbortController();
    const cut = new Hanging(returns);
    const timed = new Hanging(returns);
    return [
      {
        name: `a hanging source whose return() is ${returns}, aborted, ${mode}`,
        server: server({ EHLO: hello }),
        call: (smtp: SMTP) => {
          void body.started.then(() => controller.abort(new Reason("stop")));
          return smtp.sendmail("a@client.test", "b@lab.test", body, [], [], { signal: controller.signal });
        },
        throws: { type: Reason },
        connected: false,
        within: 0.5,
        check: (smtp, conversation) => {
          neverEnded(smtp, conversation);
          expect(body.returned).toBe(true);
        },
      },
      {
        name: `a hanging source whose return() is ${returns}, and the server closes, ${mode}`,
        server: server({ EHLO: hello, DATA: ["354 go", delay(0.02), close] }),
        call: (smtp: SMTP) => send(smtp, cut),
        throws: { type: SMTPServerDisconnected, delivery: "not-sent", temporary: true },
        connected: false,
        within: 0.5,
        check: (smtp, conversation) => {
          neverEnded(smtp, conversation);
          expect(cut.returned).toBe(true);
        },
      },
      {
        name: `a hanging source whose return() is ${returns}, and the total time is over, ${mode}`,
        server: server({ EHLO: hello }),
        options: { timeouts: { total: 0.1 } },
        call: (smtp: SMTP) => send(smtp, timed),
        throws: { type: SMTPTimeoutError, phase: "total", delivery: "not-sent" },
        connected: false,
        within: 0.5,
        check: (smtp, conversation) => {
          neverEnded(smtp, conversation);
          expect(timed.returned).toBe(true);
        },
      },
    ] satisfies Scenario[];
  }),
);

const LINE = new TextEncoder().encode(`${"x".repeat(76)}\r\n`);

function manyOctets(mebibytes: number): Uint8Array {
  const octets = new Uint8Array(mebibytes * 1024 * 1024);
  for (let at = 0; at + LINE.length <= octets.length; at += LINE.length) octets.set(LINE, at);
  return octets;
}

/** More MiB than fit into the buffers of two sockets. */
const MEBIBYTES = 16;
const many = manyOctets(MEBIBYTES);

async function* manyChunks(mebibytes: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < mebibytes; i++) yield many.slice(0, 1024 * 1024);
}

/** Calls back when the socket's buffers are full. */
const later = (callback: () => void): void => void setTimeout(callback, 100);

const LARGE: readonly [string, () => Body][] = [
  ["octets", () => many],
  ["a stream", () => manyChunks(MEBIBYTES)],
];

const large: Scenario[] = LARGE.flatMap(([form, make]) => {
  const controller = new AbortController();
  let end: () => void = () => {};
  const early = (name: string, act: Act, throws: Thrown): Scenario => ({
    name: `${name}, ${form}`,
    server: server({ DATA: ["354 go", take(200_000), act] }),
    call: (smtp) => send(smtp, make()),
    throws,
    connected: false,
    taken: 0,
  });
  return [
    early("552 in the middle of the body, then the end", ["552 5.3.4 too big", close], {
      type: SMTPDataError,
      smtp_code: 552,
      delivery: "rejected",
      temporary: false,
    }),
    early("552 in the middle of the body, and the server reads on", ["552 5.3.4 too big", stall], {
      type: SMTPDataError,
      smtp_code: 552,
      delivery: "rejected",
    }),
    early("554 in the middle of the body, the server reads no more", ["554 5.7.1 spam", freeze], {
      type: SMTPDataError,
      smtp_code: 554,
      delivery: "rejected",
    }),
    early("552 in the middle of the body, then a reset", ["552 5.3.4 too big", delay(0.02), reset], {
      type: SMTPDataError,
      smtp_code: 552,
      delivery: "rejected",
    }),
    early("421 in the middle of the body, then the end", ["421 4.3.0 shutting down", close], {
      type: SMTPDataError,
      smtp_code: 421,
      delivery: "rejected",
      temporary: true,
    }),
    early("452 in the middle of the body", ["452 4.3.1 disk full", stall], {
      type: SMTPDataError,
      smtp_code: 452,
      delivery: "rejected",
      temporary: true,
    }),
    early("250 in the middle of the body is a broken protocol", ["250 thank you, enough", stall], {
      type: SMTPServerDisconnected,
      delivery: "not-sent",
    }),
    early("nonsense in the middle of the body", ["stop that", stall], {
      type: SMTPServerDisconnected,
      delivery: "not-sent",
    }),
    early("a reset in the middle of the body", reset, { type: SMTPServerDisconnected, delivery: "not-sent" }),
    early("an end in the middle of the body", close, { type: SMTPServerDisconnected, delivery: "not-sent" }),
    early("an end of the server's side only", halfClose, { type: SMTPServerDisconnected, delivery: "not-sent" }),
    {
      name: `a server that stops reading, ${form}`,
      server: server({ DATA: ["354 go", freeze] }),
      options: { timeouts: { dataBlock: 0.2 } },
      call: (smtp) => send(smtp, make()),
      throws: { type: SMTPTimeoutError, phase: "dataBlock", delivery: "not-sent", temporary: true },
      connected: false,
    },
    {
      name: `an abort while the server does not read, ${form}`,
      server: server({ DATA: ["354 go", callback(() => later(() => controller.abort(new Reason("stop")))), freeze] }),
      call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", make(), [], [], { signal: controller.signal }),
      throws: { type: Reason },
      connected: false,
    },
    {
      name: `close() while the server does not read, ${form}`,
      server: server({ DATA: ["354 go", callback(() => later(() => end())), freeze] }),
      call: (smtp) => {
        end = () => smtp.close();
        return send(smtp, make());
      },
      throws: { type: SMTPServerDisconnected, delivery: "not-sent" },
      connected: false,
    },
    {
      name: `the whole body arrives at a server that reads, ${form}`,
      server: server(),
      call: (smtp) => send(smtp, make()),
      gives: {},
      connected: true,
      taken: 1,
      within: 10,
      check: (_, { bodies }) => expect(bodies[0]?.length).toBeGreaterThanOrEqual(MEBIBYTES * 1024 * 1024),
    },
  ] satisfies Scenario[];
});

/** The amount that was read from the source. */
let pulled = 0;

async function* counted(mebibytes: number): AsyncGenerator<Uint8Array> {
  pulled = 0;
  for (; pulled < mebibytes * 1024 * 1024; pulled += 16_384) yield many.slice(0, 16_384);
}

const signals: Scenario[] = [
  {
    name: "a signal that has fired before the call",
    server: server(),
    call: async (smtp) => {
      await smtp.noop();
      const signal = AbortSignal.abort(new Reason("stop"));
      return smtp.sendmail("a@client.test", "b@lab.test", "x\r\n", [], [], { signal });
    },
    throws: { type: Reason },
    connected: true,
    lines: ["NOOP"],
  },
  {
    name: "a session whose signal has fired before",
    server: server(),
    options: { signal: AbortSignal.abort(new Reason("stop")) },
    throws: { type: Reason },
    connected: false,
    connections: 0,
  },
  {
    name: "a signal that fires after the call does nothing",
    server: server(),
    call: async (smtp) => {
      const controller = new AbortController();
      await smtp.sendmail("a@client.test", "b@lab.test", "x\r\n", [], [], { signal: controller.signal });
      controller.abort(new Reason("stop"));
      return (await smtp.noop()).code;
    },
    gives: 250,
    connected: true,
  },
  {
    name: "a signal of a call that waits behind another withdraws that call alone",
    server: server({ MAIL: [delay(0.05), "250 ok"] }),
    call: async (smtp) => {
      const controller = new AbortController();
      const first = sendOne(smtp);
      const second = smtp.sendmail("a@client.test", "c@lab.test", "x\r\n", [], [], { signal: controller.signal });
      const third = smtp.sendmail("a@client.test", "d@lab.test", "x\r\n");
      controller.abort(new Reason("stop"));
      return Promise.all([first, second.catch((error: Error) => error.message), third]);
    },
    gives: [{}, "stop", {}],
    connected: true,
    taken: 2,
    check: (_, { lines }) => expect(lines.join()).not.toMatch(/c@lab\.test/),
  },
  {
    name: "a signal with no reason of its own",
    server: server({ MAIL: stall }),
    call: (smtp) => smtp.sendmail("a@client.test", "b@lab.test", "x\r\n", [], [], { signal: AbortSignal.timeout(50) }),
    throws: { type: DOMException, fields: { name: "TimeoutError" } },
    connected: false,
  },
  {
    name: "many calls with one signal leave no listener on it",
    server: server(),
    call: async (smtp) => {
      const signal = new AbortController().signal;
      let listeners = 0;
      const [add, remove] = [signal.addEventListener, signal.removeEventListener];
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        listeners++;
        add.apply(signal, args);
      };
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        listeners--;
        remove.apply(signal, args);
      };
      for (let i = 0; i < 5; i++) await smtp.sendmail("a@client.test", "b@lab.test", "x\r\n", [], [], { signal });
      // A listener may be removed twice, for the queue and for the call; none may remain.
      return listeners <= 0;
    },
    gives: true,
    connected: true,
  },
];

/** Messages that end the session while another one waits. */
const ENDS: readonly [name: string, answers: Answers, body: () => Body, first: string][] = [
  ["whose source fails", {}, () => failing(3), "SMTPException not-sent"],
  ["with a chunk that is none", {}, () => untypedChunks, "SMTPException not-sent"],
  ["with an early 552", { DATA: ["354 go", "552 too big"] }, () => failing(1e6), "SMTPDataError rejected"],
  ["with an early 250", { DATA: ["354 go", "250 ok"] }, () => failing(1e6), "SMTPServerDisconnected not-sent"],
  ["that is answered with 354", { ".": "354 go" }, () => "x\r\n", "SMTPServerDisconnected unknown"],
  [
    "with a chunk that is refused, and so is RSET",
    { BDAT: "552 no", RSET: "500" },
    () => many,
    "SMTPDataError rejected",
  ],
  ["with a chunk that is answered with 354", { BDAT: "354 go" }, () => many, "SMTPServerDisconnected"],
];
const untypedChunks = {
  *[Symbol.iterator]() {
    yield "x\r\n";
    yield 42;
  },
} as unknown as Body;

const waiting: Scenario[] = [
  ...MODES,
  ["lock-step, BDAT", ehlo("8BITMIME", "CHUNKING")] as const,
  ["pipelined, BDAT", ehlo("8BITMIME", "CHUNKING", "PIPELINING")] as const,
].flatMap(([mode, hello]) =>
  ENDS.filter(
    ([, answers]) => !("BDAT" in answers ? !mode.includes("BDAT") : "DATA" in answers && mode.includes("BDAT")),
  ).map(
    ([name, answers, body, first]): Scenario => ({
      name: `calls that wait behind a message ${name} are told at once, ${mode}`,
      server: server({ EHLO: hello, ...answers }),
      call: async (smtp) => {
        const outcome = ({ name, delivery }: SMTPException): string => `${name} ${delivery}`;
        const [one, two, three] = await Promise.all([
          send(smtp, body()).then(() => "ok", outcome),
          sendOne(smtp).then(() => "ok", outcome),
          smtp.noop().then(
            () => "ok",
            ({ name }: Error) => name,
          ),
        ]);
        return [one.startsWith(first), two, three];
      },
      gives: [true, "SMTPServerDisconnected not-sent", "SMTPServerDisconnected"],
      connected: false,
    }),
  ),
);

scenarios("body-abort: sources", sources);
scenarios("body-abort: waiting", waiting);
scenarios("body-abort: chunks", wrongChunks);
scenarios("body-abort: bodies", wrongBodies);
scenarios("body-abort: signals", [...aborts, ...signals]);
scenarios("body-abort: hanging", hanging);
scenarios("body-abort: large", large);

describe("[body-abort: held back]", () => {
  watchForLeaks();

  it("a server that does not read holds the source back: no more than 1 MiB of it is in memory", async () => {
    // A network has buffers of its own; here only the transport has one.
    const answering = scriptedTransport([server({ DATA: ["354 go", freeze] })]);
    const smtp = new SMTP(answering.host, answering.port, {
      transport: answering.transport,
      timeouts: { dataBlock: 0.2 },
    });
    const outcome = await settled(() => send(smtp, counted(8)), 10);
    expect("error" in outcome && outcome.error).toMatchObject({ name: "SMTPTimeoutError", phase: "dataBlock" });
    expect(pulled).toBeLessThanOrEqual(1024 * 1024);
    smtp.close();
    await answering.finish();
  });
});
