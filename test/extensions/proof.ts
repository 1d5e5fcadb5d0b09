/** Tests that prove a row of the table of extensions; `npm test` prints the table from their outcomes. */
import { it } from "vitest";

/**
 * A test that proves a row against one of its servers. The title carries both, so that the table can be put together
 * from the reports of all runtimes.
 */
export function proof(row: string, server: string, what: string, test: () => void | Promise<void>): void {
  it(`[${row}, ${server}] ${what}`, test);
}
