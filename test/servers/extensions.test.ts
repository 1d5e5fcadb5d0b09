/**
 * Each extension with the real servers that have it: accepted, and also effective. The table of docs/extensions.md
 * lists them.
 */
import { describe, expect } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { decodeXtext, describeStatus } from "../../src/core/index.ts";
import { type DeliveryRequest, type SMTP, SMTPNotSupportedError } from "../../src/index.ts";
import { defaultTransport } from "../../src/runtime.ts";
import { proof } from "../extensions/proof.ts";
import { failureOf } from "./failure.ts";
import { difference, letter } from "./letters.ts";
import { awaitMessage } from "./mailbox.ts";
import { describeServer, type Server } from "./servers.ts";
import { sendAndCompare, session } from "./smtp-suite.ts";

const sender = "sender@client.test";
const recipient = "someone@lab.test";

describeServer("postfix", (server) => {
  describe("extensions", () => {
    proof("SIZE", "Postfix", "is declared, and what is too large refused", () => size(server));
    proof("PIPELINING", "Postfix", "has the envelope in one write", () => pipelining(server));
    proof("8BITMIME", "Postfix", "is declared, and the octets arrive", () => eightBit(server));
    proof("CHUNKING", "Postfix", "carries messages by BDAT, of known and of unknown length", () => chunking(server));
    proof("SMTPUTF8", "Postfix", "takes addresses beyond ASCII", () => utf8(server));
    proof("DSN", "Postfix", "reports a delivery, by the names that were given", () => dsn(server));
    proof("ENHANCEDSTATUSCODES", "Postfix", "says why a recipient is refused", () => statusCodes(server));
    proof("STARTTLS", "Postfix", "encrypts the session", () => startTls(server));
    proof("AUTH", "Postfix", "lets a member in, who says for whom he submits", () => auth(server));
    proof("VRFY", "Postfix", "is answered, beyond ASCII too", async () => {
      await session(server, async (smtp) => {
        expect(await smtp.verify(recipient)).toMatchObject({ code: 252 });
        await smtp.ehlo();
        expect(await smtp.verify("用户@lab.test")).toMatchObject({ code: 252 });
      });
    });
  });
});

describeServer("exim", (server) => {
  describe("extensions", () => {
    proof("SIZE", "Exim", "is declared, and what is too large refused", () => size(server));
    proof("PIPELINING", "Exim", "has the envelope in one write", () => pipelining(server));
    proof("8BITMIME", "Exim", "is declared, and the octets arrive", () => eightBit(server));
    proof("CHUNKING", "Exim", "carries messages by BDAT, of known and of unknown length", () => chunking(server));
    proof("SMTPUTF8", "Exim", "takes addresses beyond ASCII", () => utf8(server));
    proof("DSN", "Exim", "reports a delivery, by the names that were given", () => dsn(server));
    proof("STARTTLS", "Exim", "encrypts the session", () => startTls(server));
    proof("AUTH", "Exim", "lets a member in, who says for whom he submits", () => auth(server));
    proof("VRFY", "Exim", "is answered", async () => {
      await session(server, async (smtp) => expect(await smtp.verify(recipient)).toMatchObject({ code: 252 }));
    });
    proof("HELP", "Exim", "names the commands", async () => {
      await session(server, async (smtp) => expect(await smtp.help()).toContain("RCPT"));
    });
  });
});

describeServer("sendmail", (server) => {
  describe("extensions", () => {
    proof("SIZE", "sendmail", "is declared, and what is too large refused", () => size(server));
    proof("PIPELINING", "sendmail", "has the envelope in one write", () => pipelining(server));
    proof("8BITMIME", "sendmail", "is declared, and the octets arrive", () => eightBit(server));
    proof("DSN", "sendmail", "reports a delivery, by the names that were given", () => dsn(server));
    proof("ENHANCEDSTATUSCODES", "sendmail", "says why a recipient is refused", () => statusCodes(server));
    proof("VRFY", "sendmail", "is answered", async () => {
      await session(server, async (smtp) => expect(await smtp.vrfy(recipient)).toMatchObject({ code: 250 }));
    });
    proof("EXPN", "sendmail", "is answered", async () => {
      await session(server, async (smtp) => {
        expect(await smtp.expn(recipient)).toMatchObject([250, `2.1.5 <${recipient}>`]);
      });
    });
    proof("DELIVERBY", "sendmail", "gives the message its time, which the report names", async () => {
      const report = await reportOf(server, { by: { seconds: 3600, mode: "return", trace: true } });
      const arrival = Date.parse(field(report, "Arrival-Date"));
      expect(Date.parse(field(report, "Deliver-By-Date")) - arrival).toBe(3_600_000);
    });
    proof("DELIVERBY", "sendmail", "is refused beforehand below its least time, as the server would", async () => {
      await session(server, async (smtp) => {
        const tooShort = smtp.sendmail(sender, recipient, "", { by: { seconds: 59, mode: "return" } });
        expect(await failureOf(tooShort)).toBeInstanceOf(SMTPNotSupportedError);
        const raw = smtp.sendmail(sender, recipient, "", ["BY=59;R"]);
        expect(await failureOf(raw)).toMatchObject({ name: "SMTPSenderRefused", smtp_code: 555 });
      });
    });
  });
});

async function size(server: Server): Promise<void> {
  const { writes, transport } = recorded();
  const { content } = letter();
  await session(
    server,
    async (smtp) => {
      await smtp.sendmail(sender, recipient, content);
      expect(writes.join("")).toMatch(new RegExp(`^MAIL FROM:.* SIZE=${content.length}\\b`, "m"));
      const sent = smtp.sendmail(sender, recipient, content, { size: 200_000_000 });
      expect(await failureOf(sent)).toMatchObject({ name: "SMTPNotSupportedError", capability: "SIZE" });
      const raw = smtp.sendmail(sender, recipient, content, ["SIZE=200000000"]);
      expect(await failureOf(raw)).toMatchObject({ name: "SMTPSenderRefused", smtp_code: 552 });
    },
    { transport },
  );
}

async function pipelining(server: Server): Promise<void> {
  const { writes, transport } = recorded();
  const { marker, content } = letter();
  await session(server, async (smtp) => void (await smtp.sendmail(sender, recipient, content)), { transport });
  expect(writes.filter((text) => /^MAIL .*\r\nRCPT .*\r\n/.test(text))).toHaveLength(1);
  await awaitMessage(server, marker);
}

async function eightBit(server: Server): Promise<void> {
  const { writes, transport } = recorded();
  await session(server, (smtp) => sendAndCompare(server, smtp, "Grüße, 世界\r\n"), { transport });
  expect(writes.join("")).toMatch(/^MAIL .* BODY=8BITMIME\b/m);
}

async function chunking(server: Server): Promise<void> {
  const { writes, transport } = recorded();
  const streamed = letter("streamed\r\n.\r\n".repeat(100));
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < streamed.content.length; at += 100) yield streamed.content.slice(at, at + 100);
  }
  const use = async (smtp: SMTP): Promise<void> => {
    await sendAndCompare(server, smtp, ".dots\n.\r\nand\rlines\n");
    await smtp.sendmail(sender, recipient, chunks());
  };
  await session(server, use, { transport, chunking: true });
  expect(difference(streamed.content, (await awaitMessage(server, streamed.marker)).message)).toBeUndefined();
  expect(writes.join("").match(/^BDAT \d+ LAST\r$/gm)).toHaveLength(2);
  expect(writes.join("")).not.toMatch(/^DATA\r$/m);
}

async function utf8(server: Server): Promise<void> {
  const { marker, content } = letter("Grüße\r\n");
  await session(server, async (smtp) => {
    expect(await smtp.sendmail("jürgen@client.test", ["用户@lab.test"], content)).toEqual({});
  });
  const stored = await awaitMessage(server, marker);
  expect(stored.recipient).toBe("用户@lab.test");
  expect(difference(content, stored.message)).toBeUndefined();
}

async function dsn(server: Server): Promise<void> {
  const report = await reportOf(server, { ret: "HDRS" });
  expect(given(server, report, "Original-Recipient")).toMatch(/^rfc822; ?first\+address=here@lab\.test$/);
  expect(field(report, "Action")).toMatch(/^delivered\b/);
  expect(report).not.toContain("The body is not returned.");
}

async function statusCodes(server: Server): Promise<void> {
  await session(server, async (smtp) => {
    const refused = await smtp.sendmail(sender, [recipient, "refused@lab.test"], letter().content);
    const code = refused["refused@lab.test"]?.enhancedCode ?? "";
    expect(describeStatus(code)).toBe("Permanent failure: Bad destination mailbox address");
  });
}

async function startTls(server: Server): Promise<void> {
  await session(server, async (smtp) => {
    await smtp.starttls({ ca: server.ca, servername: "localhost" });
    expect(smtp.peer?.tls?.verified).toBe(true);
    await sendAndCompare(server, smtp);
  });
}

async function auth(server: Server): Promise<void> {
  const { marker, content } = letter();
  await session(server, async (smtp) => {
    await smtp.login(server.user, server.password);
    expect(await smtp.sendmail(sender, "members@lab.test", content, { auth: "e+mc2=x@client.test" })).toEqual({});
  });
  await awaitMessage(server, marker);
}

/** Sends a message with a request for a delivery report; returns the report, which its sender gets. */
async function reportOf(server: Server, options: Partial<DeliveryRequest>): Promise<string> {
  const { content } = letter("The body is not returned.\r\n");
  const marker = crypto.randomUUID();
  const envid = `order+${marker}=1`;
  await session(server, async (smtp) => {
    await smtp.deliver({
      from: "sender@lab.test",
      to: [{ address: recipient, notify: ["SUCCESS"], orcpt: "rfc822;first+address=here@lab.test" }],
      body: content,
      envid,
      ...options,
    });
  });
  const { raw } = await awaitMessage(server, marker);
  const report = new TextDecoder().decode(raw);
  expect(given(server, report, "Original-Envelope-Id")).toBe(envid);
  return report;
}

function field(report: string, name: string): string {
  return new RegExp(`^${name}: *(.*?)\\r?$`, "im").exec(report)?.[1] ?? "";
}

/** The client's text, sent as xtext; all servers except Exim decode it in a report. */
function given(server: Server, report: string, name: string): string {
  const value = field(report, name);
  return server.name === "exim" ? decodeXtext(value) : value;
}

/** The runtime's own transport, and the bytes written to it. */
function recorded(): { writes: string[]; transport: Transport } {
  const writes: string[] = [];
  const transport: Transport = async (endpoint, options) => {
    const connect = await defaultTransport({ endpoint, options });
    const stream = await connect(endpoint, options);
    const write = stream.write.bind(stream);
    stream.write = (data) => {
      writes.push(new TextDecoder().decode(data));
      return write(data);
    };
    return stream;
  };
  return { writes, transport };
}
