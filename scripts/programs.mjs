/** Test programs in separate processes: bundles and runs them, and prints their results side by side. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");

/** Bundles sources into `folder`, each under its own name with the suffix `.mjs`. */
export async function bundle(sources, folder) {
  await build({
    entryPoints: sources.map((source) => join(root, source)),
    outdir: folder,
    entryNames: "[name]",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    packages: "external",
    logLevel: "error",
  });
}

/**
 * Runs a program that prints its result as a line of JSON at its end; returns undefined if it fails or does not end
 * within `timeout` milliseconds, and prints that under `name`.
 */
export function resultOf(name, [file, ...args], timeout) {
  return new Promise((resolve) => {
    const child = execFile(file, args, { cwd: root, timeout, maxBuffer: 2 ** 24 }, (error, stdout, stderr) => {
      const line = stdout.trim().split("\n").at(-1) ?? "";
      if (error === null && line.startsWith("{")) {
        if (stderr !== "") console.error(stderr.slice(0, 2000));
        return resolve(JSON.parse(line));
      }
      const why = error?.killed ? "it did not end" : (error?.message ?? "it said nothing");
      console.error(`${name}: ${why}\n${stdout}${stderr}`);
      resolve(undefined);
    });
    // Its child processes end with it.
    process.once("SIGTERM", () => child.kill("SIGTERM"));
  });
}

/**
 * Prints a table in Markdown: a row for each entry of `rows`, a column for each result; a result that is `undefined`
 * has failed.
 */
export function printTable(rows, names, results, { titleWidth, cellWidth }) {
  const line = (title, cells) =>
    console.log(`| ${title.padEnd(titleWidth)} |${cells.map((one) => ` ${one.padStart(cellWidth)} |`).join("")}`);
  line("", names);
  line(
    "---",
    names.map(() => "--:"),
  );
  for (const [title, cell] of Object.entries(rows)) {
    line(
      title,
      results.map((result, index) => String(result ? cell(result, names[index]) : "-")),
    );
  }
}
