/** CONTRIBUTING's map of the sources: each file in it exists. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const text = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");
const named = [...text.matchAll(/`((?:src|transports|test|docs|scripts|bench|examples)\/[\w./-]*)`/g)].map(
  ([, path = ""]) => path,
);

test("CONTRIBUTING names files and folders that exist", () => {
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
