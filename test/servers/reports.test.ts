/** `parseReport()` reads the delivery reports (RFC 3464) of real servers. */
import { expect, it } from "vitest";
import { type DeliveryReport, parseReport, type ReportedRecipient } from "../../src/outbox/index.ts";
import { letter } from "./letters.ts";
import { awaitMessages } from "./mailbox.ts";
import { describeServer, type Server } from "./servers.ts";
import { session } from "./smtp-suite.ts";

const failed = { address: "bounced@lab.test", original: "old+address@lab.test", action: "failed" } as const;
const delivered = { address: "someone@lab.test", action: "delivered" } as const;

describeServer("postfix", (server) => {
  it("parseReport() reads its reports of a failure and of a delivery", async () => {
    await expectReports(server, 2, [
      { ...failed, status: "5.1.1", diagnostic: "no such mailbox" },
      { ...delivered, original: "someone@lab.test", status: "2.0.0" },
    ]);
  });
});

describeServer("exim", (server) => {
  it("parseReport() reads its reports of a failure and of a delivery", async () => {
    await expectReports(server, 2, [
      { ...failed, status: "5.0.0", diagnostic: "no such mailbox" },
      { ...delivered, status: "2.0.0" },
    ]);
  });
});

describeServer("sendmail", (server) => {
  it("parseReport() reads its report of a failure and of a delivery", async () => {
    await expectReports(server, 1, [
      { ...failed, status: "5.1.1", diagnostic: "67" },
      { ...delivered, status: "2.1.5" },
    ]);
  });
});

/** Sends a message to one recipient that gets it and one that does not, and reads the reports about it. */
async function expectReports(server: Server, count: number, expected: Partial<ReportedRecipient>[]): Promise<void> {
  const { marker, content } = letter();
  const messageId = `<${marker}@client.test>`;
  await session(server, async (smtp) => {
    await smtp.deliver({
      from: "sender@lab.test",
      to: [
        { address: failed.address, notify: ["FAILURE"], orcpt: `rfc822;${failed.original}` },
        { address: delivered.address, notify: ["SUCCESS"] },
      ],
      body: new TextDecoder().decode(content).replace("\r\n", `\r\nMessage-ID: ${messageId}\r\n`),
      envid: "order+17=x",
    });
  });
  // The message itself is stored once.
  const stored = await awaitMessages(server, marker, 1 + count);
  const reports = stored.flatMap(({ raw }): DeliveryReport[] => {
    const report = parseReport(raw);
    return report === undefined ? [] : [report];
  });
  expect(reports).toHaveLength(count);
  for (const report of reports) expect(report).toMatchObject({ envelopeId: "order+17=x", messageId });
  const recipients = reports.flatMap((report) => report.recipients).sort((a, b) => (a.address < b.address ? -1 : 1));
  expect(recipients).toMatchObject(expected);
}
