/** The parameters of MAIL and RCPT, missing extensions, and deliver(). */

import { describe, expect, test } from "vitest";
import type { Options, SMTP } from "../../src/index.ts";
import type { Script } from "../client/fake-server.ts";
import { permit } from "../judge/under-test.ts";
import { reasonOf, session } from "../support/session.ts";

const [from, to] = ["a@example.com", "b@example.com"];
const message = "Subject: x\n\nHi\n";

const refusing = (pattern: RegExp, answer: string): Script => ({
  ehlo: ["PIPELINING"],
  on: { RCPT: (line) => (pattern.test(line) ? answer : "250 2.1.5 ok") },
});

describe("MAIL says", () => {
  const mailLine = async (ehlo: string[], body: string, options?: Options): Promise<string | undefined> => {
    const { server, smtp } = await session({ ehlo });
    await smtp.sendmail(from, to, body, options);
    return server.lines.find((line) => line.startsWith("MAIL"))?.slice(`MAIL FROM:<${from}>`.length);
  };

  test.each<[name: string, ehlo: string[], body: string, options: Options | undefined, parameters: string]>([
    ["nothing to a server that offers nothing", [], message, undefined, ""],
    ["the size after the CRLF fix, before stuffing, without an added end", ["SIZE"], ".a\nb", undefined, " SIZE=5"],
    ["BODY=8BITMIME for octets over 127", ["8BITMIME"], "grün", undefined, " BODY=8BITMIME"],
    ["no BODY for seven bits", ["8BITMIME"], "green", undefined, ""],
    [
      "options as they are given, behind the size",
      ["SIZE", "8BITMIME"],
      "x",
      ["body=8bitmime", "X-FOO=bar"],
      " SIZE=1 body=8bitmime X-FOO=bar",
    ],
    ["a given SIZE only once", ["SIZE"], "x", ["size=77"], " size=77"],
    ["a given BODY only once", ["8BITMIME"], "grün", ["BODY=7BIT"], " BODY=7BIT"],
    ["typed options", ["SIZE", "DSN"], "x", { ret: "HDRS", envid: "a+b" }, " SIZE=1 RET=HDRS ENVID=a+2Bb"],
    ["a typed size in place of its own", ["SIZE"], "x", { size: 5 }, " SIZE=5"],
  ])("%s", async (_, ehlo, body, options, parameters) => {
    // String options are the caller's responsibility.
    if (Array.isArray(options)) permit(/no parameter of an extension|8BITMIME/);
    expect(await mailLine(ehlo, body, options)).toBe(parameters);
  });

  test("no options to a server that knows no EHLO, as in Python", async () => {
    const { server, smtp } = await session({ on: { EHLO: "502 no" } });
    await smtp.sendmail(from, to, message, ["BODY=8BITMIME"], ["NOTIFY=NEVER"]);
    expect(server.lines).toContain(`MAIL FROM:<${from}>`);
    expect(server.lines).toContain(`RCPT TO:<${to}>`);
  });
});

describe("what the server lacks is SMTPNotSupportedError before MAIL:", () => {
  test.each<[name: string, capability: string, ehlo: string[], call: (smtp: SMTP) => Promise<unknown>]>([
    ["8BITMIME for octets over 127", "8BITMIME", [], (smtp) => smtp.sendmail(from, to, "grün")],
    ["SMTPUTF8 for a local part", "SMTPUTF8", ["8BITMIME"], (smtp) => smtp.sendmail("jürgen@example.com", to, message)],
    [
      "SMTPUTF8 for a recipient",
      "SMTPUTF8",
      ["8BITMIME"],
      (smtp) => smtp.sendmail(from, [to, "jürgen@example.com"], message),
    ],
    ["SMTPUTF8 asked for", "SMTPUTF8", ["8BITMIME"], (smtp) => smtp.sendmail(from, to, message, ["smtputf8"])],
    [
      "SMTPUTF8 for header fields",
      "SMTPUTF8",
      ["8BITMIME"],
      (smtp) => smtp.send_message(`Subject: grün\nFrom: ${from}\nTo: ${to}\n\nx`),
    ],
    ["SIZE enough", "SIZE", ["SIZE 10"], (smtp) => smtp.sendmail(from, to, "x".repeat(11))],
    ["DSN", "DSN", [], (smtp) => smtp.deliver({ from, to: [{ address: to, notify: ["NEVER"] }], body: message })],
    ["REQUIRETLS", "REQUIRETLS", [], (smtp) => smtp.deliver({ from, to: [to], body: message, requiretls: true })],
  ])("%s", async (_, capability, ehlo, call) => {
    const { server, smtp } = await session({ ehlo });
    expect(await reasonOf(call(smtp))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability,
      delivery: "not-sent",
      temporary: false,
    });
    expect(server.lines.map((line) => line.split(" ")[0])).toEqual(["EHLO"]);
    expect((await smtp.noop()).code).toBe(250);
  });

  test('eightBit: "send" sends as Python does', async () => {
    // The option permits it.
    permit(/RFC 5321 2.4/);
    const { server, smtp } = await session({}, { eightBit: "send" });
    await smtp.sendmail(from, to, "grün");
    expect(server.messages).toEqual(["grün\r\n"]);
  });
});

describe("addresses beyond ASCII", () => {
  test("make MAIL say SMTPUTF8 where it is offered", async () => {
    const { server, smtp } = await session({ ehlo: ["SMTPUTF8", "8BITMIME"] });
    await smtp.sendmail(from, "jürgen@exämple.com", message);
    expect(server.lines[1]).toBe(`MAIL FROM:<${from}> SMTPUTF8 BODY=8BITMIME`);
    expect(server.lines[2]).toBe("RCPT TO:<jürgen@exämple.com>");
    await smtp.mail("jürgen@example.com");
    expect(server.lines.at(-1)).toContain("<jürgen@example.com> SMTPUTF8");
  });

  test("with an ASCII local part go out as A-labels where it is not", async () => {
    const { server, smtp } = await session();
    const refused = await smtp.sendmail("a@exämple.com", "b@bücher.example", message);
    expect(server.lines[1]).toBe("MAIL FROM:<a@xn--exmple-cua.com>");
    expect(server.lines[2]).toBe("RCPT TO:<b@xn--bcher-kva.example>");
    expect({ ...refused }).toEqual({});
  });
});

describe("deliver", () => {
  test("to nobody is refused before MAIL", async () => {
    const { server, smtp } = await session();
    const error = await reasonOf(smtp.deliver({ from, to: [], body: message }));
    expect(error).toMatchObject({ name: "SMTPRecipientsRefused", delivery: "not-sent", recipients: {} });
    expect(server.lines.filter((line) => line.startsWith("MAIL"))).toEqual([]);
    smtp.close();
  });

  test("gives the whole answer", async () => {
    const { smtp } = await session(refusing(/bad/, "550 5.1.1 who?"));
    const delivery = await smtp.deliver({ from, to: ["b@x.y", { address: "bad@x.y" }, "c@x.y"], body: message });
    expect(delivery).toMatchObject({
      accepted: ["b@x.y", "c@x.y"],
      refused: { "bad@x.y": [550, "5.1.1 who?"] },
      reply: [250, "2.0.0 queued as 1"],
      replies: [
        [250, "2.1.5 ok"],
        [550, "5.1.1 who?"],
        [250, "2.1.5 ok"],
      ],
    });
    expect(Object.getPrototypeOf(delivery.refused)).toBeNull();
  });

  test("asks each recipient's own options, and those of the message", async () => {
    const { server, smtp } = await session({ ehlo: ["DSN", "SIZE"] });
    await smtp.deliver({
      from: "",
      to: [{ address: "b@x.y", notify: ["SUCCESS", "DELAY"], orcpt: "rfc822;o+b@x.y" }, "c@x.y"],
      body: ["a", "b"],
      ret: "FULL",
    });
    expect(server.lines.slice(1, 4)).toEqual([
      "MAIL FROM:<> RET=FULL",
      "RCPT TO:<b@x.y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o+2Bb@x.y",
      "RCPT TO:<c@x.y>",
    ]);
    expect(server.messages).toEqual(["ab\r\n"]);
  });

  test("takes a signal", async () => {
    const { smtp } = await session();
    const reason = new Error("enough");
    expect(await reasonOf(smtp.deliver({ from, to: [to], body: "x", signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(smtp.connected).toBe(true);
  });
});
