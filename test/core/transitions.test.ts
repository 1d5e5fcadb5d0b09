/** The dialogue's table in `docs/dialogue.md` is the same as in the code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TRANSITIONS } from "../../src/core/transitions.ts";

const document = join(import.meta.dirname, "../../docs/dialogue.md");

/** The printed names of entries that are no verbs. */
const NAMES: Readonly<Record<string, string>> = {
  connect: "(the connection)",
  "": "(an answer to a challenge)",
  ".": "`.` (the end of a message)",
  END: "`.` sent by `docmd()`",
  other: "(any other)",
};

function row([verb, { at, sent, after, only }]: [string, (typeof TRANSITIONS)[string]]): string {
  const replies = after.map((position, column) => {
    const isOnly = only !== undefined && Math.floor(only / 100) === column + 2;
    return `${position ?? "stays"}${isOnly ? ` (${only} alone)` : ""}`;
  });
  return `| ${[NAMES[verb] ?? `\`${verb}\``, at.join(", "), sent, ...replies].join(" | ")} |`;
}

test("docs/dialogue.md has the table of the code", () => {
  const table = [
    "| command | may be sent at | after sending | after 2yz | 3yz | 4yz | 5yz |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...Object.entries(TRANSITIONS).map(row),
  ].join("\n");
  expect(readFileSync(document, "utf8")).toContain(table);
});
