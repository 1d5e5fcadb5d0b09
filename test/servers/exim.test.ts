/** Exim: everything, and what only Exim has: lines of any length. */
import { it } from "vitest";
import { describeServer } from "./servers.ts";
import { sendAndCompare, session, smtpSuite } from "./smtp-suite.ts";

describeServer("exim", (server) => {
  smtpSuite(server);

  it("takes lines longer than RFC 5321 allows", async () => {
    await session(server, (smtp) => sendAndCompare(server, smtp, `${"x".repeat(10_000)}\r\n.${"y".repeat(5_000)}\r\n`));
  });
});
