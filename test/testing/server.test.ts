/** The test server for users: it accepts mail, refuses it on request, and makes the requested faults. */
import process from "node:process";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  LMTP,
  SMTP,
  SMTP_SSL,
  SMTPAuthenticationError,
  SMTPConnectError,
  SMTPDataError,
  SMTPNotSupportedError,
  type SMTPOptions,
  SMTPPool,
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import { xoauth2 } from "../../src/sasl/index.ts";
import {
  type Account,
  type Reaction,
  type ServerStream,
  startServer,
  type TestServer,
  type TestServerOptions,
} from "../../src/testing/index.ts";
import { createMemoryPair, type MemoryStream } from "../../transports/memory.ts";
import { bytes, readText, readToEnd, reasonOf } from "../transports/bytes.ts";

const letter = "Subject: Hello\r\n\r\n.Hi!\r\n..\r\n";
const ada = "ada@example.com";
const charles = "charles@example.net";

function started(options: TestServerOptions = {}): TestServer {
  const server = startServer(options);
  onTestFinished(() => server.close());
  return server;
}

async function session(server: TestServer, options: SMTPOptions = {}): Promise<SMTP> {
  const smtp = await SMTP.connect("mail.example.com", 587, { transport: server.transport, ...options });
  onTestFinished(() => smtp.close());
  return smtp;
}

describe("a test server", () => {
  it("keeps what it gets: envelope, octets and text", async () => {
    const server = started();
    const smtp = await session(server);
    expect(await smtp.sendmail(ada, [charles, "mary@example.net"], letter)).toEqual({});
    const message = await server.next();
    expect(message).toMatchObject({ from: ada, to: [charles, "mary@example.net"], secure: false, connection: 1 });
    expect(message.user).toBeUndefined();
    expect(message.text).toBe(letter);
    expect(message.content).toEqual(bytes(letter));
    expect(server.messages).toEqual([message]);
    expect(server.connections).toBe(1);
  });

  it.each<["DATA" | "BDAT", string[]]>([
    ["DATA", ["8BITMIME"]],
    ["DATA", ["PIPELINING", "8BITMIME"]],
    ["BDAT", ["CHUNKING", "8BITMIME"]],
    ["BDAT", ["CHUNKING", "PIPELINING", "8BITMIME"]],
  ])("takes any octets by %s with %j, in any pieces", async (command, extensions) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.stringMatching(/^[.a-zé]{0,4}$/), { maxLength: 8 }),
        fc.integer({ min: 1, max: 50 }),
        async (lines, chunkSize) => {
          const server = startServer({ extensions, memory: { chunkSize } });
          const text = lines.map((line) => `${line}\r\n`).join("");
          const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport, chunking: true });
          await Promise.all([smtp.sendmail(ada, charles, text), smtp.sendmail(ada, charles, `${text}x\r\n`)]);
          await smtp.quit();
          expect(server.messages.map((message) => [message.command, message.text])).toEqual([
            [command, text],
            [command, `${text}x\r\n`],
          ]);
          await server.close();
        },
      ),
      { numRuns: 25 },
    );
  });

  it("takes ten megabytes in a moment", async () => {
    const server = started();
    const smtp = await session(server);
    await smtp.sendmail(ada, charles, `${"x".repeat(62)}\r\n`.repeat(160_000));
    expect((await server.next()).content.length).toBe(160_000 * 64);
  });

  it("keeps the parameters of sender and recipients", async () => {
    const server = started();
    const smtp = await session(server);
    await smtp.deliver({
      from: ada,
      to: [{ address: charles, notify: ["FAILURE", "DELAY"], orcpt: "rfc822;c@example.net" }, "jürgen@example.net"],
      body: letter,
      ret: "HDRS",
      envid: "QQ314159",
    });
    const { parameters, recipients } = await server.next();
    expect(parameters).toMatchObject({ RET: "HDRS", ENVID: "QQ314159", SMTPUTF8: true });
    expect(recipients[0]).toMatchObject({
      address: charles,
      parameters: { NOTIFY: "FAILURE,DELAY", ORCPT: "rfc822;c@example.net" },
    });
    expect(recipients[1]?.address).toBe("jürgen@example.net");
  });

  it("gives each message once, before or after it has come, to those who wait in order", async () => {
    const server = started();
    const early = [server.next(), server.next()];
    const smtp = await session(server);
    for (const text of ["1", "2", "3"]) await smtp.sendmail(ada, charles, `${text}\r\n`);
    const late = server.next();
    expect((await Promise.all([...early, late])).map(({ text }) => text)).toEqual(["1\r\n", "2\r\n", "3\r\n"]);
  });

  it("lets nobody wait for ever: a signal, or its end, ends the waiting", async () => {
    const server = started();
    const controller = new AbortController();
    const waiting = reasonOf(server.next({ signal: controller.signal }));
    const other = reasonOf(server.next());
    controller.abort(new Error("no mail"));
    expect(await waiting).toBe(controller.signal.reason);
    expect(await reasonOf(server.next({ signal: controller.signal }))).toBe(controller.signal.reason);
    await server.close();
    expect(String(await other)).toMatch(/closed while/);
    expect(String(await reasonOf(server.next()))).toMatch(/closed/);
    expect(await reasonOf(session(server))).toBeInstanceOf(SMTPConnectError);
  });

  it("ends the connections that are open when it is closed", async () => {
    const server = startServer();
    const smtp = await session(server);
    const waiting = reasonOf(smtp.noop().then(() => smtp.getreply()));
    await server.close();
    await server.close();
    expect(await waiting).toBeInstanceOf(SMTPServerDisconnected);
  });

  it("serves a pool, which is closed with it", async () => {
    await using server = startServer({ auth: { user: "ada", password: "secret" } });
    const pool = new SMTPPool({
      host: "mail.example.com",
      port: 587,
      transport: server.transport,
      auth: { user: "ada", password: "secret" },
      maxConnections: 3,
    });
    await Promise.all(Array.from({ length: 30 }, (_, i) => pool.sendmail(ada, charles, `${i}\r\n`)));
    await pool.close();
    expect(server.messages.map(({ text }) => Number(text)).sort((a, b) => a - b)).toEqual([...Array(30).keys()]);
    expect(server.messages.every(({ secure, user }) => secure && user === "ada")).toBe(true);
    expect(server.connections).toBeLessThanOrEqual(3);
  });

  it("serves LMTP, with an answer for each recipient", async () => {
    const server = started({
      answers: { message: ({ address }) => (address === "full@example.net" ? "452 4.2.2 mailbox full" : undefined) },
    });
    const lmtp = await LMTP.connect("mail.example.com", 24, { transport: server.transport });
    onTestFinished(() => lmtp.close());
    const refused = await lmtp.sendmail(ada, [charles, "full@example.net"], letter);
    expect(refused).toMatchObject({ "full@example.net": { code: 452 } });
    expect((await server.next()).to).toEqual([charles]);
  });
});

describe("what it offers", () => {
  it("is what it was told to", async () => {
    const server = started({ extensions: ["SIZE 1000", "X-OWN a b"], starttls: "absent" });
    const smtp = await session(server);
    await smtp.ehlo();
    expect({ ...smtp.esmtp_features }).toEqual({ size: "1000", "x-own": "a b" });
  });

  it("decides what it takes", async () => {
    const server = started({ extensions: ["SIZE 1000"] });
    const smtp = await session(server);
    await smtp.ehlo();
    expect(await smtp.mail(ada, ["RET=HDRS"])).toMatchObject({ code: 555 });
    expect(await smtp.mail(ada, ["SIZE=1001"])).toMatchObject({ code: 552 });
    expect(await smtp.docmd("MAIL", "FROM:<jürgen@example.com>")).toMatchObject({ code: 553 });
    const streamed = async function* () {
      yield "x".repeat(1001);
    };
    expect(await reasonOf(smtp.sendmail(ada, charles, streamed()))).toMatchObject({ smtp_code: 552 });
    expect(server.messages).toEqual([]);
  });

  it("goes by the extension's keyword, however its parameters are called", async () => {
    const server = started({ extensions: ["FUTURERELEASE 86400 2100-01-01T00:00:00Z", "DELIVERBY 10", "MT-PRIORITY"] });
    const smtp = await session(server);
    await smtp.ehlo();
    for (const options of [
      { holdFor: 60 },
      { holdUntil: new Date("2099-01-01T00:00:00Z") },
      { by: { seconds: 60, mode: "notify" as const } },
      { mtPriority: 3 },
    ]) {
      expect(await smtp.mail(ada, options)).toMatchObject({ code: 250 });
      await smtp.rset();
    }
  });

  it.each<[string, number]>([
    ["MAIL FROM:<a@b>", 503],
    ["RCPT TO:<a@b>", 503],
    ["DATA", 503],
    ["NOOP", 250],
    ["RSET", 250],
    ["VRFY a", 252],
    ["EXPN a", 500],
    ["AUTH PLAIN AGEAYg==", 502],
    ["BDAT x", 501],
    ["BDAT 2 LAST\r\nxx", 503],
    ["MAIL", 503],
    ["", 500],
  ])("answers what comes before EHLO as a server does: %j", async (command, code) => {
    expect(await said(started(), command)).toMatch(new RegExp(`^220 [^\r]*\r\n${code} `));
  });

  it.each<[string, number, TestServerOptions?]>([
    ["MAIL FROM:a@b", 501],
    ["MAIL FROM:<a@b> SIZE=99999999", 552],
    ["MAIL FROM:<a@b> FUTURE=1", 555],
    ["MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>", 503],
    ["MAIL FROM:<a@b>\r\nRCPT TO:<>", 501],
    ["MAIL FROM:<a@b>\r\nDATA", 554],
    ['MAIL FROM:<>\r\nRCPT TO:<"a > b"@c>', 250],
    ["MAIL FROM:<a@b>\r\nRSET\r\nRCPT TO:<a@b>", 503],
    ["BDAT 6 LAST\r\nQUIT", 503],
    ["STARTTLS\r\nMAIL FROM:<a@b>", 503],
    ["HELO x\r\nMAIL FROM:<a@b>", 250],
    ["MAIL FROM:<a@b> AUTH=<>", 555],
    ["MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 6 LAST\r\nQUIT", 502, { extensions: [] }],
    ["STARTTLS", 502, { starttls: "absent" }],
    ["AUTH CRAM-MD5", 504, { auth: "any" }],
    ["AUTH XOAUTH2 dXNlcj1hZGE=", 501, { auth: "any" }],
    ["AUTH LOGIN YWRh\r\n*", 501, { auth: "any" }],
    ["DATA\r\nxx\r\n.", 503, { answers: { data: "354 whatever for" } }],
    ["MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2\r\nxxRCPT TO:<c@d>", 503, { answers: { bdat: "452 4.3.1 full" } }],
    ["NOOP", 250, { answers: { other: "250" } }],
  ])("answers after EHLO as a server does: %j", async (commands, code, options = {}) => {
    const lines = (await said(started(options), `EHLO x\r\n${commands}`)).trimEnd().split("\r\n");
    expect(lines.at(-1)).toMatch(new RegExp(`^${code}( |$)`));
  });

  it.each<[string, number, string]>([
    ["AUTH LOGIN\r\n", 334, ""],
    ["MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", 354, ""],
    ["MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", 354, "xx"],
    ["MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nNOOP\r\n", 252, "BDAT 10 LAST\r\n"],
    ["MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nNOOP\r\n", 252, "BDAT 10 LAST\r\nxx"],
  ])(
    "takes it for no message, no login and no fault when the client leaves after %j, %i and %j",
    async (commands, code, more) => {
      const claims: string[] = [];
      const account: Account = (user) => claims.push(user) > 0;
      const server = startServer({
        auth: commands.startsWith("AUTH") ? account : undefined,
        answers: { other: `${code} ok` },
      });
      const stream = await server.transport({ host: "mail.example.com", port: 25 }, {});
      await stream.write(bytes(`EHLO x\r\n${commands}`));
      for (let heard = ""; !heard.includes(`\n${code} `); ) heard += await readText(stream, 1);
      await stream.write(bytes(more));
      await stream.close();
      await server.close();
      expect(server.messages).toEqual([]);
      expect(claims).toEqual([]);
    },
  );
});

it("answers any nonsense by well-formed replies, and survives it", async () => {
  const words = ["EHLO x", "LHLO y", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "BDAT 3", "BDAT 0 LAST", "AUTH PLAIN"];
  const line = fc.oneof(
    fc.constantFrom(...words, "AUTH LOGIN =", "*", ".", "STARTTLS", "RSET", "RCPT TO:<", "MAIL FROM:<>", "BDAT -1", ""),
    fc.string({ unit: "binary", maxLength: 12 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 12 }), fc.integer({ min: 1, max: 9 }), async (lines, chunkSize) => {
      const server = startServer({ auth: "any", memory: { chunkSize } });
      const stream = await server.transport({ host: "mail.example.com", port: 25 }, {});
      let replies = "";
      const reading = (async () => {
        for (let text = await readText(stream, 1); text !== ""; text = await readText(stream, 1)) replies += text;
      })();
      await stream.write(bytes(`${lines.join("\r\n")}\r\n`));
      await stream.write(bytes("\r\n.\r\n*\r\nQUIT\r\n"));
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      await server.close();
      await reading.catch(() => {});
      expect(replies).toMatch(/^220 [^\r\n]*\r\n([2-5]\d\d[ -][^\r\n]*\r\n)+$/);
    }),
    { numRuns: 100 },
  );
});

describe("credentials", () => {
  const auth = { user: "ada", password: "secret" };

  it.each(["PLAIN", "LOGIN"])(
    "are checked by %s, with and without an initial response, and shown nowhere",
    async (mechanism) => {
      for (const initial_response_ok of [true, false]) {
        const server = started({ auth });
        const smtp = await session(server);
        expect(await reasonOf(smtp.sendmail(ada, charles, letter))).toBeInstanceOf(SMTPSenderRefused);
        const options = { mechanisms: [mechanism], initial_response_ok };
        expect(await reasonOf(smtp.login("ada", "wrong", options))).toBeInstanceOf(SMTPAuthenticationError);
        await smtp.login("ada", "secret", options);
        await smtp.sendmail(ada, charles, letter);
        expect((await server.next()).user).toBe("ada");
        expect(server.commands.join()).not.toMatch(/YWRh|c2VjcmV0|AGFkYQ/);
        expect(server.commands.some((line) => line.endsWith("***"))).toBe(true);
      }
    },
  );

  it("may be anybody's, or whoever's a function says", async () => {
    const anybody = await session(started({ auth: "any" }));
    await anybody.login("x", "y");
    const seen: string[] = [];
    const asked = await session(
      started({
        auth: async (user, password) => {
          seen.push(`${user}:${password}`);
          return password === "token-1";
        },
      }),
    );
    await asked.auth("XOAUTH2", xoauth2({ user: "ada", token: "token-1" }));
    expect(seen).toEqual(["ada:token-1"]);
  });

  it("may be refused by script, and given up by the client", async () => {
    const server = started({ auth: "any" });
    server.once("auth", "454 4.7.0 try later");
    const smtp = await session(server);
    expect(await reasonOf(smtp.login("ada", "x"))).toMatchObject({ smtp_code: 454, temporary: true });
    expect(await smtp.docmd("AUTH", "PLAIN")).toMatchObject({ code: 334 });
    expect(await smtp.docmd("*")).toMatchObject({ code: 501 });
    await smtp.login("ada", "x");
    expect(await smtp.docmd("AUTH", "PLAIN AGEAYg==")).toMatchObject({ code: 503 });
  });

  it("are shown in clear only to a server that passes for this machine", async () => {
    const smtp = await session(started({ auth: "any", loopback: false }));
    expect(await reasonOf(smtp.login("ada", "x"))).toBeInstanceOf(SMTPNotSupportedError);
    await smtp.starttls();
    await smtp.login("ada", "x");
  });
});

describe("TLS", () => {
  it("is pretended, by STARTTLS and from the first octet on", async () => {
    const server = started();
    const smtp = await session(server);
    await smtp.starttls();
    expect(smtp.has_extn("starttls")).toBe(false);
    await smtp.sendmail(ada, charles, letter);
    const implicit = await SMTP_SSL.connect("mail.example.com", 465, { transport: server.transport });
    await implicit.sendmail(ada, charles, letter);
    await implicit.quit();
    expect(server.messages.map(({ secure }) => secure)).toEqual([true, true]);
  });

  it("is refused, or not offered, where it is to be", async () => {
    const refusing = started({ starttls: "refused" });
    expect(await reasonOf((await session(refusing)).starttls())).toMatchObject({ smtp_code: 454 });
    const implicit = SMTP_SSL.connect("mail.example.com", 465, { transport: refusing.transport });
    expect(await reasonOf(implicit)).toBeInstanceOf(SMTPConnectError);
    const without = await session(started({ starttls: "absent" }));
    expect(await reasonOf(without.starttls())).toBeInstanceOf(SMTPNotSupportedError);
  });

  it("is begun once", async () => {
    const stream = await started().transport({ host: "mail.example.com", port: 25 }, {});
    await stream.startTls({ servername: "mail.example.com" });
    expect(String(await reasonOf(stream.startTls({ servername: "mail.example.com" })))).toMatch(/TLS already/);
  });
});

describe("an answer", () => {
  it("refuses senders, recipients and messages", async () => {
    const server = started({
      answers: {
        mail: ({ address }) => (address?.startsWith("spam@") ? "550 5.7.1 not you" : undefined),
        rcpt: ({ address }) => (address?.startsWith("nobody@") ? "550 5.1.1 no such user" : undefined),
        message: ({ message }) => (message?.text.includes("virus") ? "554 5.6.0 virus found\nand kept" : undefined),
      },
    });
    const smtp = await session(server);
    expect(await reasonOf(smtp.sendmail("spam@example.com", charles, letter))).toBeInstanceOf(SMTPSenderRefused);
    expect(await reasonOf(smtp.sendmail(ada, "nobody@example.net", letter))).toBeInstanceOf(SMTPRecipientsRefused);
    expect(Object.keys(await smtp.sendmail(ada, [charles, "nobody@example.net"], letter))).toEqual([
      "nobody@example.net",
    ]);
    const virus = await reasonOf(smtp.sendmail(ada, charles, "virus\r\n"));
    expect(virus).toBeInstanceOf(SMTPDataError);
    expect(virus).toMatchObject({ smtp_error: "5.6.0 virus found\nand kept" });
    expect(server.messages.map(({ to }) => to)).toEqual([[charles]]);
  });

  it("is given once where it is to be, before the usual ones, in order", async () => {
    const server = started({ answers: { other: "250 usual" } });
    server.once("other", "251 first");
    server.once("other", () => undefined);
    const smtp = await session(server);
    const replies = [await smtp.noop(), await smtp.noop(), await smtp.noop()];
    expect(replies.map(({ message }) => message)).toEqual(["first", "2.0.0 OK", "usual"]);
  });

  it.each([
    ["connect", "554 closed for today", SMTPConnectError],
    ["ehlo", "550 go away", SMTPResponseException],
    ["data", "451 4.3.0 not now", SMTPDataError],
    ["rset", "421 4.3.2 shutting down", SMTPServerDisconnected],
  ] as const)("is possible at %s", async (stage, reply, type) => {
    const server = started({ extensions: [], answers: { [stage]: reply } });
    const attempt = async (): Promise<void> => {
      const smtp = await session(server);
      await smtp.sendmail(ada, charles, letter);
      await smtp.rset();
      await smtp.noop();
    };
    expect(await reasonOf(attempt())).toBeInstanceOf(type);
  });

  it.each(["connect", "ehlo", "mail", "rcpt", "data", "body", "message"] as const)(
    "drops the connection at %s; only what was taken may have been delivered",
    async (stage) => {
      for (const end of ["close", "reset"] as const) {
        const server = started({ answers: { [stage]: { end } }, extensions: [] });
        // So long that not all of it has been sent when its first bytes arrive.
        const attempt = session(server).then((smtp) => smtp.sendmail(ada, charles, letter.repeat(20_000)));
        const error = await reasonOf(attempt);
        expect(error).toBeInstanceOf(SMTPServerDisconnected);
        const delivery = { connect: undefined, message: "unknown" };
        expect(error).toMatchObject({ delivery: stage in delivery ? Reflect.get(delivery, stage) : "not-sent" });
        expect(server.messages.length).toBe(stage === "message" ? 1 : 0);
      }
    },
  );

  it("stalls until a timeout or the server's end", async () => {
    const server = started({ extensions: [], answers: { data: { end: "stall" } } });
    const smtp = await session(server, { timeouts: { dataInit: 0.1 } });
    expect(await reasonOf(smtp.sendmail(ada, charles, letter))).toBeInstanceOf(SMTPTimeoutError);
    const other = reasonOf(session(server).then((patient) => patient.sendmail(ada, charles, letter)));
    while (server.connections < 2 || server.commands.at(-1) !== "DATA") await new Promise((go) => setImmediate(go));
    await server.close();
    expect(await other).toBeInstanceOf(SMTPServerDisconnected);
  });

  it.each<[string, Reaction]>([
    ["late", { delay: 3600 }],
    ["never", { end: "stall" }],
  ])(
    "that is decided upon after the server was closed, and was to come %s, keeps nobody waiting",
    async (_, reaction) => {
      let asked = (): void => {};
      let decide = (_: Reaction): void => {};
      const wasAsked = new Promise<void>((resolve) => {
        asked = resolve;
      });
      const decided = new Promise<Reaction>((resolve) => {
        decide = resolve;
      });
      const answer = (): Promise<Reaction> => {
        asked();
        return decided;
      };
      const server = startServer({ answers: { mail: answer } });
      const sending = reasonOf(session(server).then((smtp) => smtp.sendmail(ada, charles, letter)));
      await wasAsked;
      const closed = server.close();
      decide(reaction);
      await closed;
      expect(await sending).toBeInstanceOf(SMTPServerDisconnected);
    },
  );

  it("may be late for any number of clients at once, without a warning of the runtime", async () => {
    const warnings: string[] = [];
    const listen = (warning: Error): void => void warnings.push(warning.name);
    process.on("warning", listen);
    onTestFinished(() => void process.off("warning", listen));
    const server = started({ answers: { mail: { delay: 3600 } } });
    const clients = Array.from({ length: 20 }, () =>
      reasonOf(session(server).then((smtp) => smtp.sendmail(ada, charles, letter))),
    );
    const asked = (): number => server.commands.filter((line) => line.startsWith("MAIL")).length;
    while (asked() < clients.length) await new Promise((go) => setImmediate(go));
    await server.close();
    for (const client of clients) expect(await client).toBeInstanceOf(SMTPServerDisconnected);
    expect(warnings).toEqual([]);
  });

  it("comes late, and in pieces, where it is to", async () => {
    const server = started({
      answers: { mail: { delay: 0.02, pieces: 1 }, message: { reply: "250 2.0.0\nlate\nok", pieces: 2 } },
    });
    const smtp = await session(server);
    const before = performance.now();
    const { reply } = await smtp.deliver({ from: ada, to: [charles], body: letter });
    expect(performance.now() - before).toBeGreaterThan(15);
    expect(reply.lines).toEqual(["2.0.0", "late", "ok"]);
  });

  it("answers a message in the middle of it", async () => {
    const server = started({ extensions: [], answers: { body: { reply: "552 5.3.4 too big", end: "close" } } });
    const smtp = await session(server);
    const endless = async function* () {
      for (;;) yield "x".repeat(10_000);
    };
    expect(await reasonOf(smtp.sendmail(ada, charles, endless()))).toMatchObject({
      smtp_code: 552,
      delivery: "rejected",
    });
  });

  it("closes after a 421", async () => {
    const server = started();
    server.once("mail", "421 4.3.2 shutting down");
    const smtp = await session(server);
    expect(await reasonOf(smtp.sendmail(ada, charles, letter))).toMatchObject({ temporary: true });
    expect(smtp.connected).toBe(false);
  });

  it("that throws ends the connection, and is told when the server is closed", async () => {
    const failure = new Error("expected something else");
    const server = startServer({
      answers: {
        mail: () => {
          throw failure;
        },
      },
    });
    const smtp = await session(server);
    expect(await reasonOf(smtp.sendmail(ada, charles, letter))).toBeInstanceOf(SMTPServerDisconnected);
    expect(await reasonOf(server.close())).toBe(failure);
    await server.close();
  });

  it("must be a reply", () => {
    expect(() => startServer({ answers: { mail: "no" } })).toThrow(RangeError);
    expect(() => startServer().once("mail", { reply: "2500 no" })).toThrow(RangeError);
  });
});

/** The server's replies to commands that are sent at once. */
async function said(server: TestServer, commands: string): Promise<string> {
  const stream = await server.transport({ host: "mail.example.com", port: 25 }, {});
  await stream.write(bytes(`${commands}\r\nQUIT\r\n`));
  const all = await readText(stream, Number.POSITIVE_INFINITY);
  return all.replace(/221 .*\r\n$/, "");
}

describe("a stream of the caller's", () => {
  it("is spoken on as those of the transport are", async () => {
    const server = started();
    const [client, end] = createMemoryPair();
    const stream = { ...memoryEnd(end) };
    const over = server.accept(stream, { secure: true });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: async () => client });
    await smtp.sendmail(ada, charles, letter);
    await smtp.quit();
    await over;
    expect(server.messages).toMatchObject([{ from: ada, secure: true, connection: 1 }]);
  });

  it("goes over to TLS by its own means, and forgets what came in clear", async () => {
    const server = started();
    const [client, end] = createMemoryPair();
    let secured = 0;
    const startTls = async (): Promise<void> => {
      secured += 1;
    };
    const over = server.accept({ ...memoryEnd(end), startTls });
    await readText(client, 32);
    await client.write(bytes("STARTTLS\r\nNOOP\r\n"));
    expect(await readText(client, 20)).toBe("220 2.0.0 go ahead\r\n");
    await client.write(bytes("QUIT\r\n"));
    expect(await readToEnd(client)).toBe("221 2.0.0 bye\r\n");
    await over;
    expect(secured).toBe(1);
  });

  it("is dropped where its TLS fails, and with the server", async () => {
    const server = started();
    const [client, end] = createMemoryPair();
    const over = server.accept({ ...memoryEnd(end), startTls: () => Promise.reject(new Error("no handshake")) });
    await client.write(bytes("STARTTLS\r\n"));
    await over;
    await expect(readToEnd(client)).rejects.toThrow();
    const [other, otherEnd] = createMemoryPair();
    const open = server.accept(memoryEnd(otherEnd));
    await readText(other, 3);
    await server.close();
    await open;
    await expect(server.accept(memoryEnd(otherEnd))).rejects.toThrow(/closed/);
  });
});

describe("a server of one protocol", () => {
  it.each([
    ["smtp", LMTP],
    ["lmtp", SMTP],
  ] as const)("refuses the greeting of the other one: %s", async (protocol, Client) => {
    const server = started({ protocol });
    const client = await Client.connect("mail.example.com", 25, { transport: server.transport });
    expect(await client.ehlo()).toEqual([500, `5.5.1 this is ${protocol.toUpperCase()}`]);
    await client.quit();
  });
});

describe("a reply that is cut", () => {
  it("ends there, by silence or as it is told to", async () => {
    const server = started();
    server.once("ehlo", { cut: 5, end: "close" });
    const [client, end] = createMemoryPair();
    const over = server.accept(memoryEnd(end));
    await readText(client, 32);
    await client.write(bytes("EHLO me\r\n"));
    expect(await readToEnd(client)).toBe("250-m");
    await over;
    server.once("mail", { cut: 3 });
    const smtp = await session(server, { timeouts: { envelope: 0.1 } });
    expect(await reasonOf(smtp.sendmail(ada, charles, letter))).toBeInstanceOf(SMTPTimeoutError);
  });
});

it("keeps no more than it is told to", async () => {
  const server = started({ keep: 2 });
  const smtp = await session(server);
  for (const name of ["a", "b", "c"]) await smtp.sendmail(`${name}@example.com`, charles, letter);
  expect(server.messages.map(({ from }) => from)).toEqual(["b@example.com", "c@example.com"]);
  expect(server.commands).toHaveLength(2);
  expect((await server.next()).from).toBe("b@example.com");
});

/** The server's end of a pair, without TLS of its own. */
function memoryEnd(stream: MemoryStream): ServerStream {
  return {
    read: () => stream.read(),
    write: (data) => stream.write(data),
    close: () => stream.close(),
    abort: (reason) => stream.abort(reason),
  };
}
