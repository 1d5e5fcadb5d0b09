/** The suite for each real SMTP server; features of one server have tests in its own file. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  SMTP,
  SMTP_SSL,
  SMTPAuthenticationError,
  SMTPConnectError,
  SMTPException,
  type SMTPOptions,
  SMTPPool,
  SMTPRecipientsRefused,
  SMTPSenderRefused,
  TlsError,
  type Transport,
} from "../../src/index.ts";
import { defaultTransport } from "../../src/runtime.ts";
import { passwordMechanisms } from "../../src/sasl/choose.ts";
import { certificates } from "../support/certificates.ts";
import { wrapped } from "../support/scripted-wire.ts";
import { failureOf } from "./failure.ts";
import { bodies, difference, letter } from "./letters.ts";
import { awaitMessage, awaitMessages, storedMessages } from "./mailbox.ts";
import type { Server } from "./servers.ts";

const sender = "sender@client.test";
const recipient = "someone@lab.test";

/** Opens an unencrypted session, passes it to `use`, and ends it. */
export async function session(
  server: Server,
  use: (smtp: SMTP) => Promise<void>,
  options?: SMTPOptions,
): Promise<void> {
  const smtp = await SMTP.connect(server.host, server.port, { local_hostname: "client.test", timeout: 15, ...options });
  try {
    await use(smtp);
    await smtp.quit();
  } finally {
    smtp.close();
  }
}

/** Sends one message in the session and compares the stored message with it. */
export async function sendAndCompare(server: Server, smtp: SMTP, body?: string | Uint8Array): Promise<void> {
  const { marker, content } = letter(body);
  expect(await smtp.sendmail(sender, recipient, content)).toEqual({});
  const stored = await awaitMessage(server, marker);
  expect(difference(content, stored.message)).toBeUndefined();
}

/** Registers the suite. */
export function smtpSuite(server: Server): void {
  describe.each(modes.slice(1))("messages %s", (_, options) =>
    messages(server, (use) => session(server, use, options)),
  );
  describe.each(modes)("recipients %s", (_, options) => recipients(server, (use) => session(server, use, options)));
  describe("TLS", () => tls(server));
  describe("authentication", () => authentication(server));
}

/** Opens a session in one of the modes. */
type Open = (use: (smtp: SMTP) => Promise<void>) => Promise<void>;

/** The ways to send a message. The servers here offer everything that these need. */
const modes: readonly [string, SMTPOptions][] = [
  ["one command at a time", { pipelining: false }],
  ["by DATA", { chunking: false }],
  ["by BDAT", { chunking: true }],
  ["in one flight each", { pipelining: "eager" }],
];

const SEED = Number(process.env["SMTPLIB_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** Contents that are easy to send incorrectly, and their cuts: none, or after these numbers of bytes. */
const contents = fc.record({
  body: fc
    .array(
      fc.oneof(
        {
          weight: 3,
          arbitrary: fc.constantFrom("\r\n", "\n", "\r", ".", "..", "\r\n.", "\r\n.\r\n", "\n.\n", "\r.\r"),
        },
        {
          weight: 1,
          arbitrary: fc.constantFrom("x", " ", "From ", "MAIL FROM:<x@client.test>", "QUIT", "BDAT 1 LAST"),
        },
        {
          weight: 1,
          arbitrary: fc.constantFrom("\t", "\v", "\f", "\x7f", "\x85", "\u2028", "é", "🚀", "y".repeat(60)),
        },
      ),
      { maxLength: 60, size: "max" },
    )
    .map((parts) => parts.join("")),
  cuts: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 5 }),
});

async function* cut(content: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < content.length; i++) {
    const length = cuts[i % cuts.length] ?? 1;
    yield content.slice(at, at + length);
    at += length;
  }
}

function messages(server: Server, open: Open): void {
  it.each(Object.entries(bodies))("stores %s, octet for octet", async (_, body) => {
    await open((smtp) => sendAndCompare(server, smtp, body));
  });

  it.each(Object.entries(bodies))("stores %s, streamed in small chunks", async (_, body) => {
    const { marker, content } = letter(body);
    const size = Math.max(7, Math.floor(content.length / 300));
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < content.length; at += size) yield content.slice(at, at + size);
    }
    await open(async (smtp) => {
      await smtp.sendmail(sender, recipient, chunks(), { body: "8BITMIME" });
    });
    const stored = await awaitMessage(server, marker);
    expect(difference(content, stored.message)).toBeUndefined();
  });

  it(`stores random contents octet for octet, wherever they are cut (seed ${SEED})`, async () => {
    const letters = fc
      .sample(contents, { numRuns: 12, seed: SEED })
      .map(({ body, cuts }) => ({ ...letter(body), cuts }));
    await open(async (smtp) => {
      for (const { content, cuts } of letters) {
        await smtp.sendmail(sender, recipient, cuts.length === 0 ? content : cut(content, cuts), { body: "8BITMIME" });
      }
    });
    for (const { marker, content } of letters) {
      expect(difference(content, (await awaitMessage(server, marker)).message)).toBeUndefined();
    }
  });

  it("stores several messages of one session", async () => {
    await open(async (smtp) => {
      for (let i = 0; i < 3; i++) await sendAndCompare(server, smtp, `number ${i}\r\n`);
    });
  });

  it("stores each of many messages that were queued without waiting", async () => {
    const letters = Array.from({ length: 30 }, (_, i) => letter(`${".\r\n".repeat(i)}number ${i}\r\n`));
    await open(async (smtp) => {
      const refused = await Promise.all(letters.map(({ content }) => smtp.sendmail(sender, recipient, content)));
      expect(refused.every((of) => Object.keys(of).length === 0)).toBe(true);
    });
    for (const { marker, content } of letters) {
      const stored = await awaitMessage(server, marker);
      expect(difference(content, stored.message)).toBeUndefined();
    }
  });

  it("delivers from and to addresses outside ASCII", async () => {
    const { marker, content } = letter("Grüße\r\n");
    await open(async (smtp) => {
      expect(await smtp.sendmail("jürgen@client.test", ["用户@lab.test"], content)).toEqual({});
    });
    const stored = await awaitMessage(server, marker);
    expect(stored.recipient).toBe("用户@lab.test");
    expect(stored.trace).toContain("<jürgen@client.test>");
  });

  it("reports a message that is larger than the server allows", async () => {
    const { marker, content } = letter();
    await open(async (smtp) => {
      const sent = smtp.sendmail(sender, recipient, content, ["SIZE=200000000"]);
      await expect(sent).rejects.toMatchObject({ name: "SMTPSenderRefused", smtp_code: 552, delivery: "rejected" });
      await expect(sent).rejects.toBeInstanceOf(SMTPSenderRefused);
      await sendAndCompare(server, smtp);
    });
    expect(await storedMessages(server, marker)).toEqual([]);
  });
}

function recipients(server: Server, open: Open): void {
  it("delivers to those that were accepted and names the others", async () => {
    const { marker, content } = letter();
    const all = ["one@lab.test", "refused@lab.test", "two@lab.test", "later@lab.test"];
    await open(async (smtp) => {
      const refused = await smtp.sendmail(sender, all, content);
      expect(Object.entries(refused).map(([address, [code]]) => [address, code])).toEqual([
        ["refused@lab.test", 550],
        ["later@lab.test", 450],
      ]);
      expect(refused["refused@lab.test"]?.enhancedCode).toBe("5.1.1");
    });
    const stored = await awaitMessages(server, marker, 2);
    expect(stored.map((message) => message.recipient).sort()).toEqual(["one@lab.test", "two@lab.test"]);
  });

  it("answers for each recipient in a delivery", async () => {
    const { marker, content } = letter();
    await open(async (smtp) => {
      const delivery = await smtp.deliver({ from: sender, to: ["one@lab.test", "refused@lab.test"], body: content });
      expect(delivery.accepted).toEqual(["one@lab.test"]);
      expect(Object.keys(delivery.refused)).toEqual(["refused@lab.test"]);
      expect(delivery.replies.map((reply) => reply.code)).toEqual([250, 550]);
      expect(delivery.reply.code).toBe(250);
    });
    await awaitMessage(server, marker);
  });

  it("delivers nothing if all were refused, and goes on", async () => {
    const { marker, content } = letter();
    await open(async (smtp) => {
      const error = await failureOf(smtp.sendmail(sender, ["refused@lab.test", "later@lab.test"], content));
      expect(error).toBeInstanceOf(SMTPRecipientsRefused);
      expect(error).toMatchObject({
        delivery: "rejected",
        temporary: true,
        recipients: { "refused@lab.test": { code: 550 }, "later@lab.test": { code: 450 } },
      });
      await sendAndCompare(server, smtp);
    });
    expect(await storedMessages(server, marker)).toEqual([]);
  });

  it("keeps queued messages apart when senders, recipients and contents are refused among them", async () => {
    const kinds = ["taken", "no sender", "nobody", "too large", "some"] as const;
    const plan = Array.from({ length: 15 }, (_, i) => ({
      ...letter(`number ${i}\r\n`),
      kind: kinds[i % 5] ?? "taken",
    }));
    const results: string[] = [];
    await open(async (smtp) => {
      // The first message of a session loads code, so that all others are sent at once.
      await sendAndCompare(server, smtp);
      const sent = plan.map(({ content, kind }) =>
        smtp.sendmail(
          kind === "no sender" ? "spammer@client.test" : sender,
          kind === "nobody"
            ? ["refused@lab.test", "later@lab.test"]
            : kind === "some"
              ? ["refused@lab.test", recipient]
              : recipient,
          content,
          kind === "too large" ? ["SIZE=200000000"] : [],
        ),
      );
      for (const result of await Promise.allSettled(sent)) {
        results.push(result.status === "fulfilled" ? Object.keys(result.value).join() : result.reason.name);
      }
      await sendAndCompare(server, smtp);
    });
    const expected = ["", "SMTPSenderRefused", "SMTPRecipientsRefused", "SMTPSenderRefused", "refused@lab.test"];
    expect(results).toEqual(plan.map((_, i) => expected[i % 5]));
    for (const { marker, content, kind } of plan) {
      if (kind === "taken" || kind === "some") {
        expect(difference(content, (await awaitMessage(server, marker)).message)).toBeUndefined();
      }
    }
    for (const { marker, kind } of plan) {
      if (kind !== "taken" && kind !== "some") expect(await storedMessages(server, marker)).toEqual([]);
    }
  });

  it("keeps queued messages apart when some of them are refused", async () => {
    // Each message has a different sender: it must not be sent with that of a message whose recipients were all
    // refused.
    const plan = Array.from({ length: 12 }, (_, i) => ({
      ...letter(`number ${i}\r\n`),
      from: `sender${i}@client.test`,
      to: i % 3 === 1 ? ["refused@lab.test"] : i % 3 === 2 ? ["later@lab.test", recipient] : [recipient],
    }));
    const results: unknown[] = [];
    await open(async (smtp) => {
      const sent = plan.map(({ from, to, content }) => smtp.sendmail(from, to, content));
      for (const result of await Promise.allSettled(sent)) {
        results.push(result.status === "fulfilled" ? Object.keys(result.value) : result.reason.name);
      }
    });
    expect(results).toEqual(plan.map((_, i) => [[], "SMTPRecipientsRefused", ["later@lab.test"]][i % 3]));
    for (const [i, { marker, content }] of plan.entries()) {
      if (i % 3 === 1) continue;
      const stored = await awaitMessage(server, marker);
      expect(difference(content, stored.message)).toBeUndefined();
      expect(stored.trace).toContain(`sender${i}@client.test`);
    }
    for (const [i, { marker }] of plan.entries()) {
      if (i % 3 === 1) expect(await storedMessages(server, marker)).toEqual([]);
    }
  });
}

function tls(server: Server): void {
  it("sends after STARTTLS", async () => {
    await session(server, async (smtp) => {
      expect(await smtp.starttls({ ca: server.ca, servername: "localhost" })).toMatchObject({ code: 220 });
      expect(smtp.esmtp_features).toEqual({}); // RFC 3207 4.2: discards all state from before TLS
      await sendAndCompare(server, smtp, bodies["1 MB with dots at line starts"]);
      expect(smtp.has_extn("starttls")).toBe(false);
    });
  });

  it("sends over implicit TLS, and finds the host by its name", async () => {
    const smtp = await SMTP_SSL.connect("localhost", tlsPort(server), { context: { ca: server.ca }, timeout: 15 });
    try {
      await sendAndCompare(server, smtp, bodies["1 MB with dots at line starts"]);
      await smtp.quit();
    } finally {
      smtp.close();
    }
  });

  it("refuses a certificate of an authority that it does not trust, over implicit TLS", async () => {
    const { otherCa } = await certificates();
    const opened = SMTP_SSL.connect(server.host, tlsPort(server), { context: { ca: otherCa }, timeout: 15 });
    const error = await failureOf(opened);
    expect(error).toBeInstanceOf(SMTPConnectError);
    expect(error).toMatchObject({ smtp_code: -1, temporary: false });
  });

  it("refuses a certificate of an authority that it does not trust, at STARTTLS", async () => {
    const { otherCa } = await certificates();
    const smtp = await SMTP.connect(server.host, server.port, { timeout: 15 });
    const error = await failureOf(smtp.starttls({ ca: otherCa }));
    expect(error).toBeInstanceOf(SMTPException);
    expect(error).toMatchObject({ temporary: false, cause: expect.any(TlsError) });
    expect(smtp.connected).toBe(false);
    smtp.close();
  });

  it("refuses a certificate for another name", async () => {
    const smtp = await SMTP.connect(server.host, server.port, { timeout: 15 });
    const error = await failureOf(smtp.starttls({ ca: server.ca, servername: "elsewhere.example" }));
    expect(error).toBeInstanceOf(SMTPException);
    expect(error).toMatchObject({ temporary: false, cause: { failure: "name" } });
    smtp.close();
  });
}

function authentication(server: Server): void {
  const byPassword = server.mechanisms.filter((mechanism) => passwordMechanisms.has(mechanism));

  it.each(byPassword)("logs in with %s after STARTTLS, and may then do more", async (mechanism) => {
    const { marker, content } = letter();
    await session(server, async (smtp) => {
      await smtp.starttls({ ca: server.ca });
      await expect(smtp.sendmail(sender, "members@lab.test", content)).rejects.toBeInstanceOf(SMTPRecipientsRefused);
      expect(await smtp.login(server.user, server.password, { mechanisms: [mechanism] })).toMatchObject({ code: 235 });
      expect(await smtp.sendmail(sender, "members@lab.test", content)).toEqual({});
    });
    await awaitMessage(server, marker);
  });

  it.each(byPassword)("reports a wrong password with %s and stays usable", async (mechanism) => {
    await session(server, async (smtp) => {
      await smtp.starttls({ ca: server.ca });
      const error = await failureOf(smtp.login(server.user, "wrong-secret", { mechanisms: [mechanism] }));
      expect(error).toBeInstanceOf(SMTPAuthenticationError);
      expect(error).toMatchObject({ smtp_code: 535, temporary: false });
      expect(JSON.stringify(error) + String(error)).not.toContain("wrong-secret");
      await sendAndCompare(server, smtp);
    });
  });

  it.each(byPassword)("logs in with %s without an initial response", async (mechanism) => {
    await session(server, async (smtp) => {
      const options = { mechanisms: [mechanism], initial_response_ok: false };
      expect(await smtp.login(server.user, server.password, options)).toMatchObject({ code: 235 });
    });
  });

  it("tells a pool of a wrong password by one session's login, however much waits", { timeout: 60_000 }, async () => {
    const logins: string[][] = [];
    const { host, port, ca, user } = server;
    const pool = new SMTPPool({
      ...{ host, port, context: { ca }, maxConnections: 10, transport: counting(logins) },
      auth: { user, password: "wrong-secret" },
    });
    const sends = Array.from({ length: 20 }, () => failureOf(pool.sendmail(sender, recipient, "Subject: x\n\n")));
    const errors = await Promise.all([failureOf(pool.check()), ...sends]);
    for (const error of errors) {
      expect(error).toBeInstanceOf(SMTPAuthenticationError);
      expect(error).toMatchObject({ smtp_code: 535, temporary: false });
    }
    await pool.close();
    expect(logins).toHaveLength(1);
    expect(new Set(logins[0]).size, "each mechanism once").toBe(logins[0]?.length);
  });

  it("logs in by itself with the strongest mechanism, in the clear on loopback", async () => {
    await session(server, async (smtp) => {
      expect(await smtp.login(server.user, server.password)).toMatchObject({ code: 235 });
    });
  });
}

/** The runtime's own transport; records the mechanisms of AUTH for each connection. */
function counting(logins: string[][]): Transport {
  return async (endpoint, options) => {
    const connect = await defaultTransport({ endpoint, options });
    const stream = await connect(endpoint, options);
    const mechanisms: string[] = [];
    logins.push(mechanisms);
    const write = (data: Uint8Array): Promise<void> | undefined => {
      const [, mechanism] = /^AUTH (\S+)/.exec(new TextDecoder().decode(data)) ?? [];
      if (mechanism !== undefined) mechanisms.push(mechanism);
      return stream.write(data);
    };
    return wrapped(stream, { write });
  };
}

/** The port with implicit TLS, which all of these servers have. */
function tlsPort(server: Server): number {
  if (server.tlsPort === undefined) throw new Error(`${server.name} has no port with implicit TLS`);
  return server.tlsPort;
}
