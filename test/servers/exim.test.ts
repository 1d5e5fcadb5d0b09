/** Exim: the whole suite, and its own feature: lines of any length. */
import { describe, expect, it } from "vitest";
import { type Body, type SMTPException, type SMTPOptions, SMTPPool } from "../../src/index.ts";
import { describeServer } from "./servers.ts";
import { sendAndCompare, session, smtpSuite } from "./smtp-suite.ts";

describeServer("exim", (server) => {
  smtpSuite(server);

  it("takes lines longer than RFC 5321 allows", async () => {
    await session(server, (smtp) => sendAndCompare(server, smtp, `${"x".repeat(10_000)}\r\n.${"y".repeat(5_000)}\r\n`));
  });

  // Exim counts RSET among the commands that are not mail, and ends a session after too many of these.
  describe("50 queued messages of which every third has a refused recipient are all settled by one session", () => {
    const small = "Subject: x\r\n\r\nhello\r\n";
    const large = `Subject: x\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(1000)}`;
    async function* streamed(): AsyncGenerator<string> {
      yield small;
    }
    const cases: readonly [string, () => Body, SMTPOptions][] = [
      ["small", () => small, {}],
      ["large", () => large, {}],
      ["streamed", streamed, {}],
      ["small, by BDAT", () => small, { chunking: true }],
      ["streamed, by DATA", streamed, { chunking: false }],
    ];

    it.each(cases)("beside another recipient, %s", async (_, body, options) => {
      await session(
        server,
        async (smtp) => {
          const sent = Array.from({ length: 50 }, (_, index) => {
            const to = ["someone@lab.test", ...(index % 3 === 0 ? ["refused@lab.test"] : [])];
            return smtp.sendmail("sender@client.test", to, body());
          });
          const refused = await Promise.all(sent);
          expect(refused.map((one) => Object.keys(one).length)).toEqual(
            sent.map((_, index) => (index % 3 === 0 ? 1 : 0)),
          );
        },
        options,
      );
    });

    it.each(cases)("as the only one, by a pool, %s", async (_, body, options) => {
      const { host, port } = server;
      const pool = new SMTPPool({ host, port, starttls: "never", maxConnections: 1, timeout: 15, ...options });
      const sent = Array.from({ length: 50 }, (_, index) =>
        pool.sendmail("sender@client.test", index % 3 === 0 ? "refused@lab.test" : "someone@lab.test", body()).then(
          () => "ok",
          ({ name, delivery }: SMTPException) => `${name} ${delivery}`,
        ),
      );
      const outcomes = await Promise.all(sent);
      await pool.close();
      expect(outcomes).toEqual(sent.map((_, index) => (index % 3 === 0 ? "SMTPRecipientsRefused rejected" : "ok")));
    });
  });
});
