/**
 * Postfix: the whole suite, and its own features: passwords checked by Dovecot, the parameters of DSN, lines of any
 * length, non-ASCII domains.
 */
import { expect, it } from "vitest";
import { utf8 } from "../../src/core/bytes.ts";
import type { SMTP } from "../../src/index.ts";
import { letter } from "./letters.ts";
import { awaitMessage } from "./mailbox.ts";
import { describeServer } from "./servers.ts";
import { sendAndCompare, session, smtpSuite } from "./smtp-suite.ts";

describeServer("postfix", (server) => {
  smtpSuite(server);

  it("takes lines longer than RFC 5321 allows, and puts them together again", async () => {
    await session(server, (smtp) => sendAndCompare(server, smtp, `${"x".repeat(10_000)}\r\n.${"y".repeat(5_000)}\r\n`));
  });

  const IDN = { from: "ada@exämple.test", to: "mary@bücher.test" };

  it.each<[name: string, send: (smtp: SMTP, content: string) => Promise<unknown>]>([
    ["sendmail()", (smtp, content) => smtp.sendmail(IDN.from, IDN.to, content)],
    ["send_message()", (smtp, content) => smtp.send_message(content, IDN.from, IDN.to)],
    [
      "mail(), rcpt() and data()",
      async (smtp, content) => {
        await smtp.ehlo();
        await smtp.mail(IDN.from);
        expect(await smtp.rcpt(IDN.to)).toMatchObject({ code: 250 });
        await smtp.data(content);
        return {};
      },
    ],
  ])("delivers to a domain that is not ASCII, and asks for no SMTPUTF8: %s", async (_, send) => {
    const { marker, content } = letter();
    await session(server, async (smtp) => {
      expect(await send(smtp, new TextDecoder().decode(content))).toEqual({});
    });
    const { trace, recipient } = await awaitMessage(server, marker);
    expect(recipient).toBe("mary@xn--bcher-kva.test");
    expect(trace).toContain("Return-Path: <ada@xn--exmple-cua.test>");
    expect(trace).toMatch(/\bwith ESMTP\b/);
  });

  it("takes a header field in Latin-1 as 8-bit text, and one in UTF-8 by SMTPUTF8", async () => {
    for (const [subject, protocol] of [
      [[0x47, 0x72, 0xfc, 0xdf, 0x65], "ESMTP"],
      [[...utf8("Grüße")], "UTF8SMTP"],
    ] as const) {
      const { marker, content } = letter();
      const field = [...utf8("Subject: "), ...subject, 13, 10];
      const message = Uint8Array.from([
        ...content.subarray(0, content.indexOf(10) + 1),
        ...field,
        ...content.subarray(content.indexOf(10) + 1),
      ]);
      await session(server, async (smtp) => {
        expect(await smtp.send_message(message, "sender@client.test", "someone@lab.test")).toEqual({});
      });
      const stored = await awaitMessage(server, marker);
      expect(stored.trace).toMatch(new RegExp(`\\bwith ${protocol}\\b`));
      expect(Buffer.from(stored.message).includes(Buffer.from(field))).toBe(true);
    }
  });

  it("is asked for a name of several words by one argument", async () => {
    await session(server, async (smtp) => expect((await smtp.vrfy("John Smith")).code).toBeGreaterThan(199));
  });

  it("takes the parameters of DSN", async () => {
    await session(server, async (smtp) => {
      const delivery = await smtp.deliver({
        from: "sender@client.test",
        to: [{ address: "someone@lab.test", notify: ["NEVER"], orcpt: "rfc822;some+one@lab.test" }],
        body: "Subject: dsn\r\n\r\n",
        ret: "HDRS",
        envid: "a+b=c",
      });
      expect(delivery.accepted).toEqual(["someone@lab.test"]);
    });
  });
});
