/** Postfix: everything, and what only Postfix has: passwords checked by Dovecot, the parameters of DSN, lines of any length. */
import { expect, it } from "vitest";
import { describeServer } from "./servers.ts";
import { sendAndCompare, session, smtpSuite } from "./smtp-suite.ts";

describeServer("postfix", (server) => {
  smtpSuite(server);

  it("takes lines longer than RFC 5321 allows, and puts them together again", async () => {
    await session(server, (smtp) => sendAndCompare(server, smtp, `${"x".repeat(10_000)}\r\n.${"y".repeat(5_000)}\r\n`));
  });

  it("takes the parameters of DSN", async () => {
    await session(server, async (smtp) => {
      const delivery = await smtp.deliver({
        from: "sender@client.test",
        to: [{ address: "someone@lab.test", notify: ["NEVER"], orcpt: "rfc822;some+one@lab.test" }],
        body: "Subject: dsn\r\n\r\n",
        ret: "HDRS",
        envid: "a+b=c",
      });
      expect(delivery.accepted).toEqual(["someone@lab.test"]);
    });
  });
});
