/** Reads delivery reports of several servers. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseReport } from "../../src/outbox/index.ts";
import { FRESH, type OutboxMessage, VERSION } from "../../src/outbox/message.ts";
import { buildReport } from "../../src/outbox/report.ts";
import { mail } from "./mail.ts";

const queued: OutboxMessage = {
  version: VERSION,
  id: "one",
  messageId: "<one@example.com>",
  from: "ada@example.com",
  to: [{ address: "gone@example.net", orcpt: "rfc822;old@example.net" }],
  options: { envid: "order-17" },
  body: { text: "" },
  octets: 0,
  destination: "relay",
  tenant: undefined,
  queuedAt: 0,
  expiresAt: 1,
  state: FRESH,
};

describe("parseReport", () => {
  it("reads the reports of this package's own outbox", async () => {
    const failures = [
      ["gone@example.net", { code: 550, text: "5.1.1 no such user\nsorry" }],
      ["jürgen@example.net", { code: 452, text: "full" }],
    ] as const;
    const original = new TextEncoder().encode("Message-ID: <one@example.com>\r\nSubject: Hello\r\n\r\nHi!\r\n");
    const report = await buildReport(queued, failures, original, { host: "mail.example.com" });
    expect(parseReport(report)).toEqual({
      envelopeId: "order-17",
      messageId: "<one@example.com>",
      recipients: [
        {
          address: "gone@example.net",
          original: "old@example.net",
          action: "failed",
          status: "5.1.1",
          diagnostic: "550 5.1.1 no such user sorry",
        },
        {
          address: "jürgen@example.net",
          original: undefined,
          action: "failed",
          status: "4.0.0",
          diagnostic: "452 full",
        },
      ],
    });
    expect(new TextDecoder().decode(report)).not.toContain("Hi!");
  });

  it("reads a delay, folded fields, and a boundary in quotes", () => {
    const report = parseReport(
      mail(`
    From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
    Content-Type: multipart/report; report-type=delivery-status;
    \tboundary="4F1C.1/mx; \\"x\\""

    This is a MIME-encapsulated message.

    --4F1C.1/mx; "x"
    Content-Type: text/plain; charset=us-ascii

    Your message is late.

    --4F1C.1/mx; "x"
    Content-Description: Delivery report
    Content-Type: message/delivery-status

    Reporting-MTA: dns; mx.example.net
    Original-Envelope-Id: order-18

    Final-Recipient: rfc822; charles@example.org
    Original-Recipient: rfc822;charles@example.net
    Action: delayed
    Status: 4.4.1
    Diagnostic-Code: X-Postfix; connect to mx.example.org:25:
        Connection timed out

    --4F1C.1/mx; "x"
    Content-Type: text/rfc822-headers

    Message-ID:
     <two@example.com>
    --4F1C.1/mx; "x"--
`),
    );
    expect(report).toEqual({
      envelopeId: "order-18",
      messageId: "<two@example.com>",
      recipients: [
        {
          address: "charles@example.org",
          original: "charles@example.net",
          action: "delayed",
          status: "4.4.1",
          diagnostic: "connect to mx.example.org:25: Connection timed out",
        },
      ],
    });
  });

  it("reads a status part in base64, nested in another multipart, with a status only in the diagnostic", () => {
    const status = btoa(
      "Reporting-MTA: dns; mx\r\n\r\nFinal-Recipient: <x@example.net>\r\nAction: Failed (given up)\r\n",
    );
    const report = parseReport(
      mail(`
    Content-Type: multipart/mixed; boundary=outer

    --outer
    Content-Type: multipart/report; boundary=inner

    --inner
    Content-Type: message/delivery-status
    Content-Transfer-Encoding: base64

    ${status}
    --inner--
    --outer--
`),
    );
    expect(report?.recipients).toMatchObject([{ address: "x@example.net", action: "failed", status: undefined }]);
  });

  it("reads what Exim sends without a status part", () => {
    const report = parseReport(
      mail(`
    X-Failed-Recipients: a@example.net,
      b@example.net
    Subject: Mail delivery failed: returning message to sender

    A message that you sent could not be delivered to these recipients:

      a@example.net
        host mx.example.net [192.0.2.1]
        SMTP error from remote mail server after RCPT TO:<a@example.net>:
        550 5.1.1 unknown

      b@example.net
        retry timeout exceeded

    ------ This is a copy of the message. ------

    Message-ID: <three@example.com>
`),
    );
    expect(report?.messageId).toBe("<three@example.com>");
    expect(report?.recipients).toMatchObject([
      { address: "a@example.net", status: "5.1.1", action: "failed" },
      { address: "b@example.net", status: undefined, diagnostic: "retry timeout exceeded" },
    ]);
  });

  it("decodes what Exim 4.96 repeats in xtext, and takes the reason out of its text", () => {
    const report = (recipient: string): string =>
      mail(`
    X-Failed-Recipients: gone@example.net
    From: Mail Delivery System <Mailer-Daemon@mx.example.net>
    Content-Type: multipart/report; report-type=delivery-status; boundary=1795920621-eximdsn-239342150

    --1795920621-eximdsn-239342150
    Content-type: text/plain; charset=us-ascii

    A message that you sent could not be delivered to one or more of its
    recipients. This is a permanent error. The following address(es) failed:

      gone@example.net
        no such mailbox

    --1795920621-eximdsn-239342150
    Content-type: message/delivery-status

    Reporting-MTA: dns; mx.example.net
    Original-Envelope-ID: order+2B17+3Dx

    Original-Recipient: rfc822;${recipient}
    Action: failed
    Final-Recipient: rfc822;gone@example.net
    Status: 5.0.0

    --1795920621-eximdsn-239342150--
`);
    expect(parseReport(report("old+2Baddress@example.net"))).toEqual({
      envelopeId: "order+17=x",
      messageId: undefined,
      recipients: [
        {
          address: "gone@example.net",
          original: "old+address@example.net",
          action: "failed",
          status: "5.0.0",
          diagnostic: "no such mailbox",
        },
      ],
    });
    // Text that is not xtext stays unchanged.
    expect(parseReport(report("old+address@example.net"))?.recipients[0]?.original).toBe("old+address@example.net");
  });

  it("reads what qmail sends", () => {
    const report = parseReport(
      mail(`
    Subject: failure notice

    Hi. This is the qmail-send program at mx.example.net.
    I could not deliver your message to the following addresses.

    <c@example.net>:
    192.0.2.1 does not like recipient.
    Remote host said: 553 sorry, no mailbox here by that name
    Giving up on 192.0.2.1.

    --- Below this line is a copy of the message.

    Message-ID: <four@example.com>
`),
    );
    expect(report).toMatchObject({
      messageId: "<four@example.com>",
      recipients: [{ address: "c@example.net", action: "failed", status: "5.0.0" }],
    });
  });

  it("finds no report in other mail, and refuses what is no message", () => {
    expect(parseReport("Subject: Hello\r\n\r\nFinal-Recipient: rfc822; x@example.net\r\n")).toBeUndefined();
    expect(parseReport("")).toBeUndefined();
    expect(() => Reflect.apply(parseReport, undefined, [17])).toThrow(TypeError);
  });

  it("throws at no message, however it is made", () => {
    const piece = fc.constantFrom(
      ...[
        "Content-Type: multipart/report; boundary=",
        "b",
        "\n",
        "--b",
        "--",
        "message/delivery-status",
        "Content-Type: ",
      ],
      ...[
        "Final-Recipient: rfc822;",
        " x@y",
        "Status: 5.1.1",
        "X-Failed-Recipients: ",
        "\\x{110000}",
        "=",
        '"',
        ";",
        "utf-8;",
      ],
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 4 })), { maxLength: 40 }), (pieces) => {
        parseReport(pieces.join(""));
      }),
      { numRuns: 500 },
    );
  });
});
