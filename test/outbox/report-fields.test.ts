/** Reads the fields of delivery reports in the spellings of several servers. */
import { describe, expect, it } from "vitest";
import { type DeliveryReport, parseReport, type ReportedRecipient } from "../../src/outbox/index.ts";
import { report } from "./mail.ts";

const failed = "Action: failed\nStatus: 5.1.1\n";

/** The recipients of a report with these fields. */
function recipientsOf(fields: string, type?: string): readonly ReportedRecipient[] | undefined {
  return parseReport(report(`Reporting-MTA: dns; mx\n\n${fields}`, type === undefined ? {} : { type }))?.recipients;
}

function addressOf(field: string): string | undefined {
  return recipientsOf(`Final-Recipient: ${field}\n${failed}`)?.[0]?.address;
}

describe("the groups of a report", () => {
  it("have any number of blank lines between them, with or without spaces", () => {
    for (const gap of ["\n\n", "\n\n\n", "\n\n\n\n\n", "\n \t\n\n", "\n \n \n"]) {
      const one = `Final-Recipient: rfc822; a@example.net\nStatus: 5.1.1`;
      const other = `Final-Recipient: rfc822; c@example.net\nStatus: 5.2.2`;
      expect(parseReport(report(["Reporting-MTA: dns; mx", one, other].join(gap)))?.recipients).toMatchObject([
        { address: "a@example.net", status: "5.1.1" },
        { address: "c@example.net", status: "5.2.2" },
      ]);
    }
  });

  it("begin after blank lines, and need no group about the message", () => {
    expect(parseReport(report(`\n \n\nFinal-Recipient: rfc822; a@example.net\n${failed}`))?.recipients).toHaveLength(1);
  });

  it("go on behind a blank line in a folded field", () => {
    const fields =
      "Final-Recipient: rfc822; a@example.net\nDiagnostic-Code: smtp; 550\n \n\t5.1.1 unknown\nAction: failed";
    expect(recipientsOf(fields)).toMatchObject([{ diagnostic: "550 5.1.1 unknown", action: "failed" }]);
  });

  it("may be in several status parts", () => {
    const more = `--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; c@example.net\n${failed}\n`;
    const text = report(`Final-Recipient: rfc822; a@example.net\n${failed}`, { more });
    expect(parseReport(text)?.recipients.map(({ address }) => address)).toEqual(["a@example.net", "c@example.net"]);
  });
});

describe("an address in a report", () => {
  it.each([
    ["without a type", "a@example.net"],
    ["without a space behind the type", "rfc822;a@example.net"],
    ["with spaces around the semicolon", "rfc822 ;  a@example.net "],
    ["with a type in capital letters", "RFC822; a@example.net"],
    ["folded", "rfc822;\n a@example.net"],
    ["in angle brackets", "rfc822; <a@example.net>"],
    ["in angle brackets, without a type", "<a@example.net>"],
    ["with a name", 'rfc822; "Ann, of sales" <a@example.net>'],
    ["with a comment", "rfc822; a@example.net (Ann (of sales))"],
    ["with a source route", "rfc822; <@relay.example:a@example.net>"],
  ])("is read %s", (_, field) => {
    expect(addressOf(field)).toBe("a@example.net");
  });

  it("is left as it is where it is no address", () => {
    expect(addressOf("rfc822; |/usr/bin/procmail -d a b")).toBe("|/usr/bin/procmail -d a b");
    expect(addressOf("x400; /C=NL/ADMD=x/S=Ann/")).toBe("/C=NL/ADMD=x/S=Ann/");
    expect(addressOf('rfc822; "a b"@example.net')).toBe('"a b"@example.net');
  });

  it("may be in Original-Recipient or X-Actual-Recipient alone", () => {
    expect(recipientsOf(`Original-Recipient: rfc822; a@example.net\n${failed}`)).toMatchObject([
      { address: "a@example.net", original: "a@example.net" },
    ]);
    expect(
      recipientsOf(`Final-Recipient: LOCAL;<>\nX-Actual-Recipient: rfc822; a@example.net\n${failed}`),
    ).toMatchObject([{ address: "a@example.net", original: undefined }]);
    expect(recipientsOf(`Final-Recipient: rfc822;\n${failed}`)).toBeUndefined();
  });

  it("is decoded in the forms of RFC 6533", () => {
    expect(addressOf("utf-8; j\\x{FC}rgen@b\\x{00FC}cher.example")).toBe("jürgen@bücher.example");
    expect(addressOf("UTF-8;\\x{1F600}@example.net")).toBe("\u{1F600}@example.net");
    expect(
      recipientsOf(`Final-Recipient: utf-8; jürgen@example.net\n${failed}`, "message/global-delivery-status"),
    ).toMatchObject([{ address: "jürgen@example.net" }]);
    // Only the address type indicates the encoding.
    expect(addressOf("rfc822; j\\x{FC}rgen@example.net")).toBe("j\\x{FC}rgen@example.net");
  });

  it("gets no line break, control character or half of a character out of an escape", () => {
    for (const code of ["0A", "0D", "00", "7F", "D800", "110000", "ZZ"]) {
      expect(addressOf(`utf-8; a\\x{${code}}b@example.net`)).toBe(`a\\x{${code}}b@example.net`);
    }
  });

  it("holds no control character, nor does a diagnostic", () => {
    const fields = `Final-Recipient: rfc822; a\0\x1b@example.net\nDiagnostic-Code: smtp; 550 a\0b\x1b[31m\n${failed}`;
    expect(JSON.stringify(recipientsOf(fields))).not.toContain("\\u00");
  });
});

describe("the status of a recipient", () => {
  const statusOf = (field: string): string | undefined => recipientsOf(`Final-Recipient: a@b\n${field}`)?.[0]?.status;

  it.each([
    ["5.1.1", "5.1.1"],
    ["5.1.1.", "5.1.1"],
    ["5.1.1 (bad destination mailbox)", "5.1.1"],
    ["(#5.1.1)", "5.1.1"],
    ["5.1.10", "5.1.10"],
    ["5.4.316, expired", "5.4.316"],
  ])("is read out of %j", (written, status) => {
    expect(statusOf(`Status: ${written}`)).toBe(status);
  });

  it.each(["5.1", "4.2.2.1", "15.1.1", "3.1.1", "5.1.1234", "unknown"])("is not read out of %j", (written) => {
    expect(statusOf(`Status: ${written}`)).toBeUndefined();
  });

  it.each([
    ["550 5.7.1 [192.0.2.1] blocked", "5.7.1"],
    ["550-5.1.1 no such user", "5.1.1"],
    ["550 #5.1.0 Address rejected.", "5.1.0"],
    ["server 4.96.1 said: 550 5.1.1 no such user", "5.1.1"],
    ["mailbox full (#4.2.2.)", "4.2.2"],
    ["550 no such user", "5.0.0"],
    ["host mx said: 452: full", "4.0.0"],
    ["connect to mx.example.net[192.0.2.1]:587: refused", undefined],
    ["connect to mx.example.net port 587: refused", undefined],
    ["host 10.20.30.450", undefined],
  ])("is else read out of the diagnostic %j", (diagnostic, status) => {
    expect(statusOf(`Diagnostic-Code: smtp; ${diagnostic}`)).toBe(status);
  });
});

describe("the action of a recipient", () => {
  const actionOf = (fields: string): string | undefined => recipientsOf(`Final-Recipient: a@b\n${fields}`)?.[0]?.action;

  it.each([
    ["failed", "failed"],
    ["FAILED (permanently)", "failed"],
    ["failure", "failed"],
    ["expired", "failed"],
    ["delayed", "delayed"],
    ["(for now) delayed", "delayed"],
    ["deferred", "delayed"],
    ["delivered", "delivered"],
    ["relayed", "relayed"],
    ["expanded", "expanded"],
  ])("is read out of %j, whatever the status is", (written, action) => {
    expect(actionOf(`Action: ${written}\nStatus: 4.4.7`)).toBe(action);
  });

  it("follows from the status where it is missing or unknown", () => {
    expect(actionOf("Status: 4.2.2")).toBe("delayed");
    expect(actionOf("Action: thwarted\nStatus: 5.2.2")).toBe("failed");
    expect(actionOf("Status: 2.1.5")).toBe("delivered");
    expect(actionOf("Diagnostic-Code: smtp; 452 full")).toBe("delayed");
  });
});

describe("the diagnostic of a recipient", () => {
  const diagnosticOf = (field: string): string | undefined =>
    recipientsOf(`Final-Recipient: a@b\n${failed}Diagnostic-Code: ${field}`)?.[0]?.diagnostic;

  it("loses its type, and nothing else that has a semicolon", () => {
    expect(diagnosticOf("smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found")).toBe(
      "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found",
    );
    expect(diagnosticOf("X-mPOP_Fallback; timed out")).toBe("timed out");
    expect(diagnosticOf("550; no such user")).toBe("550; no such user");
    expect(diagnosticOf("no such user; sorry")).toBe("no such user; sorry");
  });

  it("is undefined where it is empty", () => {
    expect(diagnosticOf("smtp;")).toBeUndefined();
    expect(diagnosticOf("")).toBeUndefined();
    expect(diagnosticOf("smtp;\nDiagnostic-Code: smtp; 550 no")).toBe("550 no");
  });

  it("is decoded where it has encoded words", () => {
    expect(diagnosticOf("smtp; 550 =?iso-8859-1?q?r=E9?=\n =?utf-8?q?ponse?=")).toBe("550 réponse");
  });
});

describe("the message that a report is about", () => {
  const fields = `Original-Envelope-Id: order-17\n\nFinal-Recipient: a@b\n${failed}`;
  const returning = (type: string, header: string): DeliveryReport | undefined =>
    parseReport(report(fields, { more: `--b\nContent-Type: ${type}\n\n${header}\n` }));

  it.each([
    "message/rfc822",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global",
    "message/global-headers",
  ])("is named by the header in %s", (type) => {
    expect(returning(type, "Message-ID: <one@example.com>")?.messageId).toBe("<one@example.com>");
  });

  it("is named by a field that is folded, spaced, commented, or without angle brackets", () => {
    for (const field of [
      "Message-ID:\n <one@example.com>",
      "message-id : <one@example.com> (added by mx)",
      "\nMessage-Id: one@example.com",
    ]) {
      expect(returning("message/rfc822", field)?.messageId).toBe("<one@example.com>");
    }
  });

  it("is else named by what the report says or answers to", () => {
    const answering = (header: string): string | undefined => parseReport(report(fields, { header }))?.messageId;
    expect(answering("In-Reply-To: <one@example.com>")).toBe("<one@example.com>");
    expect(answering("References: <thread@example.com>\n <one@example.com>")).toBe("<one@example.com>");
    expect(answering("Subject: none")).toBeUndefined();
    const said = report(`X-Original-Message-ID: <one@example.com>\n${fields}`, {
      header: "In-Reply-To: <two@example.com>",
    });
    expect(parseReport(said)?.messageId).toBe("<one@example.com>");
    expect(returning("message/rfc822", "Message-ID: <three@example.com>")?.messageId).toBe("<three@example.com>");
  });

  it("has its ENVID, unless the field is empty", () => {
    expect(parseReport(report(fields))?.envelopeId).toBe("order-17");
    expect(parseReport(report(fields.replace("order-17", " ")))?.envelopeId).toBeUndefined();
  });
});
