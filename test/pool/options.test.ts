/** What a pool can be told, and what it makes of URLs. */
import { describe, expect, it } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import { poolSettings } from "../../src/pool/options.ts";
import { optionsOfUrl } from "../../src/pool/url.ts";

const HOST = { host: "mail.example.com" };
const AUTH = { user: "u", password: "p" };

describe("a connection URL", () => {
  it.each([
    ["smtp://mail.example.com", { host: "mail.example.com" }],
    ["smtp://mail.example.com:2525", { host: "mail.example.com", port: 2525 }],
    ["smtps://mail.example.com", { secure: true, host: "mail.example.com" }],
    ["lmtp://mail.example.com:24", { protocol: "lmtp", host: "mail.example.com", port: 24 }],
    ["lmtp:///run/dovecot/lmtp", { protocol: "lmtp", host: "/run/dovecot/lmtp" }],
    ["lmtp://%2Frun%2Fdovecot%2Flmtp", { protocol: "lmtp", host: "/run/dovecot/lmtp" }],
    ["smtp://[2001:db8::1]:587", { host: "[2001:db8::1]", port: 587 }],
    ["smtp://us%40er:p%2Fss%3A%20w@h", { host: "h", auth: { user: "us@er", password: "p/ss: w" } }],
    ["smtp://h/our.name", { host: "h", local_hostname: "our.name" }],
    ["smtp://h?name=our.name", { host: "h", local_hostname: "our.name" }],
    ["smtp://h?tls=required", { host: "h", starttls: "required" }],
    ["smtp://h?starttls=never&maxConnections=3", { host: "h", starttls: "never", maxConnections: 3 }],
  ])("%s", (url, options) => {
    expect(optionsOfUrl(url)).toEqual(options);
    expect(() => poolSettings(url, {})).not.toThrow();
  });

  it.each([
    ["http://h", TypeError],
    ["mail.example.com", TypeError],
    ["smtp://user:p%zz@h", TypeError],
    ["smtp://user:secret word@h:port", TypeError],
    ["smtp://h?tls=maybe", RangeError],
    ["smtp://h?constructor=1", RangeError],
    ["smtp://h?password=secret", RangeError],
    ["smtp://h?maxConnections=", RangeError],
    ["smtp://", RangeError],
    ["smtp://h%0d%0aRSET", RangeError],
  ])("refuses %s, and shows no password", (url, type) => {
    const make = (): unknown => poolSettings(url, {});
    expect(make).toThrow(type);
    expect(make).not.toThrow(/secret/);
  });

  it("counts less than the options beside it", () => {
    expect(poolSettings("smtp://h:25?maxConnections=3", { port: 26 })).toMatchObject({
      endpoint: { host: "h", port: 26 },
      maxConnections: 3,
    });
  });
});

describe("the defaults", () => {
  it.each([
    [{}, { endpoint: { host: "mail.example.com", port: 25 }, starttls: "opportunistic" }],
    [{ auth: AUTH }, { endpoint: { host: "mail.example.com", port: 587 }, starttls: "required" }],
    [{ secure: true }, { endpoint: { host: "mail.example.com", port: 465 } }],
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
