/** Takes out of dist/ what a bundler could not take out of it: see "Size" in CONTRIBUTING.md. */
import type { Plugin } from "rolldown";
import { type MinifyOptions, minify } from "rolldown/utils";
import { entry } from "../../tsup.config.ts";
import { withArrowFunctions } from "./arrow-functions.ts";
import { shortNames } from "./short-names.ts";

/** Names of variables and functions stay, and lines: a stack trace can be read. */
const READABLE = {
  module: true,
  compress: { target: "es2022" },
  mangle: false,
  codegen: { removeWhitespace: false },
} satisfies MinifyOptions;

/** Shortens internal property names, but for those of `core.js`, and makes do with less syntax. */
export function smaller(root: string): Plugin {
  const { core, ...others } = entry;
  const cache = shortNames(root, Object.values(others));
  const mangleProps = { include: new RegExp(`^(?:${Object.keys(cache).join("|")})$`), cache };
  return {
    name: "smaller",
    async renderChunk(code, { fileName, moduleIds }) {
      // `minify` drops what tells bundlers to leave an import alone. Only a transport says that, and it has no internal names.
      if (code.includes("webpackIgnore")) return null;
      const isCore = moduleIds.some((id) => id.endsWith(core));
      const compressed = await minified(fileName, code, isCore ? READABLE : { ...READABLE, mangleProps });
      // And again: some functions have become a single expression.
      return minified(fileName, withArrowFunctions(compressed), READABLE);
    },
  };
}

async function minified(file: string, code: string, options: MinifyOptions): Promise<string> {
  const { code: result, errors } = await minify(file, code, options);
  if (errors[0] !== undefined) throw new Error(`${file}: ${errors[0].message}`);
  return result;
}
