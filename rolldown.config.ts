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
  tsconfig: false,
  // Fields that the constructor sets are not declared before: that would set them twice.
  transform: { target: "es2022", typescript: { removeClassFieldsWithoutInitializer: true } },
  plugins: [ownCopies(), smaller(import.meta.dirname)],
  output: {
    dir: "dist",
    cleanDir: true,
    chunkFileNames: "[name].js",
    // The declarations have them.
    comments: { jsdoc: false },
    codeSplitting: {
      groups: [
        // All that importing the package loads is one file. In pieces it would cost every import of one piece by another.
        { name: (id, modules) => (isAtStart(id, modules) ? "session" : null), debugName: "session" },
        // So is what a connection loads beside its transport, on Node and wherever TLS is by `node:tls`.
        { name: "node-socket", test: /\/transports\/(node-socket|native-sockets|node-builtins)\.ts$/ },
      ],
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
 * Which modules an importer, and what it imports, gets a copy of:
 * - `core.js` of all that it exports, as what is public there is internal elsewhere, and may have short names;
 * - `quoteaddr` of the address scanner, as a bundler that splits an application finds the scanner used by `index.js` and
 *   by what is loaded on first use, and would load it at the start of those who import neither;
 * - transports, and the spans, of small modules, as each file that is loaded with a connection takes time.
 */
const COPIES = [
  { name: "core", importer: "/src/core/index.ts", of: /\/src\/core\// },
  { name: "quoteaddr", importer: "/src/index.ts", of: /\/src\/core\/(address(-list)?|a-label)\.ts$/ },
  { name: "opentelemetry", importer: "/src/opentelemetry.ts", of: /\/channels\.ts$/ },
  ...["deno", "bun", "web-streams", "workers"].map((name) => ({
    name,
    importer: `/transports/${name}.ts`,
    of: /\/(native-sockets|node-builtins)\.ts$/,
  })),
];

/** Makes the copies: the same files, by ids that end in the copy's name. */
function ownCopies(): Plugin {
  return {
    name: "own-copies",
    async resolveId(source, importer = "") {
      const [path = "", name] = importer.split("?");
      const copy = COPIES.find((one) => (name === undefined ? path.endsWith(one.importer) : one.name === name));
      const resolved = copy && (await this.resolve(source, path));
      if (!resolved) return null;
      return copy.of.test(resolved.id) ? `${resolved.id}?${copy.name}` : resolved;
    },
    async load(id) {
      const [path = "", name] = id.split("?");
      return name === undefined ? null : { code: await readFile(path, "utf8"), moduleType: "ts" };
    },
  };
}
