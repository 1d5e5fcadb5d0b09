/** aiosmtpd: the whole suite, in lock-step since it offers no PIPELINING; it stores the bytes of the wire. */
import { expect, it } from "vitest";
import { letter } from "./letters.ts";
import { storedMessages } from "./mailbox.ts";
import { describeServer } from "./servers.ts";
import { sendAndCompare, session, smtpSuite } from "./smtp-suite.ts";

describeServer("aiosmtpd", (server) => {
  smtpSuite(server);

  it("reports that a line was too long and sends the next message", async () => {
    const { marker, content } = letter(`${"x".repeat(2_000)}\r\n`);
    await session(server, async (smtp) => {
      const sent = smtp.sendmail("sender@client.test", "someone@lab.test", content);
      await expect(sent).rejects.toMatchObject({ name: "SMTPDataError", smtp_code: 500, delivery: "rejected" });
      await sendAndCompare(server, smtp);
    });
    expect(await storedMessages(server, marker)).toEqual([]);
  });
});
