/** The options: errors for nodemailer's own names contain ours, and invalid options have nodemailer's code. */
import { describe, expect, it } from "vitest";
import type { PoolOptions } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";

const HOST = { host: "mail.example.com" };
const LOGIN = { user: "user", password: "password" };

/** The options of a user who knows nodemailer -> the hint in the error. */
const WRITTEN: readonly (readonly [options: object, hint: string])[] = [
  [{ pool: true }, "pool: it is always a pool"],
  [{ url: "smtp://mail.example.com" }, "url: the URL is the first argument"],
  [{ service: "gmail" }, "service: the options are host and port"],
  [{ lmtp: true }, 'lmtp: the option is protocol: "lmtp"'],
  [{ name: "client.example.com" }, "name: the option is local_hostname"],
  [{ localAddress: "192.0.2.1" }, "localAddress: the option is source_address"],
  [{ ignoreTLS: true }, 'ignoreTLS: the option is starttls: "never"'],
  [{ requireTLS: true }, 'requireTLS: the option is starttls: "required"'],
  [{ opportunisticTLS: true }, 'opportunisticTLS: the option is starttls: "opportunistic"'],
  [{ tls: { rejectUnauthorized: false } }, "tls: the option is context"],
  [{ auth: { user: "user", pass: "s3cret" } }, "auth.pass: the option is auth.password"],
  [{ auth: { type: "OAuth2", user: "user", accessToken: "s3cret" } }, "auth.type:"],
  [{ auth: { user: "user", accessToken: "s3cret" } }, "auth.accessToken: the option is auth.token"],
  [{ auth: { user: "user", clientId: "x", clientSecret: "s3cret" } }, "auth.clientId: the option is auth.token"],
  [{ auth: { ...LOGIN, method: "PLAIN" } }, "auth.method: the option is auth.mechanisms"],
  [{ authMethod: "PLAIN" }, "authMethod: the option is auth.mechanisms"],
  [{ connectionTimeout: 5000 }, "connectionTimeout: the option is timeouts.connect, in seconds"],
  [{ greetingTimeout: 5000 }, "greetingTimeout: the option is timeouts.greeting, in seconds"],
  [{ socketTimeout: 5000 }, "socketTimeout: the option is timeout, in seconds"],
  [{ rateLimit: 5 }, "rateLimit: the option is rateLimit: { messages, seconds }"],
  [{ rateDelta: 1000 }, "rateDelta: the option is rateLimit: { messages, seconds }"],
  [{ maxRequeues: 3 }, "maxRequeues:"],
  [{ logger: true }, "logger: the option is logger, an object with debug"],
  [{ debug: true }, "debug: the option is logger"],
  [{ proxy: "http://proxy.example.com" }, "proxy: the option is transport"],
  [{ dkim: {} }, "dkim: give it with the mail, or in the second argument of createTransport()"],
];

function errorOf(...given: Parameters<typeof smtplib>): unknown {
  try {
    smtplib(...given);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("an option that nodemailer calls otherwise", () => {
  it.each(WRITTEN)("leads to ours: %j", (written, hint) => {
    const options: PoolOptions = { ...HOST, ...written };
    const code = hint.startsWith("auth.") ? "EAUTH" : expect.stringMatching(/^E(CONFIG|AUTH)$/);
    for (const error of [errorOf(options), errorOf("smtp://mail.example.com", { ...written })]) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ code, command: "API", message: expect.stringContaining(hint) });
      expect(String(error)).not.toContain("s3cret");
    }
  });
});

describe("an error of the options has nodemailer's code", () => {
  it.each<[string, object, string]>([
    ["a user without a password", { auth: { user: "user" } }, "EAUTH"],
    ["a password without a user", { auth: { password: "password" } }, "EAUTH"],
    ["a number of connections that cannot be", { maxConnections: -1 }, "ECONFIG"],
    ["an option that nobody has", { colour: "red" }, "ECONFIG"],
  ])("%s", (_, options, code) => {
    expect(errorOf({ ...HOST, ...options })).toMatchObject({ code, command: "API" });
  });

  it("a connection URL that is none", () => {
    expect(errorOf("http://mail.example.com")).toMatchObject({ code: "ECONFIG", command: "API" });
  });
});
