/** Holds the bundle to its budget: the facade with one transport, as a bundler makes it for a user's application. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const budget = JSON.parse(readFileSync(join(import.meta.dirname, "size-budget.json"), "utf8"));
const transports = ["node", "deno", "bun"];
let exceeded = false;

for (const transport of transports) {
  const { outputFiles } = await build({
    stdin: {
      contents: `export * from "./dist/index.js"; export { connect } from "./dist/transports/${transport}.js";`,
      resolveDir: root,
    },
    absWorkingDir: root,
    outdir: "out",
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    logLevel: "error",
    plugins: [onlyTransport(transport)],
  });
  const code = Buffer.concat(outputFiles.map(({ contents }) => contents));
  const sizes = { minified: code.length, gzip: gzipSync(code, { level: 9 }).length };
  for (const [kind, size] of Object.entries(sizes)) {
    const verdict = size < budget[kind] ? "within" : "EXCEEDS";
    console.log(
      `facade with ${transport} transport, ${kind}: ${size} octets, ${verdict} the budget of ${budget[kind]}`,
    );
    if (size >= budget[kind]) exceeded = true;
  }
}
process.exitCode = exceeded ? 1 : 0;

/** The other runtimes' transports are loaded on demand, so they are not part of what an application loads. */
function onlyTransport(name) {
  const others = new RegExp(`/transports/(${transports.filter((other) => other !== name).join("|")})\\.js$`);
  return {
    name: "only-one-transport",
    setup: ({ onResolve }) => onResolve({ filter: others }, ({ path }) => ({ path, external: true })),
  };
}
