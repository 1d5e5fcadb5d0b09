/**
 * The table of docs/extensions.md agrees with the code, and each of its cells with a test.
 *
 * @node Each runtime would read the same files.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EXTENSIONS } from "../../src/core/extensions/index.ts";
import { passwordMechanisms, tokenMechanisms } from "../../src/sasl/choose.ts";
import * as sasl from "../../src/sasl/index.ts";
import { markdownOf, rows } from "./table.ts";

const root = join(import.meta.dirname, "../..");
const docs = readFileSync(join(root, "docs/extensions.md"), "utf8");

describe("the table of extensions", () => {
  it("has each extension of the code, with its RFC, and no other", () => {
    const documented = rows.filter(({ kind }) => kind === "extension");
    expect(documented.map(({ name }) => name)).toEqual(EXTENSIONS.map(({ keyword }) => keyword));
    for (const { keyword, rfc } of EXTENSIONS) {
      expect(documented.find(({ name }) => name === keyword)?.rfc.split(", ")).toContain(rfc);
    }
  });

  it("has each mechanism of the code, the strongest first, and no other", () => {
    const documented = rows.filter(({ kind }) => kind === "mechanism").map(({ name }) => name);
    expect(documented).toEqual([...passwordMechanisms.keys(), ...tokenMechanisms.keys(), "EXTERNAL", "ANONYMOUS"]);
  });

  it("names each function of smtplib/sasl", () => {
    const options = rows.filter(({ kind }) => kind === "mechanism").map(({ option }) => option);
    for (const name of Object.keys(sasl)) expect(options.join(), name).toContain(`\`${name}()\``);
  });

  it("names each option of the code, and no other", () => {
    const options = EXTENSIONS.flatMap(({ mail, rcpt }) => [...(mail?.options ?? []), ...(rcpt?.options ?? [])]);
    for (const option of options)
      expect(
        rows.some((row) => row.option.includes(`\`${option}`)),
        option,
      ).toBe(true);
  });

  it.each(["extension", "mechanism"] as const)("stands in the docs as it is: each %s", (kind) => {
    if (rows.some((row) => row.kind === kind)) expect(docs).toContain(`\n${markdownOf(kind)}\n`);
  });

  it("has a test for each server that a row names, and a row for each test", () => {
    const claimed = rows.flatMap(({ name, provenAgainst }) => provenAgainst.map((server) => `${name}, ${server}`));
    expect([...new Set(proofs())].sort()).toEqual(claimed.sort());
  });
});

/** The rows and servers that tests prove, from the calls of `proof` in their sources. */
function proofs(): string[] {
  const files = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => file.endsWith(".ts") && !file.startsWith("extensions/proof"))
    .flatMap((file) => [
      ...readFileSync(join(root, "test", file), "utf8").matchAll(/\bproof\(\s*"([^"]+)",\s*"([^"]+)"/g),
    ])
    .map(([, row, server]) => `${row}, ${server}`);
}
