/** smtplib/opentelemetry with the real SDK: spans and metrics with the names of the semantic conventions. */
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import {
  ATTR_ERROR_TYPE,
  ATTR_NETWORK_PROTOCOL_NAME,
  ATTR_NETWORK_TRANSPORT,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
} from "@opentelemetry/semantic-conventions";
import {
  ATTR_MESSAGING_MESSAGE_ENVELOPE_SIZE,
  ATTR_MESSAGING_OPERATION_NAME,
  ATTR_MESSAGING_OPERATION_TYPE,
  ATTR_MESSAGING_SYSTEM_NAME,
  METRIC_MESSAGING_CLIENT_OPERATION_DURATION,
  METRIC_MESSAGING_CLIENT_SENT_MESSAGES,
} from "@opentelemetry/semantic-conventions/incubating";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LMTP, SMTP, SMTPPool, type Transport } from "../../src/index.ts";
import { type Instrumentation, instrument } from "../../src/opentelemetry.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { gate } from "../support/gate.ts";
import { session as connected } from "../support/session.ts";

const spans = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
const contexts = new AsyncLocalStorageContextManager();

let measured: InMemoryMetricExporter;
let reader: PeriodicExportingMetricReader;
let meterProvider: MeterProvider;
let instrumentation: Instrumentation;

beforeAll(() => {
  contexts.enable();
  context.setGlobalContextManager(contexts);
});

beforeEach(() => {
  measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  reader = new PeriodicExportingMetricReader({ exporter: measured, exportIntervalMillis: 3_600_000 });
  meterProvider = new MeterProvider({ readers: [reader] });
  instrumentation = instrument({ tracerProvider, meterProvider });
});

afterEach(async () => {
  instrumentation.disable();
  spans.reset();
  await reader.shutdown();
});

afterAll(() => {
  context.disable();
});

const session = async (script: Script = {}): Promise<SMTP> => (await connected(script, {}, 587)).smtp;

function send(smtp: SMTP, ...to: string[]): Promise<unknown> {
  return smtp.sendmail("ada@example.com", to, "Hi!\n").catch((error: unknown) => error);
}

function spanNamed(name: string): ReadableSpan {
  const found = spans.getFinishedSpans().find((span) => span.name === name);
  if (found === undefined) throw new Error(`no ${name} among ${spans.getFinishedSpans().map((span) => span.name)}`);
  return found;
}

async function points(name: string): Promise<readonly object[]> {
  measured.reset();
  await reader.forceFlush();
  const all = measured.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
  return all.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
}

const SERVER = {
  [ATTR_SERVER_ADDRESS]: "mail.example.com",
  [ATTR_SERVER_PORT]: 587,
  [ATTR_NETWORK_PROTOCOL_NAME]: "smtp",
  [ATTR_NETWORK_TRANSPORT]: "tcp",
};
const SENT = {
  ...SERVER,
  [ATTR_MESSAGING_SYSTEM_NAME]: "smtp",
  [ATTR_MESSAGING_OPERATION_NAME]: "send",
  [ATTR_MESSAGING_OPERATION_TYPE]: "send",
};
const CLIENT = 2;
const UNSET = 0;
const ERROR = 2;

describe("a delivery", () => {
  it("is a client span by the conventions, with the server, the sizes and the reply", async () => {
    await send(await session({ on: { RCPT: ["250 ok", "550 5.1.1 no"] } }), "charles@example.net", "no@example.net");
    const span = spanNamed("send mail.example.com:587");
    expect(span).toMatchObject({ kind: CLIENT, status: { code: UNSET } });
    expect(span.attributes).toEqual({
      ...SENT,
      [ATTR_MESSAGING_MESSAGE_ENVELOPE_SIZE]: 5,
      "smtp.recipients.count": 2,
      "smtp.recipients.accepted": 1,
      "smtp.recipients.refused": 1,
      "smtp.response.status_code": 250,
      "smtp.response.enhanced_status_code": "2.0.0",
      "smtp.delivery.outcome": "delivered",
    });
  });

  it("over LMTP to a Unix socket says so", async () => {
    const { transport } = new FakeServer();
    const lmtp = await LMTP.connect("/run/dovecot/lmtp", 0, { transport });
    await send(lmtp, "charles@example.net");
    expect(spanNamed("send /run/dovecot/lmtp").attributes).toMatchObject({
      [ATTR_SERVER_ADDRESS]: "/run/dovecot/lmtp",
      [ATTR_NETWORK_PROTOCOL_NAME]: "lmtp",
      [ATTR_NETWORK_TRANSPORT]: "unix",
      [ATTR_MESSAGING_SYSTEM_NAME]: "smtp",
    });
    lmtp.close();
  });

  it("by a pool is one span, and its connection another", async () => {
    const { transport } = new FakeServer();
    const pool = new SMTPPool({ host: "mail.example.com", port: 587, transport, maxConnections: 1 });
    await Promise.all([1, 2, 3].map((n) => pool.sendmail("ada@example.com", `user${n}@example.net`, "Hi!\n")));
    await pool.close();
    const names = spans.getFinishedSpans().map(({ name }) => name);
    expect(names.sort()).toEqual(["connect mail.example.com:587", ...Array(3).fill("send mail.example.com:587")]);
    expect((await points("smtp.client.open_connections")).at(-1)).toMatchObject({ value: 0 });
  });

  it("that fails has the exception's name, the reply's code, and what became of the message", async () => {
    await send(await session({ on: { ".": "554 5.7.1 spam" } }), "charles@example.net");
    const span = spanNamed("send mail.example.com:587");
    expect(span.status.code).toBe(ERROR);
    expect(span.attributes).toMatchObject({
      [ATTR_ERROR_TYPE]: "SMTPDataError",
      "smtp.response.status_code": 554,
      "smtp.response.enhanced_status_code": "5.7.1",
      "smtp.delivery.outcome": "rejected",
    });
  });

  it("whose end nobody knows says so", async () => {
    await send(await session({ on: { ".": "close" } }), "charles@example.net");
    expect(spanNamed("send mail.example.com:587").attributes).toMatchObject({
      [ATTR_ERROR_TYPE]: "SMTPServerDisconnected",
      "smtp.delivery.outcome": "unknown",
    });
  });

  it("is a child of the span that is active where it is asked for, also while others are under way", async () => {
    const { transport } = new FakeServer();
    const smtp = new SMTP("mail.example.com", 587, { transport });
    const tracer = tracerProvider.getTracer("test");
    const parents = await Promise.all(
      [1, 2, 3].map((number) =>
        tracer.startActiveSpan(`request ${number}`, async (span) => {
          await send(smtp, `user${number}@example.net`);
          span.end();
          return span.spanContext();
        }),
      ),
    );
    const children = spans.getFinishedSpans().filter(({ name }) => name.startsWith("send "));
    expect(children.map((span) => span.parentSpanContext?.spanId).sort()).toEqual(
      parents.map(({ spanId }) => spanId).sort(),
    );
    smtp.close();
  });

  it("is counted and timed, with the error's type where it failed", async () => {
    const smtp = await session({ on: { ".": ["250 ok", "250 ok", "451 later"] } });
    for (let message = 0; message < 3; message++) await send(smtp, "charles@example.net");
    const failed = { ...SENT, [ATTR_ERROR_TYPE]: "SMTPDataError" };
    expect(await points(METRIC_MESSAGING_CLIENT_SENT_MESSAGES)).toMatchObject([
      { attributes: SENT, value: 2 },
      { attributes: failed, value: 1 },
    ]);
    expect(await points(METRIC_MESSAGING_CLIENT_OPERATION_DURATION)).toMatchObject([
      { attributes: SENT, value: { count: 2, sum: expect.any(Number) } },
      { attributes: failed, value: { count: 1 } },
    ]);
    expect(await points("smtp.client.recipients")).toMatchObject([
      { attributes: { "smtp.recipient.outcome": "accepted" }, value: 2 },
    ]);
  });
});

describe("a delivery that is not made", () => {
  it("since there is no connection, names no server", async () => {
    const { transport } = new FakeServer();
    await send(new SMTP("", 0, { transport }), "charles@example.net");
    const { attributes, status } = spanNamed("send");
    expect(status.code).toBe(ERROR);
    expect(attributes).toMatchObject({ [ATTR_ERROR_TYPE]: "SMTPServerDisconnected" });
    expect(attributes).not.toHaveProperty(ATTR_SERVER_ADDRESS);
  });

  it("since a signal ended it, has the type of the reason, whatever that is", async () => {
    const smtp = await session();
    const request = { from: "ada@example.com", to: ["charles@example.net"], body: "Hi!\n" };
    await smtp.deliver({ ...request, signal: AbortSignal.abort("changed my mind") }).catch(() => {});
    expect(spanNamed("send mail.example.com:587").attributes).toMatchObject({ [ATTR_ERROR_TYPE]: "string" });
    smtp.close();
  });
});

describe("a connection", () => {
  it("is a client span of its own, and counted while it is open", async () => {
    const smtp = await session();
    expect(spanNamed("connect mail.example.com:587")).toMatchObject({ kind: CLIENT, attributes: SERVER });
    expect(await points("smtp.client.open_connections")).toMatchObject([
      { attributes: { [ATTR_SERVER_PORT]: 587 }, value: 1 },
    ]);
    await smtp.quit();
    expect((await points("smtp.client.open_connections")).at(-1)).toMatchObject({ value: 0 });
  });

  it("that cannot be made has the exception's name", async () => {
    const transport = (): Promise<never> => Promise.reject(new Error("no route"));
    await SMTP.connect("mail.example.com", 587, { transport }).catch(() => {});
    const span = spanNamed("connect mail.example.com:587");
    expect(span.status.code).toBe(ERROR);
    expect(span.attributes).toMatchObject({ [ATTR_ERROR_TYPE]: "SMTPConnectError" });
    expect(await points("smtp.client.open_connections")).toEqual([]);
  });

  it("over a real socket has the addresses of both ends", async () => {
    await using server = await startEmbeddedServer({ tls: "none" });
    const smtp = await SMTP.connect(server.host, server.port);
    await send(smtp, "charles@example.net");
    await smtp.quit();
    expect(spanNamed(`connect 127.0.0.1:${server.port}`).attributes).toMatchObject({
      "network.peer.address": "127.0.0.1",
      "network.local.address": "127.0.0.1",
    });
    expect(spanNamed(`send 127.0.0.1:${server.port}`).status.code).toBe(UNSET);
  });
});

describe("telemetry", () => {
  it("holds no addresses of mail, no text of the server's, and no credentials", async () => {
    const on = { AUTH: "235 in", RCPT: ["250 ok", "550 nobody@example.net is unknown here"] };
    const smtp = await session({ ehlo: ["AUTH PLAIN"], on, peer: { loopback: true } });
    await smtp.login("somebody", "correct horse");
    await send(smtp, "charles@example.net", "nobody@example.net");
    await send(smtp, "nobody@example.net");
    await reader.forceFlush();
    const everything = JSON.stringify([
      spans.getFinishedSpans().map(({ name, attributes, events, status }) => ({ name, attributes, events, status })),
      measured.getMetrics().map(({ scopeMetrics }) => scopeMetrics),
    ]);
    expect(everything).toContain("SMTPRecipientsRefused");
    for (const secret of ["@example.", "unknown here", "somebody", "correct horse"]) {
      expect(everything).not.toContain(secret);
    }
  });

  it("goes to the global providers unless told otherwise", async () => {
    instrumentation.disable();
    trace.setGlobalTracerProvider(tracerProvider);
    try {
      instrumentation = instrument();
      await send(await session(), "charles@example.net");
      expect(spanNamed("send mail.example.com:587")).toMatchObject({ instrumentationScope: { name: "smtplib" } });
    } finally {
      trace.disable();
    }
  });

  // https://github.com/oven-sh/bun/issues/43086
  it.runIf("Bun" in globalThis)("goes on after a garbage collection", async () => {
    const bun: { gc(force: boolean): void } = Reflect.get(globalThis, "Bun");
    for (let round = 0; round < 3; round++) {
      await new Promise((resolve) => setImmediate(resolve));
      bun.gc(true);
    }
    await send(await session(), "charles@example.net");
    expect(spans.getFinishedSpans().map(({ name }) => name)).toContain("send mail.example.com:587");
  });

  it("that begins in the middle tells nothing of what had begun before", async () => {
    instrumentation.disable();
    const server = new FakeServer({ on: { ".": () => undefined } });
    const smtp = await SMTP.connect("mail.example.com", 587, { transport: server.transport });
    const sending = send(smtp, "charles@example.net");
    await server.saw(".");
    instrumentation = instrument({ tracerProvider, meterProvider });
    server.say("250 ok\r\n");
    await sending;
    await smtp.quit();
    expect(spans.getFinishedSpans()).toEqual([]);
    expect(await points("smtp.client.open_connections")).toEqual([]);
  });

  it("that begins while a connection is being made counts it, and has no span of it", async () => {
    instrumentation.disable();
    const begun = gate();
    const permission = gate();
    const server = new FakeServer();
    const transport: Transport = async (...to) => {
      begun.open();
      await permission.opened;
      return server.transport(...to);
    };
    const connecting = SMTP.connect("mail.example.com", 587, { transport });
    await begun.opened;
    instrumentation = instrument({ tracerProvider, meterProvider });
    permission.open();
    const smtp = await connecting;
    expect(await points("smtp.client.open_connections")).toMatchObject([{ value: 1 }]);
    await smtp.quit();
    expect(spans.getFinishedSpans()).toEqual([]);
  });

  it("ends with disable()", async () => {
    const smtp = await session();
    spans.reset();
    instrumentation.disable();
    await send(smtp, "charles@example.net");
    instrumentation.disable();
    expect(spans.getFinishedSpans()).toEqual([]);
  });
});
