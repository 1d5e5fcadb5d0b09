/** The messages that a pool sends, and how it distributes them to connections. */
import { describe, expect, it } from "vitest";
import type { ByteStream, Transport } from "../../src/byte-stream.ts";
import { SMTPNotSupportedError, SMTPPool, SMTPRecipientsRefused } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { watchForLeaks } from "../hostile/scenario.ts";
import { MESSAGE, outcome, pooled, said, send } from "./pool.ts";

const PIPELINING = ["PIPELINING", "8BITMIME"];

watchForLeaks();

describe("the sending methods", () => {
  it("take what SMTP's take, and give what they give", async () => {
    const refuse = (line: string): string => (line.includes("nobody") ? "550 5.1.1 no" : "250 ok");
    const { pool, server } = pooled({ ehlo: [...PIPELINING, "DSN"], on: { RCPT: refuse } });
    const to = ["b@b.test", "nobody@b.test"];
    const refused = await pool.sendmail("a@a.test", to, MESSAGE, ["BODY=8BITMIME"], { notify: ["NEVER"] });
    expect(Object.entries(refused)).toEqual([["nobody@b.test", [550, "5.1.1 no"]]]);
    const header = "From: a@a.test\r\nTo: b@b.test\r\nBcc: c@b.test\r\n";
    expect(await pool.send_message(`${header}\r\nhello\r\n`)).toEqual({});
    const { accepted, reply } = await pool.deliver({
      from: "a@a.test",
      to: ["b@b.test"],
      body: [MESSAGE],
      ret: "HDRS",
    });
    expect([accepted, reply.code]).toEqual([["b@b.test"], 250]);
    expect(said(server, "MAIL", "RCPT")).toEqual([
      "MAIL FROM:<a@a.test> BODY=8BITMIME",
      "RCPT TO:<b@b.test> NOTIFY=NEVER",
      "RCPT TO:<nobody@b.test> NOTIFY=NEVER",
      "MAIL FROM:<a@a.test>",
      "RCPT TO:<b@b.test>",
      "RCPT TO:<c@b.test>",
      "MAIL FROM:<a@a.test> RET=HDRS BODY=8BITMIME",
      "RCPT TO:<b@b.test>",
    ]);
    expect(server.messages).toEqual([MESSAGE, "From: a@a.test\r\nTo: b@b.test\r\n\r\nhello\r\n", MESSAGE]);
    await pool.close();
  });

  it("read the header of each message, the first and the later ones", async () => {
    const { server, pool } = pooled();
    for (const to of ["one", "two"]) {
      expect(await pool.send_message(`From: ada@a.test\r\nTo: ${to}@b.test\r\n\r\nhello\r\n`)).toEqual({});
    }
    expect(said(server, "RCPT")).toEqual(["RCPT TO:<one@b.test>", "RCPT TO:<two@b.test>"]);
    await pool.close();
  });

  it("refuse arguments before anything is connected", async () => {
    const { pool, server } = pooled();
    await expect(pool.sendmail("a@a.test\r\nRSET", "b@b.test", MESSAGE)).rejects.toThrow(RangeError);
    await expect(pool.sendmail("a@a.test", [], MESSAGE)).rejects.toThrow(SMTPRecipientsRefused);
    await expect(pool.send_message("no header")).rejects.toThrow(TypeError);
    await expect(Reflect.apply(pool.deliver, pool, [undefined])).rejects.toThrow(TypeError);
    await expect(Reflect.apply(pool.sendmail, pool, ["a@a.test", "b@b.test", MESSAGE, [], [], 1])).rejects.toThrow(
      "call",
    );
    expect(server.streams).toEqual([]);
    await pool.close();
  });

  it("do not see what the caller does with his arguments after the call", async () => {
    const { pool, server } = pooled();
    const to = ["b@b.test"];
    const delivery = { from: "a@a.test", to: ["c@b.test"], body: MESSAGE };
    const sent = [pool.sendmail("a@a.test", to, MESSAGE), pool.deliver(delivery)];
    to[0] = "wrong@b.test";
    delivery.to[0] = "wrong@b.test";
    delivery.from = "wrong@a.test";
    await Promise.all(sent);
    expect(said(server, "MAIL", "RCPT").join()).not.toContain("wrong");
    await pool.close();
  });

  it("report what the server lacks, and go on with the next message", async () => {
    const { pool } = pooled({ ehlo: ["PIPELINING"] });
    await expect(pool.sendmail("a@a.test", "b@b.test", "grüße\r\n")).rejects.toThrow(SMTPNotSupportedError);
    expect(await outcome(send(pool))).toBe("ok");
    expect(pool.stats).toMatchObject({ connections: 1, sent: 1, failed: 1 });
    await pool.close();
  });
});

describe("the connections", () => {
  it("are opened when messages come, and no more of them than there are messages", async () => {
    const { pool, server } = pooled({ ehlo: PIPELINING }, { maxConnections: 5 });
    expect(pool.stats).toMatchObject({ connections: 0, connecting: 0 });
    await Promise.all([send(pool, "one"), send(pool, "two")]);
    expect(server.streams).toHaveLength(2);
    await pool.close();
  });

  it("are never more than maxConnections, and each sends some of many messages", async () => {
    const { pool, server } = pooled({ ehlo: PIPELINING }, { maxConnections: 3 });
    const names = Array.from({ length: 30 }, (_, index) => `m${index}`);
    await Promise.all(names.map((name) => send(pool, name)));
    expect(server.streams).toHaveLength(3);
    expect(server.messages).toHaveLength(30);
    expect(pool.stats).toMatchObject({ connections: 3, idle: 3, active: 0, sent: 30, queued: 0, sending: 0 });
    await pool.close();
  });

  it("are used again", async () => {
    const { pool, server } = pooled();
    for (const name of ["one", "two", "three"]) await send(pool, name);
    expect(server.streams).toHaveLength(1);
    expect(said(server, "EHLO", "RSET", "NOOP")).toHaveLength(1);
    await pool.close();
    expect(said(server, "QUIT")).toHaveLength(1);
  });

  it("send queued messages in the order of the calls, each envelope behind the last message's end", async () => {
    const { pool, server } = pooled({ ehlo: PIPELINING }, { maxConnections: 1 });
    const names = Array.from({ length: 10 }, (_, index) => `m${index}`);
    await Promise.all(names.map((name) => send(pool, name)));
    expect(server.messages).toEqual(names.map((name) => `Subject: ${name}\r\n\r\n${name}\r\n`));
    // EHLO, the first envelope, and then one write for each message: its end, and the next envelope.
    expect(server.writes).toHaveLength(2 + names.length);
    expect(server.writes[2]).toMatch(/\r\n\.\r\nMAIL FROM:<m1@a\.test>.*\r\nRCPT.*\r\nDATA\r\n$/);
    await pool.close();
  });

  it("send to no more recipients at once than the server's LIMITS say, and count each transaction", async () => {
    const { pool, server } = pooled({ ehlo: [...PIPELINING, "LIMITS RCPTMAX=2 MAILMAX=4"] }, { maxConnections: 1 });
    const to = ["one", "two", "three", "four", "five"].map((name) => `${name}@b.test`);
    const { accepted } = await pool.deliver({ from: "a@a.test", to, body: MESSAGE });
    expect(accepted).toEqual(to);
    expect(server.lines.filter((line) => /^(MAIL|RCPT)/.test(line)).map((line) => line.slice(0, 4))).toEqual([
      "MAIL",
      "RCPT",
      "RCPT",
      "MAIL",
      "RCPT",
      "RCPT",
      "MAIL",
      "RCPT",
    ]);
    for (const name of ["one", "two"]) await send(pool, name);
    expect(server.streams).toHaveLength(2);
    expect(pool.stats).toMatchObject({ sent: 3, failed: 0 });
    await pool.close();
  });
});

describe("a server that reads nothing any more", () => {
  // A write to it never ends: QUIT has its own timeout, independent of that of a data block.
  const deaf = (transport: Transport): Transport => {
    return async (endpoint, options) => {
      const stream = await transport(endpoint, options);
      const { write } = stream;
      const patched: ByteStream["write"] = (bytes) =>
        new TextDecoder().decode(bytes).startsWith("QUIT") ? new Promise(() => {}) : write.call(stream, bytes);
      return Object.assign(stream, { write: patched });
    };
  };

  it.each([{}, { maxMessages: 1 }])(
    "delays the end of a pool for no longer than QUIT may take: %j",
    async (options) => {
      const server = new FakeServer();
      const transport = deaf(server.transport);
      const pool = new SMTPPool({ host: "mail.example.com", transport, timeouts: { quit: 0.02 }, ...options });
      await send(pool);
      await pool.close();
      expect(server.messages).toHaveLength(1);
    },
  );
});
