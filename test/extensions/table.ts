/**
 * The table of docs/extensions.md: the servers that prove each extension and SASL mechanism. Its data is table.json.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A row of the table. */
export type Row = {
  readonly kind: "extension" | "mechanism";
  readonly name: string;
  /** The numbers of its RFCs; "" if none specifies it. */
  readonly rfc: string;
  /** The option by which a caller requests it. */
  readonly option: string;
  /** The behaviour if the server does not offer it. */
  readonly missing: string;
  /** The servers with which a test proves it; "script" is one that plays the RFC's own examples. */
  readonly provenAgainst: readonly string[];
};

/** All rows. */
export const rows: readonly Row[] = JSON.parse(readFileSync(join(import.meta.dirname, "table.json"), "utf8"));

/** The rows of a kind as the Markdown table in the docs. */
export function markdownOf(kind: Row["kind"]): string {
  const name = kind === "extension" ? "Extension" : "Mechanism";
  const head = [name, "RFC", "Option", "Where it is not offered", "Tested in CI against", "Node", "Deno", "Bun"];
  const lines = rows
    .filter((row) => row.kind === kind)
    .map(({ name, rfc, option, missing, provenAgainst }) => {
      return [name, rfc, option, missing, provenAgainst.join(", "), "yes", "yes", "yes"];
    });
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
