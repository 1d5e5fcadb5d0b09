/** The option `logger`: a readable line and its fields, with the console and with the real pino and LogTape. */
import { Writable } from "node:stream";
import { configure, getLogger, type LogRecord, reset } from "@logtape/logtape";
import pino from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type LogFields, type Logger, SMTP } from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";

type Line = { readonly level: string; readonly message: string; readonly fields: LogFields };

afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

/** A login and a message with two recipients, one of which is refused. */
async function deliver(logger: Logger, script: Script = {}): Promise<void> {
  const on = { AUTH: "235 2.7.0 in", RCPT: ["250 ok", "550 5.1.1 no such mailbox {x} 100%d"], ...script.on };
  const { transport } = new FakeServer({ ehlo: ["AUTH PLAIN"], peer: { loopback: true }, ...script, on });
  const smtp = await SMTP.connect("mail.example.com", 587, { transport, logger });
  await smtp.login("user", "correct horse");
  await smtp.sendmail("ada@example.com", ["charles@example.net", "nobody@example.net"], "Hi!\n").catch(() => {});
  await smtp.quit().catch(() => {});
}

function recorder(): { logger: Logger; lines: Line[] } {
  const lines: Line[] = [];
  const at =
    (level: string) =>
    (message: string, fields: LogFields): void =>
      void lines.push({ level, message, fields });
  return { lines, logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

const NO_SUCH_USER = {
  event: "reply",
  command: "RCPT TO:<nobody@example.net>",
  code: 550,
  enhancedCode: "5.1.1",
  text: "5.1.1 no such mailbox {x} 100%d",
};

describe("a logger", () => {
  it("is told of the connection, the dialogue and the delivery, in lines and in fields", async () => {
    const { logger, lines } = recorder();
    await deliver(logger);
    expect(lines).toContainEqual({
      level: "info",
      message: "connect: mail.example.com:587",
      fields: { event: "connect", host: "mail.example.com", port: 587 },
    });
    expect(lines.find(({ fields }) => fields.event === "open")).toMatchObject({ level: "debug" });
    expect(lines).toContainEqual({
      level: "debug",
      message: "send: MAIL FROM:<ada@example.com>",
      fields: { event: "send", command: "MAIL FROM:<ada@example.com>" },
    });
    expect(lines).toContainEqual({
      level: "debug",
      message: "reply: 550 5.1.1 no such mailbox {x} 100%d",
      fields: NO_SUCH_USER,
    });
    expect(lines.find(({ fields }) => fields.event === "delivered")).toMatchObject({
      level: "info",
      message: "delivered: to 1 of 2: 250 2.0.0 queued as 1",
      fields: { accepted: 1, refused: 1, code: 250, enhancedCode: "2.0.0", seconds: expect.any(Number) },
    });
    expect(lines.at(-1)).toEqual({ level: "debug", message: "end: closed", fields: { event: "end" } });
  });

  it("is warned of a message that was not delivered, and told what that means", async () => {
    const { logger, lines } = recorder();
    await deliver(logger, { on: { RCPT: "450 4.2.0 try later" } });
    expect(lines.filter(({ level }) => level === "warn")).toMatchObject([
      {
        message: expect.stringMatching(/^failed: no recipient was accepted; .*450 4\.2\.0 try later/),
        fields: { event: "failed", error: "SMTPRecipientsRefused", temporary: true, delivery: "rejected" },
      },
    ]);
  });

  it("is warned of a connection that is lost, and of one that never came about", async () => {
    const { logger, lines } = recorder();
    await deliver(logger, { on: { DATA: "close" } });
    const end = lines.find(({ fields }) => fields.event === "end");
    expect(end).toMatchObject({ level: "warn", fields: { error: "SMTPServerDisconnected" } });
    await SMTP.connect("gone.example.com", 25, {
      transport: () => Promise.reject(new Error("no route")),
      logger,
    }).catch(() => {});
    expect(lines.at(-1)).toMatchObject({
      level: "warn",
      fields: { event: "connect-failed", error: "SMTPConnectError", code: -1, temporary: true },
    });
  });

  it("gets neither credentials nor control characters, in no field either", async () => {
    const { logger, lines } = recorder();
    const secret = btoa("\0user\0correct horse");
    await deliver(logger, { on: { AUTH: (line) => `235 ${line} \x1b[31m`, RCPT: "550 \x1b[2Jno\x07" } });
    expect(lines.some(({ fields }) => fields["command"] === "AUTH PLAIN ***")).toBe(true);
    const everything = lines.flatMap(({ message, fields }) => [message, ...Object.values(fields).map(String)]).join();
    expect(everything).not.toContain(secret);
    expect(everything).not.toContain("correct horse");
    expect(everything).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });
});

describe("the console", () => {
  it("prints the line as it is, percent signs too, and the fields", async () => {
    const printed: unknown[][] = [];
    for (const level of ["debug", "info", "warn"] as const) {
      vi.spyOn(console, level).mockImplementation((...args: unknown[]) => void printed.push(args));
    }
    await deliver(console);
    expect(printed).toContainEqual([
      "connect: mail.example.com:587",
      { event: "connect", host: "mail.example.com", port: 587 },
    ]);
    expect(printed).toContainEqual(["%s", "reply: 550 5.1.1 no such mailbox {x} 100%d", NO_SUCH_USER]);
  });
});

describe("pino", () => {
  it("writes the line as its message and the fields as its own", async () => {
    const written: Record<string, unknown>[] = [];
    const stream = new Writable({
      write: (chunk, _, done) => {
        written.push(JSON.parse(String(chunk)));
        done();
      },
    });
    await deliver(pino({ level: "debug" }, stream));
    expect(written).toContainEqual(
      expect.objectContaining({ level: 30, msg: "connect: mail.example.com:587", host: "mail.example.com", port: 587 }),
    );
    expect(written).toContainEqual(
      expect.objectContaining({ level: 20, msg: "reply: 550 5.1.1 no such mailbox {x} 100%d", ...NO_SUCH_USER }),
    );
    expect(JSON.stringify(written)).not.toContain(btoa("\0user\0correct horse"));
  });

  it("may be a child of another", async () => {
    const written: string[] = [];
    const stream = new Writable({ write: (chunk, _, done) => done(void written.push(String(chunk))) });
    await deliver(pino({ level: "info" }, stream).child({ component: "mail" }));
    expect(written.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ component: "mail", event: "delivered", accepted: 1, refused: 1 }),
    );
  });
});

describe("LogTape", () => {
  it("renders the line as it is, braces too, and keeps the fields as properties", async () => {
    const records: LogRecord[] = [];
    await configure({
      sinks: { memory: (record) => void records.push(record) },
      loggers: [
        { category: "app", lowestLevel: "debug", sinks: ["memory"] },
        { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
      ],
    });
    await deliver(getLogger(["app", "mail"]));
    const lines = records.map(({ level, message, properties }) => ({ level, message: message.join(""), properties }));
    expect(lines).toContainEqual({
      level: "info",
      message: "connect: mail.example.com:587",
      properties: { event: "connect", host: "mail.example.com", port: 587 },
    });
    expect(lines).toContainEqual({
      level: "debug",
      message: "reply: 550 5.1.1 no such mailbox {x} 100%d",
      properties: NO_SUCH_USER,
    });
  });
});
