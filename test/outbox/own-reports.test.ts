/** The reports that an outbox makes, and their options. */
import { describe, expect, it } from "vitest";
import { parseReport } from "../../src/outbox/index.ts";
import type { OutboxMessage } from "../../src/outbox/message.ts";
import { FRESH } from "../../src/outbox/message.ts";
import { outboxSettings } from "../../src/outbox/options.ts";
import { buildReport, type FailedRecipient, type ReportOptions, reportable } from "../../src/outbox/report.ts";
import { message } from "./lives.ts";

const connect = () => ({ host: "mail.example.com" });
const reply = { code: 550, text: "5.1.1 no such user" };

/** A message whose recipient is given up. */
function givenUp(parts: Partial<OutboxMessage>): OutboxMessage {
  return message({
    to: [{ address: "gone@example.net" }],
    state: { ...FRESH, failed: [["gone@example.net", reply]] },
    ...parts,
  });
}

async function reportOn(parts: Partial<OutboxMessage>, options: Partial<ReportOptions> = {}): Promise<string> {
  const about = givenUp(parts);
  const failures: readonly FailedRecipient[] = about.to.map(({ address }) => [address, reply]);
  const built = await buildReport(about, failures, undefined, { host: "mail.example.com", ...options });
  return new TextDecoder().decode(built);
}

describe("a report", () => {
  it("is made for no null reverse path, however it is written", () => {
    for (const from of ["", "<>", " <> ", "(nobody) <>", "<> (nobody)"]) {
      expect(reportable(givenUp({ from }))).toEqual([]);
    }
    for (const from of ["ada@example.com", "<ada@example.com>", "Ada <ada@example.com>", "postmaster"]) {
      expect(reportable(givenUp({ from }))).toHaveLength(1);
    }
  });

  it("is made for no reverse path that is no address", () => {
    expect(reportable(givenUp({ from: "<" }))).toEqual([]);
  });

  it("names a recipient by the address alone, however it was given", async () => {
    const report = await reportOn({
      to: [{ address: "Gone <gone@example.net>" }, { address: "<jürgen@example.net>" }],
    });
    expect(report).toContain("Final-Recipient: rfc822; gone@example.net\r\n");
    expect(report).toContain("Final-Recipient: utf-8; j\\x{FC}rgen@example.net\r\n");
    expect(report).toContain("<gone@example.net>: 550 5.1.1 no such user");
  });

  it("repeats an ORCPT that is not ASCII so that it can be read again", async () => {
    const report = await reportOn({ to: [{ address: "gone@example.net", orcpt: "utf-8;jürgen@example.net" }] });
    expect(report).toContain("Original-Recipient: utf-8;j\\x{FC}rgen@example.net\r\n");
    expect(parseReport(report)?.recipients[0]?.original).toBe("jürgen@example.net");
  });

  it("names the message, even where the message cannot be read any more", async () => {
    expect(parseReport(await reportOn({}))?.messageId).toBe(message().messageId);
  });

  it("comes from the address alone, and from a host name in ASCII", async () => {
    const report = await reportOn({}, { host: "bücher.example", from: "Mail <mail@example.com>" });
    expect(report).toContain("From: Mail Delivery System <mail@example.com>\r\n");
    expect(report).toContain("Reporting-MTA: dns; xn--bcher-kva.example\r\n");
    expect(await reportOn({}, { host: "[192.0.2.1]" })).toContain("<mailer-daemon@[192.0.2.1]>");
  });
});

describe("the options of reports", () => {
  it.each([
    ["no host name", { host: "x y\r\nBcc: z@example.net" }],
    ["a host name with a space", { host: "mail example.com" }],
    ["a host name with an empty label", { host: "mail..example.com" }],
    ["a host name with a full stop at its end", { host: "mail.example.com." }],
    ["a long host name", { host: `${"a".repeat(64)}.example.com` }],
    ["an address as a host", { host: "root@mail.example.com" }],
    ["no address", { host: "mail.example.com", from: "not an address" }],
    ["no domain", { host: "mail.example.com", from: "postmaster" }],
    ["the null path", { host: "mail.example.com", from: "<>" }],
    ["a second header field", { host: "mail.example.com", from: "a@example.com>\r\nBcc: <z@example.net" }],
  ])("refuse %s", (_, report) => {
    expect(() => outboxSettings({ connect, report })).toThrow(RangeError);
    expect(() => outboxSettings({ connect, report })).toThrow("options.report.");
  });

  it("refuse an unknown option", () => {
    expect(() =>
      Reflect.apply(outboxSettings, undefined, [{ connect, report: { host: "mail.example.com", form: "a@b" } }]),
    ).toThrow('"form" in options.report');
  });

  it("take a host name and an address in any of their forms", () => {
    for (const host of ["mail.example.com", "localhost", "mail_1.example.com", "bücher.example", "[192.0.2.1]"]) {
      expect(outboxSettings({ connect, report: { host } }).report?.host).toBe(host);
    }
    const from = "Mail <mailer-daemon@example.com>";
    expect(outboxSettings({ connect, report: { host: "mail.example.com", from } }).report?.from).toBe(from);
  });
});
