/** The table of docs/extensions.md: which extension and SASL mechanism is proven against whom. Its data is table.json. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A row of the table. */
export type Row = {
  readonly kind: "extension" | "mechanism";
  readonly name: string;
  /** The numbers of its RFCs; "" where none specifies it. */
  readonly rfc: string;
  /** How a caller asks for it. */
  readonly option: string;
  /** What happens where the server does not offer it. */
  readonly missing: string;
  /** Servers that a test proves it against; "script" is one that plays the RFC's own examples. */
  readonly provenAgainst: readonly string[];
};

/** All rows. */
export const rows: readonly Row[] = JSON.parse(readFileSync(join(import.meta.dirname, "table.json"), "utf8"));

/** The rows of a kind as the Markdown table that the docs have. */
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
