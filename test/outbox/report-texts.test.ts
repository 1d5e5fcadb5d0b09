/**
 * Reads the prose of Exim, qmail, Postfix and sendmail. The samples are invented; their form is that of the systems.
 */
import { describe, expect, it } from "vitest";
import { parseReport } from "../../src/outbox/index.ts";
import { mail } from "./mail.ts";

describe("the reports of Exim without a status part", () => {
  it("name recipients in several fields, and some in quotes", () => {
    const sample = mail(`
    X-Failed-Recipients: a@example.net, "b,c"@example.net
    X-Failed-Recipients: d@example.net,
      e@example.net

    Failed.
`);
    expect(parseReport(sample)?.recipients.map(({ address }) => address)).toEqual([
      "a@example.net",
      '"b,c"@example.net',
      "d@example.net",
      "e@example.net",
    ]);
  });

  it("are none where the field is empty", () => {
    expect(parseReport("From: ada@example.com\nX-Failed-Recipients: \n\nHi!\n")).toBeUndefined();
    expect(parseReport('From: ada@example.com\nX-Failed-Recipients: , ,"\n\nHi!\n')?.recipients).not.toEqual([]);
  });

  it("explain recipients without blank lines between them, and name the alias that led to one", () => {
    const sample = mail(`
    X-Failed-Recipients: a@example.net, b@example.net

    The following address(es) failed:

      a@example.net
        (ultimately generated from sales@example.com)
        host mx.example.net [192.0.2.1]: 550 5.1.1 unknown
      b@example.net
        host mx.example.net [192.0.2.1]: 550 5.2.1 disabled

    ------ This is a copy of the message, including all the headers. ------

    Message-ID:
      <one@example.com>
`);
    expect(parseReport(sample)).toMatchObject({
      messageId: "<one@example.com>",
      recipients: [
        { address: "a@example.net", original: "sales@example.com", status: "5.1.1" },
        { address: "b@example.net", original: undefined, status: "5.2.1" },
      ],
    });
  });

  it("say that a message is late", () => {
    const sample = mail(`
    From: Mail Delivery System <Mailer-Daemon@mx.example.net>
    Subject: Warning: message 1abc delayed 24 hours

    The addresses to which the message has not yet been delivered are:

      late@example.org
        host mx.example.org [192.0.2.1]
        Delay reason: 450 4.2.1 come back later

      later@example.org

    Nothing has to be done: postmaster@mx.example.net knows of it.
`);
    expect(parseReport(sample)?.recipients).toEqual([
      {
        address: "late@example.org",
        original: undefined,
        action: "delayed",
        status: "4.2.1",
        diagnostic: "host mx.example.org [192.0.2.1] Delay reason: 450 4.2.1 come back later",
      },
      {
        address: "later@example.org",
        original: undefined,
        action: "delayed",
        status: undefined,
        diagnostic: undefined,
      },
    ]);
    expect(parseReport(sample.replace("Mail Delivery System <Mailer-Daemon", "Ada <ada"))).toBeUndefined();
  });
});

describe("the reports of qmail", () => {
  it("name recipients with or without a blank line above, and a message whose header is folded", () => {
    const sample = mail(`
    From: MAILER-DAEMON@mx.example.net

    Hi. This is the qmail-send program at mx.example.net.
    I could not deliver your message.
    <full@example.net>:
    The mailbox is full. (#4.2.2.)

    <gone@example.net>:
    Sorry, no mailbox here by that name. (#5.1.1)

    --- Below this line is a copy of the message.

    Return-Path: <ada@example.com>
    Message-ID:
     <one@example.com>
`);
    expect(parseReport(sample)).toMatchObject({
      messageId: "<one@example.com>",
      recipients: [
        { address: "full@example.net", action: "failed", status: "4.2.2" },
        { address: "gone@example.net", action: "failed", status: "5.1.1" },
      ],
    });
  });
});

describe("the reports of Postfix", () => {
  const status = `
    Reporting-MTA: dns; mx.example.net
    X-Postfix-Queue-ID: 4F1C
    X-Postfix-Sender: rfc822; ada@example.com

    Final-Recipient: rfc822; gone@example.org
    Original-Recipient: rfc822;old@example.org
    Action: failed
    Status: 5.1.1
    Remote-MTA: dns; mx.example.org
    Diagnostic-Code: smtp; 550 5.1.1 no such user

`;

  it("are read out of one text that a gateway made of their parts", () => {
    const sample = mail(`
    From: MAILER-DAEMON@mx.example.net (Mail Delivery System)

    This is the mail system at host mx.example.net.
${status}    Return-Path: <ada@example.com>
    Message-Id: <one@example.com>
`);
    expect(parseReport(sample)).toMatchObject({
      messageId: "<one@example.com>",
      recipients: [{ address: "gone@example.org", original: "old@example.org", action: "failed", status: "5.1.1" }],
    });
    expect(parseReport(sample.replace(/^From: .*$/m, "From: ada@example.com"))).toBeUndefined();
  });
});

it("sendmail's reason is taken out of its text, where its status part has none", () => {
  const sample = mail(`
    From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>
    Content-Type: multipart/report; report-type=delivery-status; boundary="b/mx"

    --b/mx

       ----- The following addresses had permanent fatal errors -----
    <gone@example.org>
        (reason: 550 5.1.1 no such user)

    --b/mx
    Content-Type: message/delivery-status

    Reporting-MTA: dns; mx.example.net

    Final-Recipient: RFC822; gone@example.org
    Action: failed

    --b/mx--
`);
  expect(parseReport(sample)?.recipients).toMatchObject([{ status: "5.1.1", diagnostic: "550 5.1.1 no such user" }]);
});
