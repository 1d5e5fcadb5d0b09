/** Behaviour of nodemailer's pool and SMTP transport that users rely on, over sockets; this transport has it, too. */
import { createTransport, type SendMailOptions } from "nodemailer";
import type { SMTPServerOptions } from "smtp-server";
import { afterEach, describe, expect, it } from "vitest";
import type { PoolOptions } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { connect } from "../../transports/node.ts";
import { permit } from "../judge/under-test.ts";
import { type EmbeddedOptions, type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";

const MAIL: SendMailOptions = { from: "ada@example.com", to: "charles@example.net", text: "Hi!" };

/** As many lines as in nodemailer's tests, so that a message takes several writes. */
const LONG = "teretere, vana kere\n".repeat(5000);

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function served(options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({ tls: "none", ...options });
  open.push(server);
  return server;
}

function sender({ host, port }: EmbeddedServer, options: PoolOptions = {}) {
  const transporter = createTransport(smtplib({ host, port, starttls: "never", ...options }));
  open.unshift(transporter);
  return transporter;
}

const settled = (promise: Promise<unknown>): Promise<"sent" | "failed"> =>
  promise.then(
    () => "sent",
    () => "failed",
  );

describe("a pool of nodemailer's users", () => {
  it("sends what can be sent while every other message is refused", async () => {
    const onMailFrom: SMTPServerOptions["onMailFrom"] = ({ address }, _, done) =>
      done(address.endsWith("invalid") ? new Error("Only valid senders") : null);
    const server = await served({ settings: { onMailFrom } });
    const transporter = sender(server);
    const mails = Array.from({ length: 100 }, (_, index) => ({
      ...MAIL,
      from: index % 2 === 0 ? "ada@example.com" : "ada@example.invalid",
      text: LONG.slice(0, 10_000),
    }));
    const outcomes = await Promise.all(mails.map((mail) => settled(transporter.sendMail(mail))));
    expect(outcomes).toEqual(mails.map(({ from }) => (from.endsWith("invalid") ? "failed" : "sent")));
    expect(server.messages).toHaveLength(50);
    expect(server.connections).toBeLessThanOrEqual(5);
  });

  it("sends by other connections where the server has ended those that were idle", async () => {
    const server = await served({ settings: { socketTimeout: 500 } });
    const transporter = sender(server);
    const batch = (): Promise<unknown> => Promise.all([1, 2, 3, 4, 5].map(() => transporter.sendMail(MAIL)));
    await batch();
    const before = server.connections;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await batch();
    expect(server.messages).toHaveLength(10);
    expect(server.connections).toBeGreaterThan(before);
  });

  it("fails the message on which the server falls silent, and not the one before", async () => {
    const onData: SMTPServerOptions["onData"] = (stream, { envelope }, done) => {
      stream.resume();
      const silent = envelope.rcptTo.some(({ address }) => address.startsWith("silent"));
      stream.on("end", () => silent || done());
    };
    const server = await served({ settings: { onData } });
    const transporter = sender(server, { maxConnections: 1, timeouts: { dataDone: 0.2 } });
    const outcomes = [transporter.sendMail(MAIL), transporter.sendMail({ ...MAIL, to: "silent@example.net" })];
    expect(await outcomes[0]).toMatchObject({ accepted: ["charles@example.net"] });
    const fields = { code: "ETIMEDOUT", timeoutType: "SOCKET_TIMEOUT", delivery: "unknown" };
    await expect(outcomes[1]).rejects.toMatchObject(fields);
  });

  it("sends no more messages by a connection than it may, by a URL with its options", async () => {
    const server = await served();
    const url = `smtp://${server.host}:${server.port}/?maxConnections=1&maxMessages=5&starttls=never`;
    const transporter = createTransport(smtplib(url));
    open.unshift(transporter);
    await Promise.all(Array.from({ length: 50 }, () => transporter.sendMail(MAIL)));
    expect(server.messages).toHaveLength(50);
    expect(server.connections).toBe(10);
  });

  it("sends no more messages in a time than it may", async () => {
    const server = await served();
    const transporter = sender(server, { maxConnections: 10, rateLimit: { messages: 10, seconds: 0.2 } });
    const begun = performance.now();
    await Promise.all(Array.from({ length: 40 }, () => transporter.sendMail(MAIL)));
    expect(performance.now() - begun).toBeGreaterThan(400);
    expect(server.messages).toHaveLength(40);
  });

  it("calls back for each message that waits when it is closed with force", async () => {
    const server = await served();
    const transport = smtplib({ host: server.host, port: server.port, starttls: "never", maxConnections: 1 });
    const transporter = createTransport(transport);
    open.unshift(transporter);
    const outcomes = Array.from({ length: 100 }, () => settled(transporter.sendMail(MAIL)));
    await transport.close({ force: true });
    expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 100 }, () => "failed"));
    expect(transport.pendingCount()).toBe(0);
  });

  it("calls back for each message, whichever connections are lost while it is fed by its idle events", async () => {
    // The network cuts the connection: the client notices at its next read, and may write until then.
    permit(/nothing is sent once the session is over/);
    const server = await served();
    const streams: { abort(reason?: unknown): void }[] = [];
    const options: PoolOptions = {
      transport: async (endpoint, how) => {
        const stream = await connect(endpoint, how);
        streams.push(stream);
        return stream;
      },
    };
    const transporter = sender(server, options);
    const outcomes: Promise<"sent" | "failed">[] = [];
    await new Promise<void>((resolve) => {
      transporter.on("idle", () => {
        while (outcomes.length < 100 && transporter.isIdle()) outcomes.push(settled(transporter.sendMail(MAIL)));
        if (outcomes.length > 50) for (const stream of streams.splice(0)) stream.abort(new Error("cut"));
        if (outcomes.length === 100) resolve();
      });
    });
    const all = await Promise.all(outcomes);
    expect(all).toHaveLength(100);
    // Mails that are reported as sent were sent; those on a lost connection may have arrived, too.
    expect(server.messages.length).toBeGreaterThanOrEqual(all.filter((outcome) => outcome === "sent").length);
  });

  it("sends by sockets that the caller opens", async () => {
    const server = await served();
    const { port } = server;
    const asked: unknown[] = [];
    const transporter = createTransport(
      smtplib({
        host: "www.example.com",
        port: 1234,
        starttls: "never",
        transport: (endpoint, how) => {
          asked.push(endpoint);
          return connect({ host: "127.0.0.1", port }, how);
        },
      }),
    );
    open.unshift(transporter);
    await transporter.sendMail({ ...MAIL, text: LONG });
    expect(asked).toEqual([{ host: "www.example.com", port: 1234 }]);
    expect(server.messages).toHaveLength(1);
  });

  it("verifies by a callback, and says no where nobody listens", async () => {
    const auth = { user: "user", password: "password" };
    const server = await served({ auth });
    const good = sender(server, { auth });
    expect(await new Promise((resolve) => good.verify((error, success) => resolve(error ?? success)))).toBe(true);
    const bad = sender({ ...server, port: 1 });
    const error = await new Promise((resolve) => bad.verify(resolve));
    expect(error).toMatchObject({ code: "ESOCKET", command: "CONN" });
    const wrong = sender(server, { auth: { ...auth, password: "wrong" } });
    await expect(wrong.verify()).rejects.toMatchObject({ code: "EAUTH", responseCode: 535 });
  });
});

/** Mails that nodemailer builds in other ways; each has a fixed boundary, date and Message-ID. */
const BUILT: Readonly<Record<string, SendMailOptions>> = {
  "raw text": { envelope: { from: "ada@example.com", to: "charles@example.net" }, raw: "Subject: raw\r\n\r\n.Hi!\n" },
  "headers of a mailing list": {
    ...MAIL,
    list: { help: "admin@example.com", unsubscribe: { url: "https://example.com", comment: "leave" } },
  },
  "images from data URLs": { ...MAIL, html: '<img src="data:image/png;base64,AAAA">', attachDataUrls: true },
  "text, HTML and an attachment": {
    ...MAIL,
    html: "<b>Hi!</b>",
    attachments: [{ filename: "naïve.txt", content: "x".repeat(1000) }],
  },
  "a subject and names beyond ASCII": { ...MAIL, subject: "Grüße", to: "Jürgen <charles@example.net>" },
  "a calendar event and priority": {
    ...MAIL,
    priority: "high",
    icalEvent: { method: "REQUEST", content: "BEGIN:VCALENDAR\nEND:VCALENDAR" },
  },
  "lines that begin with dots": { ...MAIL, text: ".\n..\nHi!\n.", textEncoding: "quoted-printable" },
};

describe("a message arrives as it does by nodemailer's own pool", () => {
  it.each(Object.entries(BUILT))("with %s", async (_, built) => {
    const server = await served();
    const own = createTransport({ host: server.host, port: server.port, pool: true, ignoreTLS: true });
    open.unshift(own);
    const mail = { ...built, messageId: "<1@example.com>", date: new Date(0), baseBoundary: "b" };
    for (const transporter of [own, sender(server)]) {
      transporter.use("compile", (message, done) => {
        Object.assign(message.data, { baseBoundary: "b" });
        done();
      });
      await transporter.sendMail(mail);
    }
    const [theirs, ours] = server.messages.map(({ content, from, to }) => [
      new TextDecoder().decode(content).replace(/\w{20}(?=@localhost)/g, "id"),
      from,
      to,
    ]);
    expect(ours).toEqual(theirs);
    expect(server.messages).toHaveLength(2);
  });
});
