/** Builds the site in docs/.vitepress/dist: installs missing packages, and prints the time. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "../docs");
const npm = (...args) => execFileSync("npm", args, { cwd: folder, stdio: "inherit" });

if (!existsSync(join(folder, "node_modules/vitepress"))) npm("ci", "--no-audit", "--no-fund");
const start = performance.now();
npm("run", "--silent", "build");
console.log(`docs/.vitepress/dist: built in ${((performance.now() - start) / 1000).toFixed(1)} s`);
