/**
 * docs/architecture.md: its drawing shows the import graph (`vitest run test/packaging/architecture.test.ts -u` draws
 * it again), and the files that it names exist.
 *
 * @node Each runtime would read the same files.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "./documents.ts";
import { read } from "./import-graph.ts";
import { drawLayers } from "./layer-drawing.ts";

const files = ["src", "transports"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${folder}/${name}`),
);

describe("docs/architecture.md", () => {
  it("has a drawing of the import graph", async () => {
    const edges = files.sort().flatMap((file) => read(file, readFileSync(join(root, file), "utf8")).edges);
    await expect(drawLayers(edges)).toMatchFileSnapshot(join(root, "docs/architecture.svg"));
  });

  it("names files that exist", () => {
    const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
    const named = Array.from(text.matchAll(/`((?:src|transports|test)\/[\w./-]*)`/g), ([, path = ""]) => path);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
