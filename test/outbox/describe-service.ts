/** Suites that need programs from Debian. */
import { env } from "node:process";
import { describe, it } from "vitest";
import { has, postgresBinaries } from "./services.ts";

/**
 * A suite that needs Redis, PostgreSQL or Spin. Without the program it is skipped with a message; where servers are
 * required (CI, SMTPLIB_REQUIRE_SERVERS=1) it fails instead.
 */
export function describeService(name: "redis" | "postgresql" | "spin", suite: () => void): void {
  const missing =
    name === "redis" ? !has("redis-server") : name === "spin" ? !has("spin") : postgresBinaries() === undefined;
  if (!missing) {
    describe(name, suite);
    return;
  }
  const reason = `${name} is not installed; see test/servers/install.sh`;
  if (env["CI"] === "true" || env["SMTPLIB_REQUIRE_SERVERS"] === "1") {
    it(`${name} is installed`, () => {
      throw new Error(reason);
    });
    return;
  }
  console.warn(`SKIPPED: the tests that need ${name}: ${reason}`);
  describe.skip(name, () => it(reason, () => {}));
}
