/**
 * Importing the package opens nothing and loads no transport: the first connection does that.
 *
 * @node It starts each runtime itself.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Runtime, running, runtimes } from "../support/runtimes.ts";
import { type Folder, installPackage, type Outcome, run } from "./installed.ts";

/**
 * Code that only a transport contains: access to the system. `builtin-module.ts` only looks for channels and contexts.
 */
const waysOut = /\bgetBuiltinModule\b(?!\?\.\(id\))|\bDeno\.\w|\bBun\.\w/;

/** Records the calls of functions that access the system. */
const watcher = `
globalThis.taken = [];
const watch = (owner, name) => {
  const before = owner?.[name];
  if (typeof before !== "function") return;
  const watched = function (...args) { taken.push(name); return Reflect.apply(before, this, args); };
  Reflect.set(owner, name, watched); // Bun lets some of its own not be replaced
};
for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"]) watch(globalThis, name);
watch(globalThis.process, "getBuiltinModule");
for (const name of ["connect", "connectTls", "listen", "open", "readFile"]) watch(globalThis.Deno, name);
for (const name of ["connect", "listen", "file"]) watch(globalThis.Bun, name);
`;

/** Imports, constructs and connects; prints the calls and the loaded files after each step. */
const STEPS = `
const at = {};
const note = (step) => {
  at[step] = { taken: [...taken], loaded: [...loaded] };
};
const { SMTP } = await import("smtplib");
note("imported");
new SMTP().close();
note("constructed");
await SMTP.connect("127.0.0.1", 1).catch(() => {});
note("connected");
console.log(JSON.stringify(at));
`;

describe("importing the package", () => {
  let folder: Folder;

  beforeAll(async () => {
    folder = await installPackage();
    await instrument(join(folder.path, "node_modules/smtplib/dist"));
    await writeFile(join(folder.path, "watcher.mjs"), watcher);
  }, 60_000);

  afterAll(() => folder.remove());

  describe.each(runtimes)("on $name", (runtime) => {
    /** The calls and the loaded files after each step. */
    let at: Record<"imported" | "constructed" | "connected", { taken: string[]; loaded: string[] }>;

    beforeAll(async () => {
      const { status, output } = await runHere(runtime, STEPS);
      expect(status, output).toBe(0);
      at = JSON.parse(output);
    });

    it("calls nothing that could open, wait or start", () => {
      expect(at.imported.taken).toEqual([]);
    });

    it("loads no file that could", async () => {
      expect(at.imported.loaded).toContain("index.js");
      expect(await able(at.imported.loaded)).toEqual([]);
    });

    it("constructs without connecting, and then still loads none", async () => {
      expect(at.constructed.loaded).toContain("index.js");
      expect(await able(at.constructed.loaded)).toEqual([]);
    });

    it("loads the runtime's own transport with the first connection, and no other", () => {
      const transports = at.connected.loaded.filter((file) => file.startsWith("transports/"));
      expect(transports).toEqual([`transports/${runtime.name.toLowerCase()}.js`]);
    });

    it("reads two files to import the package, and two more to connect", () => {
      expect(at.imported.loaded.toSorted()).toEqual(["index.js", "library.js"]);
      expect(at.connected.loaded).toHaveLength(4);
    });
  });

  it("has no file that lacks what it imports from another", async () => {
    const dist = join(folder.path, "node_modules/smtplib/dist");
    const files = (await readdir(dist, { recursive: true })).filter((name) => /\.js$/.test(name) && name !== "cli.js");
    expect(files.length).toBeGreaterThan(20);
    const { status, output } = await runHere(
      running,
      files.map((name) => `await import(${JSON.stringify(join(dist, name))});`).join("\n"),
    );
    expect(status, output).toBe(0);
  });

  it("has each module in one file, so that there is one of each class", async () => {
    const dist = join(folder.path, "node_modules/smtplib/dist");
    const maps = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith(".js.map"));
    const sources = await Promise.all(
      maps.map(async (name) => {
        const map: { sources: string[] } = JSON.parse(await readFile(join(dist, name), "utf8"));
        return map.sources.map((source) => join(dirname(join(dist, name)), source));
      }),
    );
    const all = sources.flat();
    expect(all.length).toBeGreaterThan(200);
    expect(all.filter((source, index) => all.indexOf(source) !== index)).toEqual([]);
  });

  it("asks Deno for no permission but to read its files", async () => {
    const [deno = ""] = runtimes.find(({ name }) => name === "Deno")?.command ?? [];
    await writeFile(join(folder.path, "main.mjs"), 'await import("smtplib"); console.log("imported");');
    const { output } = await run(folder.path, [deno, "run", "--no-prompt", `--allow-read=${folder.path}`, "main.mjs"]);
    expect(output).toBe("imported\n");
  });

  it("would be seen to take a way out", async () => {
    for (const runtime of runtimes) {
      const { output } = await runHere(runtime, "setTimeout(() => {}); console.log(JSON.stringify(taken));");
      expect(output).toBe('["setTimeout"]\n');
    }
    expect((await able(["transports/node.js", "transports/deno.js", "transports/bun.js"])).length).toBeGreaterThan(0);
  });

  async function runHere({ command }: Runtime, code: string): Promise<Outcome> {
    await writeFile(join(folder.path, "main.mjs"), `import "./watcher.mjs";\n${code}\n`);
    return run(folder.path, [...command, "main.mjs"]);
  }

  async function able(files: readonly string[]): Promise<string[]> {
    const dist = join(folder.path, "node_modules/smtplib/dist");
    const codes = await Promise.all(files.map((file) => readFile(join(dist, file), "utf8")));
    return files.filter((_, index) => waysOut.test(codes[index] ?? ""));
  }
});

/** Makes each file of the package record that it was loaded. */
async function instrument(dist: string): Promise<void> {
  const files = await readdir(dist, { recursive: true });
  for (const file of files.filter((name) => name.endsWith(".js"))) {
    const code = await readFile(join(dist, file), "utf8");
    await writeFile(join(dist, file), `(globalThis.loaded ??= []).push(${JSON.stringify(file)});\n${code}`);
  }
}
