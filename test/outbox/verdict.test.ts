/** retryOf(): the queue's action for a message after an attempt, from the exception or the delivery. */
import { describe, expect, it } from "vitest";
import { makeReply } from "../../src/core/reply.ts";
import {
  type Delivery,
  SMTPAuthenticationError,
  SMTPConnectError,
  SMTPDataError,
  SMTPException,
  SMTPNotSupportedError,
  SMTPPool,
  SMTPRecipientsRefused,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  TlsError,
} from "../../src/index.ts";
import { retryOf } from "../../src/outbox/index.ts";
import { startServer } from "../../src/testing/index.ts";
import { failureOf } from "../servers/failure.ts";

const policy = { jitter: 0 };
const reply = (code: number, text = "") => makeReply(code, [text]);
const refusing = (refused: Record<string, number>): Delivery["refused"] =>
  Object.fromEntries(Object.entries(refused).map(([address, code]) => [address, reply(code)]));
const delivery = (refused: Record<string, number>): Delivery => ({
  accepted: ["a@example.net"],
  refused: refusing(refused),
  reply: reply(250),
  replies: [],
});

describe("retryOf", () => {
  it("is done with a delivery that left nobody out", () => {
    expect(retryOf(delivery({}), 1, policy)).toEqual({
      ...{ action: "done", after: 0, recipients: [], refused: {}, slowDown: 0 },
    });
  });

  it("tries only the recipients again that were put off, and names those that are refused for good", () => {
    const verdict = retryOf(delivery({ "b@example.net": 450, "c@example.net": 550, "d@example.net": 552 }), 2, policy);
    expect(verdict).toMatchObject({ action: "retry", after: 600, recipients: ["b@example.net", "d@example.net"] });
    expect(Object.keys(verdict.refused)).toEqual(["c@example.net"]);
  });

  it.each(["", "4.5.3 too many recipients"])(
    "goes on at once with recipients for whom the server had no room (452 %s), however many attempts there were",
    (text) => {
      const refused = { "b@example.net": reply(452, text), "c@example.net": reply(550) };
      expect(retryOf({ ...delivery({}), refused }, 40, policy)).toMatchObject({
        ...{ action: "retry", after: 0, recipients: ["b@example.net"], slowDown: 0 },
      });
    },
  );

  it("leaves a full mailbox, and a server that takes nobody, alone for a while", () => {
    const full = { ...delivery({}), refused: { "b@example.net": reply(452, "4.2.2 mailbox full") } };
    // One mailbox must not stop the mail of all others.
    expect(retryOf(full, 1, policy)).toMatchObject({ action: "retry", after: 300, slowDown: 0 });
    const nobody = new SMTPRecipientsRefused({ "b@example.net": reply(452, "4.5.3 too many recipients") });
    expect(retryOf(nobody, 1, policy)).toMatchObject({ action: "retry", after: 300, slowDown: 0 });
    const disk = new SMTPRecipientsRefused({ "b@example.net": reply(452, "4.3.1 no space") });
    expect(retryOf(disk, 1, policy).slowDown).toBe(30);
  });

  it("is done with a delivery whose others are refused for good", () => {
    expect(retryOf(delivery({ "c@example.net": 550 }), 1, policy)).toMatchObject({ action: "done" });
  });

  it("waits a short while for what looks like greylisting, and the usual while the second time", () => {
    const error = new SMTPRecipientsRefused(refusing({ "b@example.net": 451 }));
    expect(retryOf(error, 1, policy)).toMatchObject({ action: "retry", after: 60, recipients: ["b@example.net"] });
    expect(retryOf(error, 2, policy).after).toBe(600);
  });

  it("doubles the delay up to the longest, and gives up after the last attempt", () => {
    const error = new SMTPDataError(451, "later", { delivery: "rejected" });
    expect([1, 2, 3, 10, 39].map((attempt) => retryOf(error, attempt, policy).after)).toEqual([
      ...[300, 600, 1200, 14_400, 14_400],
    ]);
    expect(retryOf(error, 40, policy).action).toBe("give-up");
  });

  it("has a delay for any number of attempts", () => {
    const error = new SMTPDataError(451, "later", { delivery: "rejected" });
    expect(retryOf(error, 2000, { ...policy, first: 0, attempts: Number.POSITIVE_INFINITY }).after).toBe(0);
    expect(retryOf(error, 2000, { ...policy, attempts: Number.POSITIVE_INFINITY }).after).toBe(14_400);
  });

  it("spreads delays by chance, as much as the policy says", () => {
    const error = new SMTPDataError(451, "later");
    const delays = [0, 0.5, 1].map((chance) => retryOf(error, 1, { jitter: 0.5, random: () => chance }).after);
    expect(delays).toEqual([150, 300, 450]);
  });

  it("gives up what is refused for good", () => {
    expect(retryOf(new SMTPDataError(554, "no"), 1, policy).action).toBe("give-up");
    expect(retryOf(new SMTPNotSupportedError("no SMTPUTF8", { delivery: "not-sent" }), 1, policy).action).toBe(
      "give-up",
    );
    expect(retryOf(new TypeError("from must be a string"), 1, policy).action).toBe("give-up");
    expect(retryOf(new SMTPRecipientsRefused(refusing({ "b@example.net": 550 })), 1, policy)).toMatchObject({
      action: "give-up",
      recipients: [],
    });
  });

  it("tries again what is about the sender's set-up, and leaves the destination alone meanwhile", () => {
    const refusedTls = new SMTPException("TLS failed", { cause: new TlsError("expired", "expired") });
    for (const error of [new SMTPAuthenticationError(535, "no"), new SMTPConnectError(554, "no"), refusedTls]) {
      const verdict = retryOf(error, 1, policy);
      expect(verdict).toMatchObject({ action: "retry" });
      expect(verdict.slowDown).toBeGreaterThan(0);
    }
  });

  it.each([421, 432, 452])("slows down a destination that says %i", (code) => {
    expect(retryOf(new SMTPDataError(code, "busy"), 1, policy)).toMatchObject({ action: "retry", slowDown: 30 });
  });

  it("slows down no longer for a message that was tried often: other messages would wait for it", () => {
    const busy = new SMTPRecipientsRefused({ "b@example.net": reply(421, "4.7.0 try again later") });
    for (const error of [busy, new SMTPConnectError(421, "later"), new SMTPDataError(452, "4.3.1 no space")]) {
      expect([1, 7, 20].map((attempt) => retryOf(error, attempt, policy).slowDown)).toEqual([30, 30, 30]);
    }
  });

  it("slows nothing down for 450 or a lost connection", () => {
    expect(retryOf(new SMTPDataError(450, "busy"), 1, policy).slowDown).toBe(0);
    expect(retryOf(new SMTPServerDisconnected("gone", { delivery: "not-sent" }), 1, policy)).toMatchObject({
      ...{ action: "retry", slowDown: 0 },
    });
  });

  it.each([
    { unknown: undefined, action: "hold", after: 0 },
    { unknown: "hold", action: "hold", after: 0 },
    { unknown: "ask", action: "ask", after: 0 },
    { unknown: "retry", action: "retry", after: 300 },
  ] as const)("follows the policy $unknown where nobody knows", ({ unknown, action, after }) => {
    const error = new SMTPServerDisconnected("gone", { delivery: "unknown" });
    expect(retryOf(error, 1, { ...policy, unknown })).toMatchObject({ action, after });
  });

  it("tries again when the body's source failed, and when something unforeseen did", () => {
    const source = (cause: unknown) => new SMTPException("the source failed", { cause, delivery: "not-sent" });
    expect(retryOf(source(new Error("the bucket is away")), 1, policy).action).toBe("retry");
    expect(retryOf(source(new RangeError("a hidden end")), 1, policy).action).toBe("give-up");
    expect(retryOf(new Error("no token"), 1, policy).action).toBe("retry");
    expect(retryOf("thrown text", 1, policy).action).toBe("retry");
  });

  it("knows exceptions of another copy of the package by their fields", () => {
    const foreign = {
      name: "SMTPDataError",
      temporary: true,
      smtp_code: 451,
      smtp_error: "later",
      delivery: "rejected",
    };
    expect(retryOf(foreign, 1, policy)).toMatchObject({ action: "retry", after: 300 });
  });

  it("refuses wrong arguments by their names", () => {
    expect(() => retryOf(new Error(), 0)).toThrow("attempt");
    expect(() => retryOf(new Error(), 1.5)).toThrow("attempt");
    expect(() => retryOf(new Error(), 1, { jitter: 2 })).toThrow("policy.jitter");
    expect(() => retryOf(new Error(), 1, { first: -1 })).toThrow("policy.first");
    expect(() => Reflect.apply(retryOf, undefined, [new Error(), 1, { unknown: "guess" }])).toThrow("policy.unknown");
    expect(() => Reflect.apply(retryOf, undefined, [new Error(), 1, { random: 0.5 }])).toThrow("policy.random");
  });

  it("tries again what failed since the server wants credentials first", () => {
    const refused = new SMTPSenderRefused(530, "5.7.0 authentication required", "ada@example.com");
    expect(retryOf(refused, 1, policy)).toMatchObject({ action: "retry", slowDown: 30 });
  });

  it("tries again what failed since there was no token", async () => {
    const server = startServer({ extensions: ["AUTH XOAUTH2"] });
    const token = async () => {
      throw new TypeError("fetch failed");
    };
    const more = { allowInsecureAuth: true, starttls: "never", reconnectFor: 0 } as const;
    await using pool = new SMTPPool({ transport: server.transport, host: "mx", auth: { user: "ada", token }, ...more });
    const error = await failureOf(pool.sendmail("ada@example.com", "charles@example.net", "Hi!\r\n"));
    expect(String(error)).toContain("the token function failed");
    expect(retryOf(error, 1, policy).action).toBe("retry");
    await server.close();
  });

  it("tries again what failed by a TypeError that is about no argument", () => {
    const offline = new TypeError("fetch failed", { cause: new Error("getaddrinfo ENOTFOUND") });
    expect(retryOf(offline, 1, policy).action).toBe("retry");
  });
});
