/**
 * Holds the bundle to its budget: the facade with one transport, as a bundler makes it for a user's application, which
 * imports Python's classes and the exceptions. The pool, and `quoteaddr` and `quotedata`, of which no session has need, are
 * only with those who import them. "at start" is what the application loads; "in all" counts what is loaded when first
 * used, too. The budget keeps what has been reached; the goal is where it is to go.
 */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const budget = JSON.parse(readFileSync(join(import.meta.dirname, "size-budget.json"), "utf8"));
const transports = ["node", "deno", "bun"];
const exported = Object.keys(await import("../dist/index.js"));
const facade = exported.filter((name) => /^[A-Z]/.test(name) && name !== "SMTPPool");

for (const transport of transports) {
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
  report(
    `${transport}, at start`,
    [...staticallyReached(metafile, entry)].map((path) => code.get(basename(path))),
  );
  report(`${transport}, in all`, [...code.values()]);
}

function report(what, chunks) {
  const bytes = Buffer.concat(chunks);
  const limits = budget[what.endsWith("at start") ? "atStart" : "inAll"];
  const sizes = { minified: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
  for (const [kind, limit] of Object.entries(limits)) {
    const exceeded = sizes[kind] >= limit;
    if (exceeded) process.exitCode = 1;
    const goal = what.endsWith("at start") ? ` (goal: ${budget.goal[kind]})` : "";
    const verdict = exceeded ? "EXCEEDS" : "within";
    console.log(`${what}, ${kind}: ${sizes[kind]} octets, ${verdict} the budget of ${limit}${goal}`);
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
