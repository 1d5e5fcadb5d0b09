/** Tests that prove a row of the table of extensions; `npm test` prints the table from their outcomes. */
import { it } from "vitest";

/**
 * A test that proves a row with one of its servers. The title contains both, so that the table can be built from the
 * reports of all runtimes.
 */
export function proof(row: string, server: string, what: string, test: () => void | Promise<void>): void {
  it(`[${row}, ${server}] ${what}`, test);
}
