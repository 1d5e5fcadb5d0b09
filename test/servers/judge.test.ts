/** The judge of the wire also observes the suites of real servers. */
import { expect, it } from "vitest";
import { violations } from "../judge/under-test.ts";
import { describeServer } from "./servers.ts";
import { session } from "./smtp-suite.ts";

describeServer("exim", (server) => {
  it("sees a session with a real server", async () => {
    // RFC 5321 4.1.2 allows no underscore in a name, but Exim accepts it.
    await session(server, async (smtp) => void (await smtp.ehlo()), { local_hostname: "not_a_name" });
    expect(violations().map(({ rule }) => rule)).toEqual([expect.stringMatching(/^RFC 5321 4\.1\.2: a host's name/)]);
  });
});
