/** The runtimes that the package supports, as commands. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Whether the tests run on Node: checks that are the same on each runtime run only there. */
export const onNode: boolean = !("Deno" in globalThis || "Bun" in globalThis);

/** A way to run a module. */
export type Runtime = { readonly name: string; readonly command: readonly [string, ...string[]] };

const root = join(import.meta.dirname, "../..");
const bin = join(root, "node_modules/.bin");
const nodes = join(root, ".cache/nodes/node_modules");

/** The three runtimes of the tests. */
export const runtimes: readonly Runtime[] = [
  { name: "Node", command: [onNode ? process.execPath : "node"] },
  { name: "Deno", command: [join(bin, "deno"), "run", "-A"] },
  { name: "Bun", command: [join(bin, "bun"), "--bun"] },
];

/** The runtime of this process. */
export const running: Runtime = runtimeNamed("Deno" in globalThis ? "Deno" : "Bun" in globalThis ? "Bun" : "Node");

/** Other versions of Node, where scripts/install-nodes.mjs has put them. */
export const otherNodes: readonly (Runtime & { readonly installed: boolean })[] = [22, 24, 26].map((major) => {
  const file = join(nodes, `node${major}/bin/node`);
  return { name: `Node ${major}`, command: [file], installed: existsSync(file) };
});

function runtimeNamed(name: string): Runtime {
  const found = runtimes.find((runtime) => runtime.name === name);
  if (found === undefined) throw new Error(`there is no runtime ${name}`);
  return found;
}
