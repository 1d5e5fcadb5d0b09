/** Non-ASCII names: A-labels on the wire, and SMTPUTF8 only for names without such a form. */
import nodemailer from "nodemailer";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LMTP, SMTP, type SMTPOptions, SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { permit } from "../judge/under-test.ts";
import { reasonOf, session } from "../support/session.ts";

const OFFERED = [["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"], ["8BITMIME"], []];
const MESSAGE = "Subject: x\n\nHi!\n";
const host = "mail.example.com";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

/** The lines of MAIL and RCPT, without BODY: the plug-ins send streams, whose content is not known beforehand. */
const envelopeOf = (server: FakeServer): string[] =>
  server.lines.filter((line) => /^(MAIL|RCPT)/.test(line)).map((line) => line.replace(" BODY=8BITMIME", ""));
const helloOf = (server: FakeServer): string | undefined => server.lines.find((line) => /^(EHLO|HELO|LHLO)/.test(line));

describe.each(OFFERED.map((ehlo) => [ehlo]))(
  "a domain that is not ASCII behind a local part that is, with %j",
  (ehlo) => {
    const A_LABELS = ["MAIL FROM:<ada@xn--exmple-cua.com>", "RCPT TO:<mary@xn--bcher-kva.example>"];
    const [from, to] = ["ada@exämple.com", "mary@Bücher.example"];

    test.each<[name: string, send: (smtp: SMTP) => Promise<unknown>]>([
      ["sendmail()", (smtp) => smtp.sendmail(from, to, MESSAGE)],
      ["sendmail() with a display name", (smtp) => smtp.sendmail(`Ada <${from}>`, [`<${to}>`], MESSAGE)],
      ["deliver()", (smtp) => smtp.deliver({ from, to: [{ address: to }], body: MESSAGE })],
      ["send_message() with arguments", (smtp) => smtp.send_message(MESSAGE, from, to)],
      ["mail() and rcpt()", async (smtp) => [await smtp.ehlo(), await smtp.mail(from), await smtp.rcpt(to)]],
      ["mail() and rcpt() before EHLO", async (smtp) => [await smtp.mail(from), await smtp.rcpt(to)]],
    ])("goes as A-labels, without SMTPUTF8: %s", async (_, send) => {
      const { server, smtp } = await session({ ehlo });
      await send(smtp);
      expect(envelopeOf(server)).toEqual(A_LABELS);
    });

    test.each([true, false, "eager"] as const)("is that of the pool, too, with pipelining %s", async (pipelining) => {
      const server = new FakeServer({ ehlo: [...ehlo, "CHUNKING"] });
      const pool = new SMTPPool({ host, transport: server.transport, pipelining });
      open.push(pool);
      await pool.sendmail(from, to, MESSAGE);
      expect(envelopeOf(server)).toEqual(A_LABELS);
    });

    test("is that of LMTP", async () => {
      const server = new FakeServer({ ehlo });
      const lmtp = new LMTP(host, 24, { transport: server.transport });
      open.push(lmtp);
      await lmtp.sendmail(from, to, MESSAGE);
      expect(envelopeOf(server)).toEqual(A_LABELS);
    });

    test("is that of both plug-ins", async () => {
      const server = new FakeServer({ ehlo });
      const transporter = nodemailer.createTransport(smtplib({ host, transport: server.transport }));
      open.push(transporter);
      await transporter.sendMail({ from, to, subject: "x", text: "Hi!" });
      expect(envelopeOf(server)).toEqual(A_LABELS);

      const other = new FakeServer({ ehlo });
      const upyo = new SmtplibTransport({ host, transport: other.transport });
      open.push(upyo);
      const address = (text: string): { address: `${string}@${string}` } => ({
        address: `${text.split("@")[0]}@${text.split("@")[1]}`,
      });
      const receipt = await upyo.send({
        sender: address(from),
        recipients: [address(to)],
        ccRecipients: [],
        bccRecipients: [],
        replyRecipients: [],
        attachments: [],
        subject: "x",
        content: { text: "Hi!" },
        priority: "normal",
        tags: [],
        headers: new Headers(),
      });
      expect(receipt).toMatchObject({ successful: true });
      expect(envelopeOf(other)).toEqual(A_LABELS);
    });

    test("is refused under the address that was given", async () => {
      const refusing = (line: string): string => (line.includes("xn--") ? "550 5.1.1 unknown" : "250 ok");
      const { smtp } = await session({ ehlo, on: { RCPT: refusing } });
      expect(Object.keys(await smtp.sendmail("a@x.y", [to, "b@x.y"], MESSAGE))).toEqual([to]);
      const message = `To: Mary <${to}>, b@x.y\n\nHi!\n`;
      if (ehlo.includes("SMTPUTF8")) {
        expect(Object.keys(await smtp.send_message(message, "a@x.y"))).toEqual([to]);
      }
    });
  },
);

test("SMTPUTF8 for one address leaves the domains of the others A-labels", async () => {
  const { server, smtp } = await session({ ehlo: ["SMTPUTF8", "8BITMIME"] });
  await smtp.sendmail("ada@exämple.com", ["jürgen@bücher.example", "mary@bücher.example"], MESSAGE);
  expect(envelopeOf(server)).toEqual([
    "MAIL FROM:<ada@xn--exmple-cua.com> SMTPUTF8",
    "RCPT TO:<jürgen@bücher.example>",
    "RCPT TO:<mary@xn--bcher-kva.example>",
  ]);
});

test("a domain without A-labels needs SMTPUTF8", async () => {
  const offering = await session({ ehlo: ["SMTPUTF8", "8BITMIME"] });
  await offering.smtp.sendmail("ada@x.y", "mary@ü_x.example", MESSAGE);
  expect(envelopeOf(offering.server)).toEqual(["MAIL FROM:<ada@x.y> SMTPUTF8", "RCPT TO:<mary@ü_x.example>"]);
  const other = await session();
  expect(await reasonOf(other.smtp.sendmail("ada@x.y", "mary@ü_x.example", MESSAGE))).toMatchObject({
    name: "SMTPNotSupportedError",
    delivery: "not-sent",
  });
});

describe("our name", () => {
  // RFC 5321 4.1.2 allows no underscore, but a caller's host may have one.
  beforeEach(() => permit(/labels of letters, digits and hyphens/));

  const NAMES: [name: string, sent: string][] = [
    ["MÜLLER-PC", "xn--mller-pc-65a"],
    ["mail.bücher.example", "mail.xn--bcher-kva.example"],
    ["My_Host", "My_Host"],
    ["", "[127.0.0.1]"],
  ];

  test.each(NAMES)("%j goes as %s", async (name, sent) => {
    const said = async (options: SMTPOptions, call: (smtp: SMTP) => Promise<unknown>): Promise<string | undefined> => {
      const { server, smtp } = await session({}, options);
      await call(smtp);
      return helloOf(server);
    };
    expect(await said({ local_hostname: name }, (smtp) => smtp.ehlo())).toBe(`EHLO ${sent}`);
    expect(await said({ local_hostname: name }, (smtp) => smtp.helo())).toBe(`HELO ${sent}`);
    expect(await said({ local_hostname: name }, (smtp) => smtp.sendmail("a@x.y", "b@x.y", "x"))).toBe(`EHLO ${sent}`);
    expect(await said({}, (smtp) => smtp.ehlo(name))).toBe(`EHLO ${sent}`);
    expect(await said({}, (smtp) => smtp.helo(name))).toBe(`HELO ${sent}`);
    const set = async (smtp: SMTP): Promise<unknown> => {
      smtp.local_hostname = name;
      return smtp.ehlo();
    };
    expect(await said({ local_hostname: "other" }, set)).toBe(`EHLO ${sent}`);
  });

  test.each(NAMES)("%j goes as %s in LMTP, a pool, a URL and the plug-ins", async (name, sent) => {
    const server = new FakeServer();
    const { transport } = server;
    const lmtp = new LMTP(host, 24, { transport, local_hostname: name });
    open.push(lmtp);
    await lmtp.ehlo();
    const encoded = encodeURIComponent(name);
    for (const pool of [
      new SMTPPool({ host, transport, local_hostname: name }),
      new SMTPPool(`smtp://${host}/${encoded}`, { transport }),
      new SMTPPool(`smtp://${host}?name=${encoded}`, { transport }),
    ]) {
      open.push(pool);
      await pool.check();
    }
    const plugin = smtplib(`smtp://${host}?name=${encoded}`, { transport });
    open.push(plugin);
    await plugin.verify();
    const hellos = server.lines.filter((line) => /^(EHLO|HELO|LHLO)/.test(line));
    expect(hellos).toEqual([`LHLO ${sent}`, ...Array(4).fill(`EHLO ${sent}`)]);
  });

  test.each(["ü b", "ü/x", "ü..x", "[ü]", "ü".repeat(80), "ü:25"])("%j is refused by name", async (name) => {
    expect(() => new SMTP(undefined, undefined, { local_hostname: name })).toThrow(RangeError);
    expect(() => new SMTP(undefined, undefined, { local_hostname: name })).toThrow(/^local_hostname/);
    expect(() => new SMTPPool({ host, local_hostname: name })).toThrow(/^local_hostname/);
    const { server, smtp } = await session();
    expect(() => {
      smtp.local_hostname = name;
    }).toThrow(/^local_hostname/);
    for (const said of [smtp.ehlo(name), smtp.helo(name)]) {
      const error = await reasonOf(said);
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toHaveProperty("message", expect.stringMatching(/^name/));
    }
    expect(server.lines).toEqual([]);
  });
});
