/**
 * Compares MIME builders on the three runtimes: `node bench/mime.mjs` writes the table of docs/guide/attachments.md;
 * `-- --print` only prints it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const file = join(root, "docs/guide/attachments.md");
const bin = join(root, "node_modules/.bin");
const runtimes = {
  Node: ["node"],
  Deno: [join(bin, "deno"), "run", "-A"],
  Bun: [join(bin, "bun"), "--bun"],
};
const measured = Object.entries(runtimes).map(([runtime, [command, ...args]]) => {
  const output = execFileSync(command, [...args, join(root, "bench/mime/measure.mjs")], { encoding: "utf8" });
  return [runtime, JSON.parse(output)];
});
const table = tableOf(measured);
console.log(table);
if (!process.argv.includes("--print")) {
  const text = readFileSync(file, "utf8");
  writeFileSync(
    file,
    text.replace(/(<!-- mime -->\n)[\s\S]*(\n<!-- \/mime -->)/, (_, before, after) => `${before}\n${table}\n${after}`),
  );
}

/** A quality is the same on each runtime, or the cell shows the differences; times differ. */
function tableOf(results) {
  const names = Object.keys(results[0][1]);
  const versions = { "nodemailer's MailComposer": "nodemailer", mimetext: "mimetext", "emailjs' Message": "emailjs" };
  const row = (title, cell) => `| ${[title, ...names.map((name) => cell(name))].join(" | ")} |`;
  const same = (name, show) => {
    const cells = results.map(([runtime, found]) => [runtime, show(found[name])]);
    const [[, first]] = cells;
    return cells.every(([, cell]) => cell === first) ? first : cells.map((cell) => cell.join(": ")).join("; ");
  };
  const right = (field) => (one) => (one.fails !== undefined ? "fails" : one[field] ? "right" : "**wrong**");
  return [
    row("builder", (name) => `${name} ${versionOf(versions[name])}`),
    row("---", () => "---"),
    row("line ends", (name) => same(name, (one) => (one.bareLf ? "**bare LF**" : "CRLF"))),
    row("longest line, bytes (RFC 5322 allows 998)", (name) =>
      same(name, (one) =>
        one.longestLine > 998 ? `**${one.longestLine.toLocaleString("en")}**` : `${one.longestLine}`,
      ),
    ),
    row("bytes over 127", (name) => same(name, (one) => (one.eightBit ? "yes: needs 8BITMIME" : "none"))),
    row("declared encoding", (name) => same(name, right("declared"))),
    ...["subject", "recipient", "text", "html", "filename", "attachment"].map((field) =>
      row(field === "recipient" ? "recipient's name" : field === "html" ? "HTML" : field, (name) =>
        same(name, right(field)),
      ),
    ),
    ...results.flatMap(([runtime, found]) => [
      row(`${runtime}: small message, µs`, (name) => found[name].microseconds?.toFixed(0) ?? "–"),
      row(`${runtime}: 4 MiB attachment, ms`, (name) => found[name].milliseconds?.toFixed(0) ?? "–"),
    ]),
  ].join("\n");
}

function versionOf(name) {
  const require = createRequire(import.meta.url);
  const path = require.resolve.paths(name).map((folder) => join(folder, name, "package.json"));
  for (const one of path) {
    try {
      return JSON.parse(readFileSync(one, "utf8")).version;
    } catch {}
  }
  return "";
}
