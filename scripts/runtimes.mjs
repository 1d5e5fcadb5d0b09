/** The commands of the runtimes: the only table of the scripts. */
import { join } from "node:path";
import process from "node:process";

const bin = (name) => join(import.meta.dirname, "../node_modules/.bin", name);

/** The command of each runtime, with V8 options for Node and Deno. */
export function commands(...v8) {
  return {
    node: [process.execPath, ...v8],
    deno: [bin("deno"), "run", "-A", "-q", ...(v8.length === 0 ? [] : [`--v8-flags=${v8.join(",")}`])],
    bun: [bin("bun"), "--bun"],
  };
}
