/**
 * Reports the size of the bundle: the facade with one transport, as a bundler makes it for an application that imports
 * Python's classes and the exceptions. "at start" is the code that the application loads first; "in all" adds the code
 * that it loads on first use. `scripts/size.json` has the figures of the last release; growth of more than a tenth is a
 * warning, not a failure.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const released = join(import.meta.dirname, "size.json");
const transports = ["node", "deno", "bun"];
const exported = Object.keys(await import("../dist/index.js"));
const facade = exported.filter((name) => /^[A-Z]/.test(name) && name !== "SMTPPool");

const sizes = {};
for (const transport of transports) Object.assign(sizes, await sizesWith(transport));
if (process.argv.includes("--release")) writeFileSync(released, `${JSON.stringify(sizes, null, 2)}\n`);
report(sizes, JSON.parse(readFileSync(released, "utf8")));

async function sizesWith(transport) {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: `export { ${facade} } from "./dist/index.js"; export { connect } from "./dist/transports/${transport}.js";`,
      resolveDir: root,
      sourcefile: "application.js",
    },
    absWorkingDir: root,
    outdir: "out",
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    metafile: true,
    logLevel: "error",
    plugins: [onlyTransport(transport)],
  });
  const code = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
  const entry = Object.keys(metafile.outputs).find((path) => metafile.outputs[path].entryPoint === "application.js");
  const atStart = [...staticallyReached(metafile, entry)].map((path) => code.get(basename(path)));
  return { [`${transport}, at start`]: sizeOf(atStart), [`${transport}, in all`]: sizeOf([...code.values()]) };
}

function sizeOf(chunks) {
  const bytes = Buffer.concat(chunks);
  return { minified: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
}

function report(now, before) {
  for (const [what, { minified, gzip }] of Object.entries(now)) {
    const growth = before[what] === undefined ? 0 : minified / before[what].minified - 1;
    const warning = growth > 0.1 ? `   WARNING: ${Math.round(growth * 100)} % more than the last release` : "";
    console.log(`${what}: ${minified} bytes minified, ${gzip} gzipped${warning}`);
  }
}

function staticallyReached({ outputs }, path, reached = new Set()) {
  if (reached.has(path)) return reached;
  reached.add(path);
  for (const { path: next, kind, external } of outputs[path].imports) {
    if (kind === "import-statement" && external !== true) staticallyReached({ outputs }, next, reached);
  }
  return reached;
}

/** The other runtimes' transports are loaded on demand, so an application on this one never gets them. */
function onlyTransport(name) {
  const others = new RegExp(`/transports/(${transports.filter((other) => other !== name).join("|")})\\.js$`);
  return {
    name: "only-one-transport",
    setup: ({ onResolve }) => onResolve({ filter: others }, ({ path }) => ({ path, external: true })),
  };
}
