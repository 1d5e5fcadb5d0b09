import { readFile } from "node:fs/promises";
import { defineConfig, type Plugin } from "rolldown";
import { peerDependencies } from "./package.json" with { type: "json" };
import { smaller } from "./scripts/build/smaller.ts";
import { entry } from "./tsup.config.ts";

/** The JavaScript of dist/; its declarations are tsup's. */
export default defineConfig({
  input: entry,
  platform: "neutral",
  external: (id) => Object.keys(peerDependencies).some((peer) => id === peer || id.startsWith(`${peer}/`)),
  transform: { target: "es2022" },
  plugins: [ownCopies(), smaller(import.meta.dirname)],
  output: {
    dir: "dist",
    chunkFileNames: "[name].js",
    codeSplitting: {
      // All that importing the package loads is one file. In pieces it would cost every import of one piece by another.
      groups: [{ name: (id, modules) => (isAtStart(id, modules) ? "session" : null), debugName: "session" }],
    },
  },
});

type Modules = { getModuleInfo(id: string): { isEntry: boolean; importers: readonly string[] } | null };

/** Whether `index.ts` imports a module, itself or through others, rather than loading it when it is first used. */
function isAtStart(id: string, modules: Modules): boolean {
  const module = modules.getModuleInfo(id);
  if (module === null || id.includes("?")) return false;
  if (module.isEntry) return id.endsWith("/src/index.ts");
  return module.importers.some((importer) => isAtStart(importer, modules));
}

/**
 * Gives `quoteaddr` a copy of the address scanner. A bundler that splits an application finds the scanner used by
 * `index.js` and by what is loaded on first use, and would load it at the start of those who import neither.
 *
 * `core.js` has a copy of all that it exports: what is public there is internal elsewhere, and may have short names.
 */
function ownCopies(): Plugin {
  return {
    name: "own-copies",
    async resolveId(source, importer = "") {
      const [path = "", copy] = importer.split("?");
      const name = copy ?? copyFor(path, source);
      if (name === undefined || (name === "quoteaddr" && !SCANNER.test(source))) return null;
      const resolved = await this.resolve(source, path);
      return resolved?.id.includes("/src/core/") ? `${resolved.id}?${name}` : resolved;
    },
    async load(id) {
      const [path = "", copy] = id.split("?");
      return copy === undefined ? null : { code: await readFile(path, "utf8"), moduleType: "ts" };
    },
  };
}

const SCANNER = /(address(-list)?|a-label)\.ts$/;

function copyFor(importer: string, source: string): string | undefined {
  if (importer.endsWith("/src/core/index.ts")) return "core";
  return importer.endsWith("/src/index.ts") && SCANNER.test(source) ? "quoteaddr" : undefined;
}
