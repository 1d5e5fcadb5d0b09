import { readFile } from "node:fs/promises";
import { defineConfig, type Plugin } from "rolldown";
import { peerDependencies } from "./package.json" with { type: "json" };
import { entry } from "./tsup.config.ts";

/** The JavaScript of dist/; its declarations are tsup's. */
export default defineConfig({
  input: entry,
  platform: "neutral",
  external: (id) => Object.keys(peerDependencies).some((peer) => id === peer || id.startsWith(`${peer}/`)),
  transform: { target: "es2022" },
  plugins: [ownCopyForQuoteaddr()],
  output: {
    dir: "dist",
    chunkFileNames: "[name]-[hash].js",
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
 */
function ownCopyForQuoteaddr(): Plugin {
  const copy = "?quoteaddr";
  return {
    name: "own-copy-for-quoteaddr",
    async resolveId(source, importer = "") {
      const isCopied =
        /(address(-list)?|a-label)\.ts$/.test(source) &&
        (importer.endsWith("/src/index.ts") || importer.endsWith(copy));
      const resolved = isCopied ? await this.resolve(source, importer.replace(copy, "")) : null;
      return resolved && `${resolved.id}${copy}`;
    },
    async load(id) {
      if (!id.endsWith(copy)) return null;
      return { code: await readFile(id.replace(copy, ""), "utf8"), moduleType: "ts" };
    },
  };
}
