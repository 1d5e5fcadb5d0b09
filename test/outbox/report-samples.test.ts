/**
 * Reads reports in the forms of Exchange and Gmail. The samples are invented; fields and order are those of the
 * systems.
 */
import { describe, expect, it } from "vitest";
import { parseReport } from "../../src/outbox/index.ts";
import { mail } from "./mail.ts";

describe("the reports of Exchange", () => {
  const exchange = (group: string): string =>
    mail(`
    From: <postmaster@example.net>
    To: <ada@example.com>
    Content-Type: multipart/report; report-type=delivery-status;
    \tboundary="d1e2f3a4-0001-0002-0003-000000000004"
    Subject: Undeliverable: Hello
    In-Reply-To: <one@example.com>

    --d1e2f3a4-0001-0002-0003-000000000004
    Content-Type: multipart/alternative; differences=Content-Type;
    \tboundary="a0b0c0d0-0005-0006-0007-000000000008"

    --a0b0c0d0-0005-0006-0007-000000000008
    Content-Type: text/html; charset="us-ascii"
    Content-Transfer-Encoding: quoted-printable

    <html><p>Your message to gone@example.net couldn't be delivered.</p></html>

    --a0b0c0d0-0005-0006-0007-000000000008--

    --d1e2f3a4-0001-0002-0003-000000000004
    Content-Type: message/delivery-status

    Original-Envelope-Id: order-17
    Reporting-MTA: dns;EX1.example.net
    Received-From-MTA: dns;mail.example.com
    Arrival-Date: Sun, 1 Nov 2026 10:00:00 +0000

`) +
    mail(group) +
    mail(`

    --d1e2f3a4-0001-0002-0003-000000000004
    Content-Type: message/rfc822

    Message-ID:
    \t<one@example.com>
    Subject: Hello

    --d1e2f3a4-0001-0002-0003-000000000004--
`);

  it("name a recipient that is not found, below a part in HTML", () => {
    const sample = exchange(`
    Original-Recipient: rfc822;sales@example.net
    Final-Recipient: rfc822;gone@example.net
    Action: failed
    Status: 5.1.10
    Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup
    X-Display-Name: Ann (of sales)
`);
    expect(parseReport(sample)).toEqual({
      envelopeId: "order-17",
      messageId: "<one@example.com>",
      recipients: [
        {
          address: "gone@example.net",
          original: "sales@example.net",
          action: "failed",
          status: "5.1.10",
          diagnostic: "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        },
      ],
    });
  });

  it("say that a message is late", () => {
    const sample = exchange(`
    Final-Recipient: rfc822;late@example.org
    Action: delayed
    Status: 4.4.7
    Diagnostic-Code: smtp;400 4.4.7 Message delayed
    Will-Retry-Until: Tue, 3 Nov 2026 10:00:00 +0000
    X-Display-Name: late@example.org
`);
    expect(parseReport(sample)?.recipients).toMatchObject([
      { address: "late@example.org", action: "delayed", status: "4.4.7", diagnostic: "400 4.4.7 Message delayed" },
    ]);
  });

  it("have another server's reply in a field of their own", () => {
    const sample = exchange(`
    Final-recipient: RFC822;
     gone@example.org
    Action: failed
    Status: 5.1.1
    X-Supplementary-Info: <mx.example.org #5.1.1 smtp;550 5.1.1 no such user>
`);
    expect(parseReport(sample)?.recipients).toMatchObject([
      { address: "gone@example.org", status: "5.1.1", diagnostic: "550 5.1.1 no such user" },
    ]);
  });

  it("are read out of their text where their other parts are lost", () => {
    const sample = mail(`
    From: postmaster@example.net
    Subject: Undeliverable: Hello

    Delivery has failed to these recipients or groups:

    Ann<mailto:gone@example.net>
    The address was not found.

    Diagnostic information for administrators:

    Generating server: EX1.example.net

    gone@example.net
    Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

    full@example.net
    mx.example.net
    Remote Server returned '552 5.2.2 mailbox full'

    Original message headers:

    Received: from mail.example.com by EX1.example.net; Sun, 1 Nov 2026 10:00:00 +0000
    Message-ID: <one@example.com>
`);
    expect(parseReport(sample)).toMatchObject({
      messageId: "<one@example.com>",
      recipients: [
        { address: "gone@example.net", action: "failed", status: "5.1.1" },
        { address: "full@example.net", action: "failed", status: "5.2.2" },
      ],
    });
    const late = sample.replace("Delivery has failed to", "Delivery is delayed to");
    expect(parseReport(late)?.recipients[0]).toMatchObject({ address: "gone@example.net", action: "delayed" });
  });
});

describe("the reports of Gmail", () => {
  it("name a recipient, whose reply has several lines", () => {
    const sample = mail(`
    Content-Type: multipart/report; boundary="000000000000aa0001"; report-type=delivery-status
    To: ada@example.com
    Auto-Submitted: auto-replied
    From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
    Subject: Delivery Status Notification (Failure)
    References: <one@example.com>
    In-Reply-To: <one@example.com>
    X-Failed-Recipients: gone@example.net

    --000000000000aa0001
    Content-Type: multipart/related; boundary="000000000000aa0002"

    --000000000000aa0002
    Content-Type: multipart/alternative; boundary="000000000000aa0003"

    --000000000000aa0003
    Content-Type: text/plain; charset="UTF-8"

    ** Address not found **

    The response from the remote server was:
    550 5.1.1 no such user

    --000000000000aa0003--

    --000000000000aa0002--

    --000000000000aa0001
    Content-Type: message/delivery-status

    Reporting-MTA: dns; googlemail.com
    Received-From-MTA: dns; ada@example.com
    Arrival-Date: Sun, 01 Nov 2026 02:00:00 -0800 (PST)
    X-Original-Message-ID: <one@example.com>

    Final-Recipient: rfc822; gone@example.net
    Action: failed
    Status: 5.1.1
    Remote-MTA: dns; mx.example.net. (192.0.2.1, the server for the domain
     example.net.)
    Diagnostic-Code: smtp; 550-5.1.1 no such user: please look for
     550-5.1.1 typing errors
     550 5.1.1 and for spaces
    Last-Attempt-Date: Sun, 01 Nov 2026 02:00:01 -0800 (PST)

    --000000000000aa0001--
`);
    expect(parseReport(sample)).toEqual({
      envelopeId: undefined,
      messageId: "<one@example.com>",
      recipients: [
        {
          address: "gone@example.net",
          original: undefined,
          action: "failed",
          status: "5.1.1",
          diagnostic: "550-5.1.1 no such user: please look for 550-5.1.1 typing errors 550 5.1.1 and for spaces",
        },
      ],
    });
  });

  it.each(["Action: delayed\n    Status: 4.4.1", "Action: delayed"])("say that a message is late: %j", (fields) => {
    const sample = mail(`
    From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
    Content-Type: multipart/report; boundary="aa"; report-type=delivery-status

    --aa
    Content-Type: message/delivery-status

    Reporting-MTA: dns; googlemail.com
    X-Original-Message-ID: <one@example.com>

    Final-Recipient: rfc822; late@example.net
    ${fields}
    Diagnostic-Code: smtp; no connection
     [mx.example.net 192.0.2.1: timed out]
    Will-Retry-Until: Tue, 03 Nov 2026 02:00:00 -0800 (PST)

    --aa--
`);
    expect(parseReport(sample)).toMatchObject({
      messageId: "<one@example.com>",
      recipients: [{ address: "late@example.net", action: "delayed" }],
    });
  });

  it("have the reason below all addresses where there is no status part", () => {
    const sample = (header: string, begin: string): string =>
      mail(`
    From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
    Content-Type: text/plain; charset=ISO-8859-1
    ${header}

    ${begin}

         late@example.net

    Technical details of the failure:
    The server of the domain answered:
    452 4.2.2 mailbox full

    ----- Original message -----

    Message-ID: <one@example.com>
`);
    const found = { address: "late@example.net", status: "4.2.2", diagnostic: expect.stringContaining("mailbox full") };
    const delayed = sample("Subject: late", "Delivery to the following recipient has been delayed:");
    expect(parseReport(delayed)).toMatchObject({
      messageId: "<one@example.com>",
      recipients: [{ ...found, action: "delayed" }],
    });
    const failed = sample("X-Failed-Recipients: late@example.net", "Delivery failed:");
    expect(parseReport(failed)?.recipients).toMatchObject([{ ...found, action: "failed" }]);
    const named = sample("Subject: failed", "Delivery to the following recipient failed permanently:");
    expect(parseReport(named)?.recipients).toMatchObject([{ ...found, action: "failed" }]);
  });
});
