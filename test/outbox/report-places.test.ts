/** Finds reports anywhere in a message, in any form, and tolerates any other input. */
import { describe, expect, it } from "vitest";
import { parseReport } from "../../src/outbox/index.ts";
import { report } from "./mail.ts";

const failed = "Final-Recipient: rfc822; gone@example.net\nAction: failed\nStatus: 5.1.1\n";
const returned = "--b\nContent-Type: message/rfc822\n\nMessage-ID: <one@example.com>\n\nHi!\n";
const bounce = report(failed, { header: "Message-ID: <bounce@mx.example.net>", more: returned });
const found = { messageId: "<one@example.com>", recipients: [{ address: "gone@example.net", status: "5.1.1" }] };

/** A message with another as an attachment. */
function forwarding(message: string, header = "", type = "mixed"): string {
  return `From: ada@example.com\nMessage-ID: <fwd@example.com>\nContent-Type: multipart/${type}; boundary=q\n\n--q\nContent-Type: text/plain\n\nsee below\n--q\n${header}\n\n${message}\n--q--\n`;
}

describe("a report is found", () => {
  it.each(["Content-Type: message/rfc822", "Content-Type: message/global", "Content-Type: MESSAGE/RFC822; name=x.eml"])(
    "in a message that is forwarded as an attachment: %s",
    (header) => {
      expect(parseReport(forwarding(bounce, header))).toMatchObject(found);
    },
  );

  it("in an attachment in base64", () => {
    const header = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64";
    expect(parseReport(forwarding(btoa(bounce.replaceAll("\n", "\r\n")), header))).toMatchObject(found);
  });

  it("in a digest, whose parts are messages without saying so", () => {
    expect(parseReport(forwarding(bounce, "", "digest"))).toMatchObject(found);
  });

  it("in a message that was forwarded twice, but not in one that was forwarded without end", () => {
    const again = (message: string): string => `Content-Type: message/rfc822\n\n${message}`;
    expect(parseReport(again(again(bounce)))).toMatchObject(found);
    expect(parseReport("Content-Type: message/rfc822\n\n".repeat(20) + bounce)).toBeUndefined();
  });

  it("in the form of Exim or qmail, too, where it is forwarded", () => {
    const exim = "X-Failed-Recipients: gone@example.net\n\n  gone@example.net\n    550 5.1.1 unknown\n";
    expect(parseReport(forwarding(exim, "Content-Type: message/rfc822"))?.recipients).toMatchObject(found.recipients);
    const qmail = "Subject: failure\n\nHi. This is the qmail.\n\n<gone@example.net>:\nSorry. (#5.1.1)\n";
    expect(parseReport(forwarding(qmail, "Content-Type: message/rfc822"))?.recipients).toMatchObject(found.recipients);
  });

  it("before another one in the same message, and their fields are not mixed", () => {
    const first = report(failed.replace("gone", "first"));
    const text = `Content-Type: multipart/mixed; boundary=q\n\n--q\n${first}\n--q\n${bounce}\n--q--\n`;
    expect(parseReport(text)).toMatchObject({ messageId: undefined, recipients: [{ address: "first@example.net" }] });
  });

  it("with its returned message beside the multipart that has the status part", () => {
    const text = `Content-Type: multipart/report; boundary=q\n\n--q\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n${failed}\n--b--\n--q\nContent-Type: text/rfc822-headers\n\nMessage-ID: <one@example.com>\n--q--\n`;
    expect(parseReport(text)).toMatchObject(found);
  });

  it("of Exim's in a multipart of a mailing list, and its xtext is decoded there as well", () => {
    const fields = failed.replace("Action", "Original-Recipient: rfc822;old+2Bx@example.net\nAction");
    const exim = report(fields).replace("boundary=b", "boundary=1-eximdsn-2").replace(/^--b/gm, "--1-eximdsn-2");
    const text = `Content-Type: multipart/mixed; boundary=q\n\n--q\n${exim}\n--q--\n`;
    expect(parseReport(text)?.recipients).toMatchObject([{ original: "old+x@example.net" }]);
  });

  it("behind a byte order mark, blank lines or an mbox's first line, and with any ends of lines", () => {
    for (const before of ["\uFEFF", "\n\n", "From MAILER-DAEMON Sun Nov  1 10:00:00 2026\n"]) {
      expect(parseReport(before + bounce)).toMatchObject(found);
    }
    for (const end of ["\r\n", "\r"]) expect(parseReport(bounce.replaceAll("\n", end))).toMatchObject(found);
  });
});

describe("no report is found", () => {
  it("in a message that another report returns", () => {
    const read = `Content-Type: multipart/report; report-type=disposition-notification; boundary=q\n\n--q\nContent-Type: message/disposition-notification\n\nDisposition: manual-action/MDN-sent-manually; displayed\n--q\nContent-Type: message/rfc822\n\n${bounce}\n--q--\n`;
    expect(parseReport(read)).toBeUndefined();
  });

  it("where a status part names no recipient", () => {
    expect(parseReport(report("Reporting-MTA: dns; mx"))).toBeUndefined();
  });
});

describe("the text of a report", () => {
  const inCharset = (text: Uint8Array, type: string): Uint8Array => {
    const header = new TextEncoder().encode(`X-Failed-Recipients: gone@example.net\nContent-Type: ${type}\n\n`);
    return Uint8Array.from([...header, ...text]);
  };
  const latin1 = Uint8Array.from("gone@example.net\n550 5.1.1 r\xE9ponse \xE0 c\xF4t\xE9\n", (c) => c.charCodeAt(0));
  const said = (message: string | Uint8Array): string | undefined => parseReport(message)?.recipients[0]?.diagnostic;

  it("is read in its charset", () => {
    expect(said(inCharset(latin1, "text/plain; charset=iso-8859-1"))).toBe("550 5.1.1 réponse à côté");
    const wide = btoa("gone@example.net\n550 5.1.1 no\n".replace(/./gs, "$&\0"));
    const header = "X-Failed-Recipients: gone@example.net\nContent-Type: text/plain; charset=utf-16le\n";
    expect(said(`${header}Content-Transfer-Encoding: base64\n\n${wide}`)).toBe("550 5.1.1 no");
  });

  it("is read as Latin-1 where it is no UTF-8 and names no charset, or one that nobody knows", () => {
    expect(said(inCharset(latin1, "text/plain"))).toBe("550 5.1.1 réponse à côté");
    expect(said(inCharset(latin1, "text/plain; charset=x-unknown"))).toContain("550 5.1.1 r");
  });

  it("is read as UTF-8 where it is that, whatever charset it names", () => {
    const text =
      "X-Failed-Recipients: gone@example.net\nContent-Type: text/plain; charset=iso-8859-1\n\ngone@example.net\n550 réponse\n";
    expect(said(text)).toBe("550 réponse");
    expect(said(new TextEncoder().encode(text))).toBe("550 réponse");
  });
});

describe("hostile input", () => {
  // A regular expression that takes quadratic time would take minutes.
  const long = (piece: string): string => piece.repeat(Math.ceil(300_000 / piece.length));
  const status = (fields: string): string => report(`Final-Recipient: a@b\n${fields}`);
  it.each([
    ["boundaries", `Content-Type: multipart/report; ${long("boundary=")}`],
    ["one long boundary", `Content-Type: multipart/mixed; boundary="${long("a(")}"\n\n--a`],
    ["lines like a boundary", `Content-Type: multipart/mixed; boundary=b\n\n${long("--b \t")}`],
    ["nested multiparts", long("Content-Type: multipart/report; boundary=b\n\n--b\n")],
    ["nested messages", long("Content-Type: message/rfc822\n\n")],
    ["blank lines with spaces", status(long(" \n"))],
    ["blank lines between folds", status(long("\n \n x"))],
    ["recipients", report(long("Final-Recipient: a@b\n\n"))],
    ["open comments", report(`Final-Recipient: rfc822; ${long("(")}`)],
    ["open quotes", report(`Final-Recipient: rfc822; ${long('"\\')}`)],
    ["angle brackets", report(`Final-Recipient: rfc822; ${long("<")}`)],
    ["escapes", report(`Final-Recipient: utf-8; ${long("\\x{0")}`)],
    ["numbers with dots", status(`Status: ${long("5.1.")}`)],
    ["encoded words", status(`Diagnostic-Code: smtp; ${long("=?a?b?")}`)],
    ["spaces", status(`Diagnostic-Code: smtp; x${long(" ")}x`)],
    ["open quotes in a list", `X-Failed-Recipients: ${long('"\\')}`],
    ["commas in a list", `X-Failed-Recipients: ${long("a,")}`],
    ["links", `X-Failed-Recipients: a@b\n\n${long("<mailto:")}`],
    ["half-named fields", `X-Failed-Recipients: a@b\n\n${long("message-id  ")}`],
    ["half-named origins", `X-Failed-Recipients: a@b\n\na@b\n(generated from ${long("a")}`],
    ["addresses in a notice", `From: mailer-daemon@x\n\nIt has not yet been delivered is:\n${long(" a@b\n\n")}`],
    ["flattened fields", `From: mailer-daemon@x\n\n${long("final-recipient: a@b\n")}`],
    ["NULs", long("\0")],
  ])("of many %s is read in linear time", (_, text) => {
    expect(() => parseReport(text)).not.toThrow();
    expect(() => parseReport(new TextEncoder().encode(text))).not.toThrow();
  });
});
