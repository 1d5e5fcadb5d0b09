/** Installs the other supported Node versions into .cache/nodes, where test/packaging looks for them. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const majors = [22, 24, 26];
const target = join(import.meta.dirname, "../.cache/nodes");
const packages = majors.map((major) => `node${major}@npm:node-${process.platform}-${process.arch}@${major}`);

mkdirSync(target, { recursive: true });
execFileSync("npm", ["install", "--prefix", target, "--no-audit", "--no-fund", "--loglevel=error", ...packages], {
  stdio: "inherit",
});
