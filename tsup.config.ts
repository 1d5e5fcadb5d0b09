import { defineConfig } from "tsup";
import { sharedFiles } from "./scripts/shared-files.ts";

/** What the package exports: the name in dist/, and the source. */
export const entry = {
  index: "src/index.ts",
  core: "src/core/index.ts",
  sasl: "src/sasl/index.ts",
  proxy: "src/proxy/index.ts",
  testing: "src/testing/index.ts",
  "transports/node": "transports/node.ts",
  "transports/deno": "transports/deno.ts",
  "transports/bun": "transports/bun.ts",
  "transports/memory": "transports/memory.ts",
  nodemailer: "src/nodemailer/npm.ts",
  outbox: "src/outbox/index.ts",
  opentelemetry: "src/opentelemetry.ts",
  upyo: "src/upyo/index.ts",
  "transports/web-streams": "transports/web-streams.ts",
  "transports/workers": "transports/workers.ts",
  cli: "src/cli/main.ts",
};

/** All of dist/: JavaScript with the names of the sources, source maps that point to the shipped sources, declarations. */
export default defineConfig({
  entry,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  clean: true,
  splitting: true,
  // The command line uses Node's modules under the names that Deno and Bun know them by, too.
  external: [/^node:/],
  removeNodeProtocol: false,
  sourcemap: true,
  esbuildPlugins: [
    sharedFiles(import.meta.dirname, entry, {
      library: { entries: ["src/index.ts"], within: "src/" },
      sockets: { entries: ["transports/node.ts", "transports/deno.ts", "transports/bun.ts"], within: "transports/" },
    }),
  ],
  // The package has the sources: the maps need not repeat them.
  esbuildOptions(options) {
    options.sourcesContent = false;
    options.chunkNames = "shared-[hash]";
  },
  // Unused names are for the type check to report: they must not keep anyone from building.
  dts: {
    // Symbol.asyncDispose is declared where the compiler of the package's user does not know it otherwise.
    banner: '/// <reference lib="esnext.disposable" />',
    compilerOptions: {
      ignoreDeprecations: "6.0",
      types: ["node"],
      noUnusedLocals: false,
      noUnusedParameters: false,
    },
  },
});
