/** The paths of files and folders. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");
export const BENCH = join(ROOT, "bench");
/** Instruments, messages and raw results: created when missing, never committed. */
export const CACHE = join(ROOT, ".cache/bench");
export const RESULTS = join(CACHE, "results");

const bin = (name) => join(ROOT, "node_modules/.bin", name);

/** The command with which each runtime runs a module. */
export const COMMANDS = {
  node: [process.execPath],
  deno: [bin("deno"), "run", "-A", "--no-check", "-q"],
  bun: [bin("bun"), "run"],
};

export function ensureCache() {
  mkdirSync(RESULTS, { recursive: true });
}
