/**
 * The layers of the architecture: the permitted imports, checked with the syntax trees of all sources.
 *
 * @node Each runtime would read the same files.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isAllowed, layerOf, layers } from "../support/layers.ts";
import { cycles, type Edge, read } from "./import-graph.ts";

const root = join(import.meta.dirname, "../..");

const files = ["src", "transports"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);

const sources = files.map((file) => ({ file, ...read(file, text(file)) }));

describe("the import graph", () => {
  it("covers every source, each in a layer", () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files.filter((file) => layerOf(file) === undefined)).toEqual([]);
  });

  it("has the layers that CONTRIBUTING's table shows", () => {
    const rows = [...text("CONTRIBUTING.md").matchAll(/^\| (`(?:src|transports)\/[^|]*) \|[^|]*\|[^|]*\|$/gm)];
    const shown = rows.flatMap(([, cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, layer]) => layer));
    const inFolder = (layer: string): boolean => shown.includes(layer.replace(/[^/]*$/, ""));
    expect(Object.keys(layers).filter((layer) => !shown.includes(layer) && !inFolder(layer))).toEqual([]);
  });

  it("has only edges that lead inward", () => {
    const edges = sources.flatMap((source) => source.edges);
    expect(edges.length).toBeGreaterThan(100);
    expect(edges.filter((edge) => !isAllowed(edge))).toEqual([]);
  });

  it("ends within the project: no package but a subpath's peer, no runtime's module", () => {
    // Transports may import the types of Node's modules; they get the code from process.getBuiltinModule.
    const packages = sources.flatMap((source) =>
      source.packages.filter(
        ({ name, kind }) =>
          !(kind === "type" && source.file.startsWith("transports/")) &&
          !layerOf(source.file)?.packages?.includes(name),
      ),
    );
    expect(packages).toEqual([]);
  });

  it("has no circles of files that are loaded together", () => {
    expect(cycles(sources.flatMap(({ edges }) => edges))).toEqual([]);
  });

  it("leads nowhere to the command line", () => {
    const edges = sources.flatMap((source) => source.edges);
    expect(edges.filter(({ from, to }) => to.startsWith("src/cli/") && !from.startsWith("src/cli/"))).toEqual([]);
  });

  it("leads to no runtime's API in src/, but for the command line", () => {
    const own = sources.filter(({ file }) => file.startsWith("src/") && !file.startsWith("src/cli/"));
    expect(naming(own, ["Buffer", "process", "require"])).toEqual([]);
    expect(own.filter(({ strings }) => strings.some((one) => one.startsWith("node:"))).map(({ file }) => file)).toEqual(
      [],
    );
    // One file looks for diagnostics channels and callers' contexts in the runtime. In src/opentelemetry.ts the text is
    // the name of an operation.
    const named = own.filter(({ file, strings }) => strings.includes("process") && file !== "src/opentelemetry.ts");
    expect(named.map(({ file }) => file)).toEqual(["src/client/builtin-module.ts"]);
  });

  it("leads to neither timers nor promises nor I/O in src/core/", () => {
    const core = sources.filter(({ file }) => file.startsWith("src/core/"));
    const timers = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"];
    expect(naming(core, ["Promise", "fetch", "performance", "crypto", ...timers])).toEqual([]);
  });
});

describe("the reader of imports", () => {
  it.each<[string, Partial<Edge>]>([
    ['import { x } from "../transports/node.ts";', { to: "transports/node.ts", kind: "static" }],
    ['import "../transports/node.ts";', { to: "transports/node.ts", kind: "static" }],
    ['import type { x } from "./byte-stream.ts";', { to: "src/byte-stream.ts", kind: "type" }],
    ['import { type x } from "./byte-stream.ts";', { to: "src/byte-stream.ts", kind: "type" }],
    ['import { type x, y } from "./byte-stream.ts";', { to: "src/byte-stream.ts", kind: "static" }],
    ['export { x } from "./facade/smtp.ts";', { to: "src/facade/smtp.ts", kind: "static" }],
    ['export * from "./facade/smtp.ts";', { to: "src/facade/smtp.ts", kind: "static" }],
    ['export type { x } from "./facade/smtp.ts";', { to: "src/facade/smtp.ts", kind: "type" }],
    ['const x = async () => import("./facade/smtp.ts");', { to: "src/facade/smtp.ts", kind: "dynamic" }],
    ['type X = import("./facade/smtp.ts").SMTP;', { to: "src/facade/smtp.ts", kind: "type" }],
  ])("understands %s", (code, edge) => {
    expect(read("src/x.ts", code).edges).toMatchObject([edge]);
  });

  it("sees what the rules forbid", () => {
    const forbidden: Edge[] = [
      { from: "src/core/reply.ts", to: "src/client/session.ts", kind: "static" },
      { from: "src/core/reply.ts", to: "src/byte-stream.ts", kind: "type" },
      { from: "src/client/session.ts", to: "transports/node.ts", kind: "dynamic" },
      { from: "src/runtime.ts", to: "transports/node.ts", kind: "static" },
      { from: "src/facade/smtp.ts", to: "transports/node.ts", kind: "static" },
      { from: "src/facade/smtp.ts", to: "src/pool/dispatcher.ts", kind: "dynamic" },
      { from: "src/pool/pooled-connection.ts", to: "transports/node.ts", kind: "dynamic" },
      { from: "transports/node.ts", to: "src/core/bytes.ts", kind: "static" },
      { from: "src/sasl/plain.ts", to: "src/byte-stream.ts", kind: "static" },
    ];
    expect(forbidden.filter(isAllowed)).toEqual([]);
  });

  it("finds a cycle", () => {
    const edge = (from: string, to: string): Edge => ({ from, to, kind: "static" });
    expect(cycles([edge("a", "b"), edge("b", "c"), edge("c", "a"), edge("d", "a")])).toHaveLength(1);
  });
});

function text(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

function naming(read: typeof sources, forbidden: readonly string[]): string[] {
  return read.flatMap(({ file, names }) =>
    names.filter((name) => forbidden.includes(name)).map((name) => `${file}: ${name}`),
  );
}
