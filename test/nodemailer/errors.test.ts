/** Errors of smtplib/nodemailer that have more fields than nodemailer's; same-faults.test.ts compares the others. */
import { createTransport, type SendMailOptions } from "nodemailer";
import { afterEach, describe, expect, it } from "vitest";
import { SMTPDataError, SMTPException, TlsError } from "../../src/index.ts";
import type { Mail } from "../../src/nodemailer/mail.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { TRIED_ONCE } from "./tried-once.ts";

const MAIL: SendMailOptions = { from: "ada@example.com", to: "charles@example.net", subject: "Hello", text: "Hi!" };

let server: EmbeddedServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

describe("an error", () => {
  async function errorFrom(
    script: Script,
    options: Partial<Parameters<typeof smtplib>[0] & object> = {},
    mail: SendMailOptions = {},
  ): Promise<unknown> {
    const { transport } = new FakeServer(script);
    const transporter = createTransport(
      smtplib({ host: "mail.example.com", transport, starttls: "never", ...TRIED_ONCE, ...options }),
    );
    const error = await transporter.sendMail({ ...MAIL, ...mail }).catch((reason: unknown) => reason);
    await transporter.close({ force: true });
    return error;
  }

  it("is an SMTPException as well, which says whether the message went out", async () => {
    const error = await errorFrom({ on: { ".": "554 5.7.1 spam" } });
    expect(error).toBeInstanceOf(SMTPDataError);
    expect(error).toMatchObject({
      code: "EMESSAGE",
      delivery: "rejected",
      temporary: false,
      response: "554 5.7.1 spam",
    });
    const lost = await errorFrom({ on: { ".": "close" } });
    expect(lost).toBeInstanceOf(SMTPException);
    expect(lost).toMatchObject({ code: "ECONNECTION", command: "CONN", delivery: "unknown" });
  });

  it.each<[string, Script, object, object]>([
    ["greets with a refusal", { greeting: "554 5.3.2 closed" }, {}, { code: "EPROTOCOL", responseCode: 554 }],
    ["does not greet as a mail server", { greeting: "SSH-2.0-OpenSSH" }, {}, { code: "EPROTOCOL", command: "CONN" }],
    ["refuses EHLO and HELO", { on: { EHLO: "502 no", HELO: "550 no" } }, {}, { code: "EPROTOCOL", command: "HELO" }],
    ["has no STARTTLS", {}, { starttls: "required" }, { code: "ETLS", command: "STARTTLS" }],
    [
      "refuses STARTTLS",
      { ehlo: ["STARTTLS"], on: { STARTTLS: "454 no" } },
      { starttls: "required" },
      { code: "ETLS" },
    ],
    ["has no AUTH", {}, { auth: { user: "u", password: "p" } }, { code: "EAUTH", command: "API" }],
    [
      "would have the password in clear",
      { ehlo: ["AUTH PLAIN"] },
      { auth: { user: "u", password: "p" } },
      { code: expect.stringMatching(/^E(AUTH|TLS)$/) },
    ],
  ])("of a server that %s has nodemailer's code", async (_, script, options, fields) => {
    expect(await errorFrom(script, options)).toMatchObject(fields);
  });

  it.each<[string, SendMailOptions, object]>([
    ["needs REQUIRETLS", { requireTLSExtensionEnabled: true }, { code: "EREQUIRETLS", command: "MAIL FROM" }],
    ["has octets over 127 for a server of seven bits", { raw: "Grüße" }, { code: "EMESSAGE", command: "MAIL FROM" }],
    ["has no recipient at all", { envelope: { from: "a@b" } }, { code: "EENVELOPE", command: "API" }],
    ["wants reports that there are not", { dsn: { notify: "always" } }, { code: "EENVELOPE", message: /DSN notify/ }],
  ])("of a mail that %s has nodemailer's code", async (_, mail, { message, ...fields }: { message?: RegExp }) => {
    const error = await errorFrom({}, {}, mail);
    expect(error).toMatchObject({ ...fields, ...(message && { message: expect.stringMatching(message) }) });
  });

  it("of a reply of many lines has each with its code", async () => {
    const error = await errorFrom({ on: { MAIL: "550-5.7.1 not you\r\n550 5.7.1 ask the postmaster" } });
    expect(error).toMatchObject({ response: "550-5.7.1 not you\n550 5.7.1 ask the postmaster", responseCode: 550 });
  });

  it("of LMTP is of the message, for each recipient", async () => {
    const error = await errorFrom({ on: { ".": "550 5.2.1 disabled" } }, { protocol: "lmtp" });
    const fields = { code: "EMESSAGE", command: "DATA", responseCode: 550 };
    expect(error).toMatchObject({ ...fields, rejected: ["charles@example.net"] });
    expect(error).toMatchObject({
      rejectedErrors: [
        {
          ...fields,
          recipient: "charles@example.net",
          message: "Message failed for recipient charles@example.net: 550 5.2.1 disabled",
        },
      ],
    });
  });

  it.each<[string, unknown, object]>([
    [
      "a name that there is not",
      Object.assign(new Error("who?"), { code: "ENOTFOUND" }),
      { code: "EDNS", originalCode: "ENOTFOUND" },
    ],
    ["a failure without a code", new Error("no route"), { code: "ESOCKET" }],
    ["TLS with the proxy", new TlsError("issuer", "no trust"), { code: "ESOCKET" }],
  ])("of a connection that fails by %s is told as nodemailer does", async (_, reason, fields) => {
    const error = await errorFrom({}, { transport: () => Promise.reject(reason) });
    expect(error).toMatchObject({ command: "CONN", ...fields });
  });

  it("of a pool where as many wait as may is EMAXLIMIT, and nothing was sent", async () => {
    const { transport } = new FakeServer({ on: { MAIL: () => undefined } });
    const transporter = createTransport(
      smtplib({
        host: "mail.example.com",
        transport,
        starttls: "never",
        maxConnections: 1,
        maxQueue: 1,
      }),
    );
    const outcomes = [1, 2, 3].map(() => transporter.sendMail(MAIL).catch((reason: unknown) => reason));
    expect(await Promise.race(outcomes)).toMatchObject({ code: "EMAXLIMIT", command: "API", delivery: "not-sent" });
    await transporter.close({ force: true });
    await Promise.all(outcomes);
  });

  it.each([
    [{ from: "ada@exa\nmple.com", to: ["charles@example.net"] }, "its sender cannot be"],
    [{ from: "ada@example.com" }, "nobody is to get it"],
    [{ from: "ada@example.com", to: [null] }, "a recipient is nobody"],
  ])("of an envelope, %j, is EENVELOPE: %s", async (envelope: object, _) => {
    const { transport } = new FakeServer();
    const pool = smtplib({ host: "mail.example.com", transport, starttls: "never" });
    const mail = mailOf(async () => ({ done: true, value: undefined }), envelope);
    const error = await new Promise((resolve) => pool.send(mail, resolve));
    expect(error).toMatchObject({ code: "EENVELOPE", command: "API" });
    await pool.close();
  });

  it("of a source that fails without a word is ESTREAM all the same", async () => {
    for (const reason of [undefined, "gone", new Error("gone")]) {
      const { transport } = new FakeServer();
      const pool = smtplib({ host: "mail.example.com", transport, starttls: "never" });
      const error = await new Promise((resolve) => {
        pool.send(
          mailOf(() => Promise.reject(reason)),
          resolve,
        );
      });
      expect(error).toMatchObject({ code: "ESTREAM", command: "API" });
      expect(error).not.toHaveProperty("originalCode");
      await pool.close();
    }
  });

  it("of a line that begins with NUL and a dot is one of the message", async () => {
    const error = await errorFrom({}, {}, { raw: "Subject: x\r\n\r\n\0.\r\n" });
    expect(error).toMatchObject({ code: "EMESSAGE", command: "DATA", message: expect.stringMatching(/NUL/) });
  });

  it("of a server that does not answer tells which wait it was", async () => {
    const silent = { transport: () => new Promise<never>(() => {}), timeouts: { connect: 0.05 } };
    expect(await errorFrom({}, silent)).toMatchObject({ code: "ETIMEDOUT", timeoutType: "CONNECT_TIMEOUT" });
    const mute = await errorFrom({ on: { MAIL: () => undefined } }, { timeouts: { envelope: 0.05 } });
    expect(mute).toMatchObject({ code: "ETIMEDOUT", timeoutType: "SOCKET_TIMEOUT" });
  });

  it.each([
    Object.assign(new Error("getaddrinfo ENOTFOUND mail.example.com"), { code: "ENOTFOUND" }),
    new Error("failed to lookup address information: Name or service not known"),
  ])("of a name that nobody knows is EDNS, in each runtime's words: %s", async (unknown) => {
    const error = await errorFrom({}, { transport: () => Promise.reject(unknown) });
    expect(error).toMatchObject({ code: "EDNS", command: "CONN", delivery: "not-sent" });
  });

  it("of a certificate that nobody trusts has nodemailer's code, and is not temporary", async () => {
    server = await startEmbeddedServer();
    const transporter = createTransport(smtplib({ host: "localhost", port: server.port, starttls: "required" }));
    const fields = { code: "ESOCKET", command: "CONN", temporary: false };
    await expect(transporter.sendMail(MAIL)).rejects.toMatchObject(fields);
    await transporter.close();
  });

  it("of a login where several mechanisms were tried names the one that the reply belongs to", async () => {
    server = await startEmbeddedServer({ tls: "none", auth: { user: "user", password: "password" } });
    const auth = { user: "user", password: "wrong" };
    const options = { host: "127.0.0.1", port: server.port, starttls: "never", auth } as const;
    const transporter = createTransport(smtplib(options));
    const command: unknown = expect.stringMatching(/^AUTH (CRAM-MD5|PLAIN|LOGIN)$/);
    await expect(transporter.sendMail(MAIL)).rejects.toMatchObject({ code: "EAUTH", command, responseCode: 535 });
    await transporter.close();
  });

  it.each<[string, () => never, unknown]>([
    ["TypeError", fails(new TypeError("fetch failed")), TypeError],
    ["RangeError", fails(new RangeError("no")), RangeError],
    ["Error", fails(new Error("no")), Error],
    ["value that is no error", fails("no"), SMTPException],
  ])("of a token function that throws a %s is EAUTH, by sendMail() and by verify()", async (_, token, kind) => {
    const { transport } = new FakeServer({ ehlo: ["AUTH XOAUTH2"] });
    const auth = { user: "user", token: async () => token() };
    const options = { host: "mail.example.com", transport, starttls: "never", allowInsecureAuth: true, auth } as const;
    const transporter = createTransport(smtplib(options));
    const errors = [await rejectionOf(transporter.sendMail(MAIL)), await rejectionOf(transporter.verify())];
    for (const error of errors) {
      expect(error).toMatchObject({ code: "EAUTH", command: "API" });
      expect([error, Reflect.get(Object(error), "cause")]).toContainEqual(expect.any(kind));
    }
    await transporter.close();
  });
});

function fails(reason: unknown): () => never {
  return () => {
    throw reason;
  };
}

function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** A mail as nodemailer passes it, with a content that this function reads. */
function mailOf(
  read: () => Promise<IteratorResult<Uint8Array>>,
  envelope: object = { from: "ada@example.com", to: ["charles@example.net"] },
): Mail {
  return {
    data: {},
    message: {
      getEnvelope: () => envelope,
      messageId: () => "<1@example.com>",
      createReadStream: () => ({ [Symbol.asyncIterator]: () => ({ next: read }) }),
    },
  };
}
