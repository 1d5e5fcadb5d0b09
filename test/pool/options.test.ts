/** The options of a pool, and the defaults. */
import { describe, expect, it } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import { poolSettings } from "../../src/pool/options.ts";

const HOST = { host: "mail.example.com" };
const AUTH = { user: "u", password: "p" };

describe("the defaults", () => {
  it.each([
    [{}, { endpoint: { host: "mail.example.com", port: 25 }, starttls: "opportunistic" }],
    [{ auth: AUTH }, { endpoint: { host: "mail.example.com", port: 587 }, starttls: "required" }],
    [{ secure: true }, { endpoint: { host: "mail.example.com", port: 465 } }],
    [{ port: 465 }, { endpoint: { host: "mail.example.com", port: 465 }, secure: true }],
    [{ host: "mail.example.com:465" }, { endpoint: { host: "mail.example.com", port: 465 }, secure: true }],
    [
      { port: 465, auth: AUTH },
      { secure: true, starttls: "required" },
    ],
    [{ port: 465, secure: false }, { secure: false }],
    [
      { host: "mail.example.com:465", secure: false, auth: AUTH },
      { secure: false, starttls: "required" },
    ],
    [{ port: 465, secure: undefined }, { secure: true }],
    [{ port: 465, protocol: "lmtp" }, { secure: false }],
    [{}, { reconnectFor: 30_000 }],
    [{ reconnectFor: 0 }, { reconnectFor: 0 }],
    [{ reconnectFor: 0.5 }, { reconnectFor: 500 }],
    [{ protocol: "lmtp" }, { endpoint: { host: "mail.example.com", port: 2003 } }],
    [{ host: "mail.example.com:26" }, { endpoint: { host: "mail.example.com", port: 26 } }],
    [
      { host: "/run/smtp", auth: AUTH },
      { endpoint: { path: "/run/smtp" }, starttls: "never" },
    ],
  ])("%j", (options, settings) => {
    expect(poolSettings({ ...HOST, ...options }, undefined)).toMatchObject(settings);
  });
});

describe("the checks", () => {
  it.each<[string, unknown, new (...args: never[]) => Error]>([
    ["host is missing", {}, TypeError],
    ["host is empty", { host: "" }, RangeError],
    ["host has a line break", { host: "a\r\nb" }, RangeError],
    ["port", { ...HOST, port: 65_536 }, RangeError],
    ["protocol", { ...HOST, protocol: "http" }, RangeError],
    ["secure", { ...HOST, secure: 1 }, TypeError],
    ["starttls", { ...HOST, starttls: true }, RangeError],
    ["maxConnections", { ...HOST, maxConnections: 0 }, RangeError],
    ["maxMessages", { ...HOST, maxMessages: 1.5 }, RangeError],
    ["maxQueue", { ...HOST, maxQueue: 0 }, RangeError],
    ["idleTimeout", { ...HOST, idleTimeout: 0 }, RangeError],
    ["reconnectFor", { ...HOST, reconnectFor: -1 }, RangeError],
    ["reconnectFor without end", { ...HOST, reconnectFor: Number.POSITIVE_INFINITY }, RangeError],
    ["reconnectFor as text", { ...HOST, reconnectFor: "30" }, TypeError],
    ["maxLifetime", { ...HOST, maxLifetime: "1" }, TypeError],
    ["rateLimit", { ...HOST, rateLimit: 5 }, TypeError],
    ["rateLimit.seconds is missing", { ...HOST, rateLimit: { messages: 5 } }, TypeError],
    ["rateLimit.messages", { ...HOST, rateLimit: { messages: 0, seconds: 1 } }, RangeError],
    ["rateLimit has an unknown part", { ...HOST, rateLimit: { messages: 1, seconds: 1, per: 1 } }, TypeError],
    ["auth", { ...HOST, auth: "user" }, TypeError],
    ["auth without a secret", { ...HOST, auth: { user: "u" } }, TypeError],
    ["auth with two", { ...HOST, auth: { ...AUTH, token: "t" } }, TypeError],
    ["auth.token", { ...HOST, auth: { user: "u", token: 1 } }, TypeError],
    ["auth.mechanisms", { ...HOST, auth: { ...AUTH, mechanisms: "PLAIN" } }, TypeError],
    ["auth.mechanisms", { ...HOST, auth: { ...AUTH, mechanisms: ["PLAIN", "FOO"] } }, RangeError],
    ["auth.user", { ...HOST, auth: { ...AUTH, user: "a\n" } }, RangeError],
    ["auth.user", { ...HOST, auth: { user: "a\0", token: "t" } }, TypeError],
    ["auth.password", { ...HOST, auth: { ...AUTH, password: "x\0" } }, TypeError],
    ["auth.password", { ...HOST, auth: { ...AUTH, password: "x\r\n" } }, RangeError],
    ["auth.authzid", { ...HOST, auth: { ...AUTH, authzid: "x\0" } }, TypeError],
    ["auth.token", { ...HOST, auth: { user: "u", token: "" } }, TypeError],
    ["auth.token", { ...HOST, auth: { user: "u", token: "a b" } }, TypeError],
    ["auth has an unknown part", { ...HOST, auth: { ...AUTH, pass: "p" } }, TypeError],
    ["an unknown option", { ...HOST, pool: true }, TypeError],
    ["an option of SMTP", { ...HOST, timeout: -1 }, RangeError],
    ["context", { ...HOST, context: { verify: false } }, TypeError],
    ["TLS on a Unix socket without a name", { host: "/run/smtp", secure: true }, TypeError],
  ])("refuse: %s", (_, options, type) => {
    expect(() => poolSettings(options, undefined)).toThrow(type);
  });

  it("are the constructor's: it throws", () => {
    expect(() => new SMTPPool({ host: "" })).toThrow(RangeError);
  });

  it("look at the options as they were given", async () => {
    const options = { host: "mail.example.com", rateLimit: { messages: 1, seconds: 1 } };
    const pool = new SMTPPool(options);
    options.host = "";
    options.rateLimit.messages = 0;
    await pool.ready();
    await pool.close();
  });
});
