/** The receipts of smtplib/upyo, as Upyo's own transports, its RetryTransport and its PoolTransport use them. */
import { createFailedReceipt, type Receipt, type Transport } from "@upyo/core";
import { PoolTransport } from "@upyo/pool";
import { describe, expect, it } from "vitest";
import {
  type PoolOptions,
  SMTPAuthenticationError,
  SMTPConnectError,
  SMTPDataError,
  SMTPException,
  SMTPNotSupportedError,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import { type SmtplibReceipt, SmtplibTransport } from "../../src/upyo/index.ts";
import { failedReceipt } from "../../src/upyo/receipt.ts";
import type { Script } from "../client/fake-server.ts";
import { closed, collected, faked, letter } from "./harness.ts";

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe("the receipt of a message that was sent", () => {
  it("names the transport, the time, and the recipients who were refused, with what each means", async () => {
    const to = ["charles@example.net", "nobody@example.net", "later@example.net", "full@example.net"];
    const { transport } = faked({
      on: { RCPT: ["250 ok", "550 5.1.1 no", "450 4.2.0 later", "552 5.2.2 full", "552 full"] },
    });
    expect(transport.id).toBe("smtplib");
    const receipt = await transport.send(letter({ to }));
    expect(receipt).toMatchObject({
      successful: true,
      provider: "smtplib",
      attempts: 1,
      timestamp: expect.stringMatching(ISO),
    });
    expect(receipt).toMatchObject({
      rejectedRecipients: expect.arrayContaining([
        { recipient: "nobody@example.net", code: 550, response: "5.1.1 no", retryable: false },
        { recipient: "later@example.net", code: 450, response: "4.2.0 later", retryable: true },
      ]),
    });
  });
});

type Expected = { category: string; code: string; retryable: boolean; delivery: string | undefined };

describe("the receipt of a message that was not sent", () => {
  it.each<[string, Script, PoolOptions, Expected]>([
    ["MAIL is refused for now", { on: { MAIL: "451 4.7.1 greylisted" } }, {}, temporary("smtp.451")],
    ["the content is refused for now", { on: { ".": "452 4.3.1 no room" } }, {}, temporary("smtp.452")],
    ["the recipient is refused for now", { on: { RCPT: "450 4.2.0 later" } }, {}, temporary("smtp.450")],
    ["MAIL is refused for ever", { on: { MAIL: "550 5.7.1 go away" } }, {}, permanent("smtp.550")],
    ["DATA is refused for ever", { on: { DATA: "554 5.7.1 no" } }, {}, permanent("smtp.554")],
    ["the content is refused for ever", { on: { ".": "554 5.7.1 spam" } }, {}, permanent("smtp.554")],
    ["the recipient is refused for ever", { on: { RCPT: "550 5.1.1 no" } }, {}, permanent("smtp.550")],
    [
      "the connection ends in the middle of the content's reply",
      { on: { ".": "close" } },
      {},
      { category: "network", code: "network", retryable: false, delivery: "unknown" },
    ],
    [
      "no reply to the content comes",
      { on: { ".": () => undefined } },
      { timeouts: { dataDone: 0.05 } },
      { category: "timeout", code: "timeout", retryable: false, delivery: "unknown" },
    ],
    [
      "the connection ends before the content",
      { on: { DATA: "close" } },
      {},
      { category: "network", code: "network", retryable: true, delivery: "not-sent" },
    ],
    [
      "no reply to MAIL comes",
      { on: { MAIL: () => undefined } },
      { timeouts: { envelope: 0.05 } },
      { category: "timeout", code: "timeout", retryable: true, delivery: "not-sent" },
    ],
    [
      "the password is wrong",
      { ehlo: ["AUTH PLAIN"], on: { AUTH: "535 5.7.8 no" } },
      { auth: { user: "user", password: "secret" }, allowInsecureAuth: true, starttls: "never" },
      { category: "auth", code: "smtp.535", retryable: false, delivery: "not-sent" },
    ],
    [
      "STARTTLS is missing",
      {},
      { starttls: "required" },
      { category: "configuration", code: "smtp.starttls-unsupported", retryable: false, delivery: "not-sent" },
    ],
  ])("tells that %s", async (_, script, options, { delivery, ...expected }) => {
    const { transport } = faked(script, options);
    const receipt = await transport.send(letter());
    const error = { ...expected, provider: "smtplib", message: expect.any(String) };
    expect(receipt).toMatchObject({
      ...{ successful: false, provider: "smtplib", attempts: 1, retryable: expected.retryable },
      timestamp: expect.stringMatching(ISO),
      errors: [{ ...error, providerDetails: { delivery } }],
    });
    expect(receipt.successful || receipt.errorMessages).toEqual(
      receipt.successful || receipt.errors.map(({ message }) => message),
    );
    expect(JSON.stringify(receipt)).not.toContain("secret");
  });

  it("has an error for each recipient, and may be retried if one of them may", async () => {
    const { transport } = faked({ on: { RCPT: ["550 5.1.1 no", "450 4.2.0 later"] } });
    const receipt = await transport.send(letter({ to: ["nobody@example.net", "later@example.net"] }));
    expect(receipt).toMatchObject({
      retryable: true,
      errorMessages: ["nobody@example.net: 550 5.1.1 no", "later@example.net: 450 4.2.0 later"],
      errors: [
        {
          ...{ code: "smtp.550", category: "rejected", retryable: false },
          providerDetails: { recipient: "nobody@example.net", response: "5.1.1 no", enhancedStatusCode: "5.1.1" },
        },
        { code: "smtp.450", category: "service-unavailable", retryable: true },
      ],
    });
  });

  it("may not be retried where an LMTP server died between its replies", async () => {
    const { transport } = faked(
      { on: { ".": "250 ok for the first" } },
      { protocol: "lmtp", timeouts: { dataDone: 0.05 } },
    );
    const receipt = await transport.send(letter({ to: ["a@example.net", "b@example.net"] }));
    expect(receipt).toMatchObject({
      successful: false,
      retryable: false,
      errors: [{ providerDetails: { delivery: "unknown" } }],
    });
  });

  it.each<[unknown, object]>([
    [
      new SMTPConnectError(-1, "no", { temporary: true, delivery: "not-sent" }),
      { category: "network", code: "network", retryable: true },
    ],
    [new SMTPConnectError(-1, "bad certificate", { delivery: "not-sent" }), { category: "network", retryable: false }],
    [
      new SMTPConnectError(421, "busy", { delivery: "not-sent" }),
      { category: "service-unavailable", code: "smtp.421", retryable: true },
    ],
    [
      new SMTPConnectError(554, "no", { delivery: "not-sent" }),
      { category: "rejected", code: "smtp.554", retryable: false },
    ],
    [new SMTPTimeoutError("connect", undefined, { delivery: "not-sent" }), { category: "timeout", retryable: true }],
    [new SMTPServerDisconnected("lost", { delivery: "unknown" }), { category: "network", retryable: false }],
    [new SMTPAuthenticationError(454, "later"), { category: "auth", code: "smtp.454", retryable: true }],
    [new SMTPAuthenticationError(-1, "no token"), { category: "auth", code: "auth", retryable: false }],
    [new SMTPDataError(499, "odd", { delivery: "rejected" }), { category: "service-unavailable", retryable: true }],
    [
      new SMTPNotSupportedError("lacks it", { capability: "8BITMIME" }),
      { category: "configuration", code: "smtp.8bitmime-unsupported" },
    ],
    [new SMTPNotSupportedError("lacks it"), { category: "configuration", code: "configuration", retryable: false }],
    [
      new SMTPException("the queue is full", { temporary: true, delivery: "not-sent" }),
      { category: "rate-limit", retryable: true },
    ],
    [new TypeError("to: not an address"), { category: "validation", code: "validation", retryable: false }],
    ["gone", { category: "unknown", code: "unknown", retryable: false, message: "gone" }],
  ])("is of the kind that its error is of: %s", (error, expected) => {
    expect(failedReceipt(error)).toMatchObject({ error, errors: [expected] });
  });

  it.each<[string, unknown]>([
    ["an error", new Error("no network")],
    ["an error of its own client", new SMTPServerDisconnected("no network")],
    ["no error", "no network"],
  ])("is of the login where the token function fails with %s", async (_, thrown) => {
    const token = (): Promise<string> => Promise.reject(thrown);
    const { transport } = faked(
      { ehlo: ["AUTH XOAUTH2"] },
      { auth: { user: "user", token }, allowInsecureAuth: true, starttls: "never", reconnectFor: 0.1 },
    );
    const receipt = await transport.send(letter());
    expect(receipt).toMatchObject({ successful: false, errors: [{ category: "auth", code: "auth" }] });
  });

  it("tells that 552 after the content lasts, and 552 to RCPT passes (LMTP)", async () => {
    const { transport } = faked(
      { on: { RCPT: ["250 ok", "250 ok", "250 ok", "552 full"], ".": ["552 5.2.2 full", "250 ok\r\n552 5.2.2 full"] } },
      { protocol: "lmtp" },
    );
    const all = await transport.send(letter({ to: ["a@example.net"] }));
    expect(all).toMatchObject({
      successful: false,
      retryable: false,
      errors: [{ code: "smtp.552", retryable: false }],
    });
    const one = await transport.send(letter({ to: ["a@example.net", "b@example.net"] }));
    expect(one).toMatchObject({ successful: true, rejectedRecipients: [{ code: 552, retryable: false }] });
    const before = await transport.send(letter({ to: ["a@example.net"] }));
    expect(before).toMatchObject({ successful: false, retryable: true });
  });

  it("tells that a message has no recipient", async () => {
    const { transport } = faked();
    const nobody = await transport.send(letter({ to: [] }));
    expect(nobody).toMatchObject({
      retryable: false,
      errors: [{ category: "validation", message: expect.stringMatching(/recipient/) }],
    });
  });
});

function temporary(code: string): Expected {
  return { category: "service-unavailable", code, retryable: true, delivery: "rejected" };
}

function permanent(code: string): Expected {
  return { category: "rejected", code, retryable: false, delivery: "rejected" };
}

/** Retries as Upyo's RetryTransport decides by a receipt. */
async function retried(transport: Transport, attempts: number): Promise<Receipt> {
  const message = letter({ idempotencyKey: "note-g" });
  for (let attempt = 1; ; attempt++) {
    const receipt = await transport.send(message);
    if (receipt.successful || attempt === attempts) return { ...receipt, attempts: attempt };
    if (!(receipt.retryable ?? receipt.errors?.some(({ retryable }) => retryable)))
      return { ...receipt, attempts: attempt };
  }
}

describe("Upyo's RetryTransport", () => {
  it("sends again what was refused for now, with the same Message-ID", async () => {
    const { server, transport } = faked({ on: { ".": ["451 4.3.0 later", "451 4.3.0 later", "250 2.0.0 ok"] } });
    expect(await retried(transport, 5)).toMatchObject({ successful: true, attempts: 3, provider: "smtplib" });
    const ids = server.messages.map((content) => /^Message-ID: (.*)$/im.exec(content)?.[1]);
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
  });

  it("does not send again what may have been taken, nor what was refused for ever", async () => {
    const unknown = faked({ on: { ".": "close" } });
    expect(await retried(unknown.transport, 5)).toMatchObject({ successful: false, attempts: 1 });
    expect(unknown.server.messages).toHaveLength(1);
    const refused = faked({ on: { RCPT: "550 5.1.1 no" } });
    expect(await retried(refused.transport, 5)).toMatchObject({ successful: false, attempts: 1 });
  });
});

describe("Upyo's PoolTransport", () => {
  it("takes the next transport for what one of them cannot send, and keeps the errors", async () => {
    const refusing = faked({ on: { MAIL: "451 4.7.1 later" } });
    const taking = faked();
    const transports = [refusing, taking].map(({ transport }, index) => ({ transport, priority: 2 - index }));
    const pool = new PoolTransport({ strategy: "priority", transports });
    expect(await pool.send(letter())).toMatchObject({ successful: true, provider: "smtplib" });
    expect(taking.server.messages).toHaveLength(1);

    const hopeless = new PoolTransport({ strategy: "round-robin", transports: [{ transport: refusing.transport }] });
    const [receipt] = await collectedOf(hopeless.sendMany([letter()]));
    expect(receipt).toMatchObject({
      ...{ successful: false, retryable: true, provider: "pool" },
      errors: [{ code: "smtp.451", category: "service-unavailable", provider: "smtplib" }],
    });
    await pool[Symbol.asyncDispose]();
    expect(taking.server.lines.at(-1)).toBe("QUIT");
  });

  it("knows its own timeout, and the caller's abort", async () => {
    const silent = faked({ on: { MAIL: () => undefined } });
    const pool = new PoolTransport({
      strategy: "round-robin",
      transports: [{ transport: silent.transport }],
      timeout: 50,
    });
    expect(await pool.send(letter())).toMatchObject({ successful: false, errors: [{ category: "timeout" }] });
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const sent = pool.send(letter(), { signal: controller.signal });
    controller.abort(reason);
    await expect(sent).rejects.toBe(reason);
  });
});

async function collectedOf(receipts: AsyncIterable<Receipt>): Promise<Receipt[]> {
  const all: Receipt[] = [];
  for await (const receipt of receipts) all.push(receipt);
  return all;
}

describe("verify", () => {
  it("tells whether mail could be sent, without sending any", async () => {
    const { server, transport } = faked();
    await transport.verify();
    expect(server.lines.filter((line) => line.startsWith("MAIL"))).toEqual([]);
    const refusing = faked({ greeting: "554 no" });
    await expect(refusing.transport.verify()).rejects.toThrow(SMTPConnectError);
    const reason = new Error("enough");
    await expect(transport.verify({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("errors of a whole batch", () => {
  it("are in the receipt of each message", async () => {
    const { transport } = faked(
      { ehlo: ["AUTH PLAIN"], on: { AUTH: "535 5.7.8 no" } },
      { auth: { user: "user", password: "secret" }, allowInsecureAuth: true, starttls: "never", maxConnections: 1 },
    );
    const receipts: SmtplibReceipt[] = await collected(transport.sendMany([letter(), letter(), letter()]));
    expect(receipts).toMatchObject(
      Array.from({ length: 3 }, () => ({ successful: false, errors: [{ category: "auth" }] })),
    );
  });

  it("have the same fields as Upyo's own make them", () => {
    const own = createFailedReceipt("no", {
      provider: "smtplib",
      code: "smtp.550",
      category: "rejected",
      attempts: 1,
      providerDetails: {},
    });
    const { error: _, ...made } = failedReceipt(new SMTPDataError(550, "no", { delivery: "rejected" }));
    expect(Object.keys(made).sort()).toEqual(Object.keys(own).sort());
    expect(Object.keys(made.errors[0] ?? {}).sort()).toEqual(Object.keys(own.errors?.[0] ?? {}).sort());
  });
});

describe("the constructor", () => {
  it("leaves no connection behind when it is closed at once", async () => {
    const transport = closed(new SmtplibTransport({ host: "mail.example.com" }));
    await transport[Symbol.asyncDispose]();
    await transport[Symbol.asyncDispose]();
  });
});
