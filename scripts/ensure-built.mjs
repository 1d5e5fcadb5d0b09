/** Builds dist/ unless it is newer than all of its sources. Runs before the demo and the tests. */
import { execSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const inputs = ["src", "transports", "package.json", "tsup.config.ts", "scripts/shared-files.ts", "tsconfig.base.json"];
const outputs = ["dist/index.js", "dist/index.d.ts", "dist/transports/node.d.ts"];

if (!isBuilt()) execSync("npm run --silent build", { cwd: root, stdio: ["ignore", "ignore", "inherit"] });

function isBuilt() {
  const built = outputs.map((file) => join(root, file));
  if (!built.every(existsSync)) return false;
  return newest(inputs.map((name) => join(root, name))) < Math.min(...built.map((file) => statSync(file).mtimeMs));
}

function newest(paths) {
  const times = paths.map((path) => {
    const { mtimeMs } = statSync(path);
    if (!statSync(path).isDirectory()) return mtimeMs;
    return Math.max(mtimeMs, newest(readdirSync(path).map((name) => join(path, name))));
  });
  return Math.max(0, ...times);
}
