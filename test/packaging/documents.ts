/** The Markdown documents as readers see them: code blocks, headings and links. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The root of the checkout. */
export const root: string = join(import.meta.dirname, "../..");

/** A fenced block of code. */
export type Block = {
  /** The file and the line of the fence. */
  readonly where: string;
  /** The first word after the fence: `ts`, `js`, `sh`, `json`, `console`, `mermaid`, `text`. */
  readonly language: string;
  /** The runtimes that the fence names, as in "```ts node bun"; none: all of them. */
  readonly runtimes: readonly string[];
  /** The reason why the block is not run, if the fence has one: "```sh not-run: reason". */
  readonly notRun: string | undefined;
  readonly code: string;
};

/** A link to another document, or within one. */
export type Link = { readonly where: string; readonly target: string };

/** Documents in the root folder for readers, and all of `docs/`. */
export const documents: readonly string[] = [
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "bench/README.md"],
  ...pagesUnder("docs"),
];

/** The documents whose blocks are run: README and the pages of `docs/`. */
export const pages: readonly string[] = ["README.md", ...pagesUnder("docs")];

/** The fenced blocks of a document, or of the given lines. */
export function blocksOf(file: string, lines: readonly string[] = linesOf(file)): Block[] {
  const found: Block[] = [];
  for (let line = 0; line < lines.length; line++) {
    const [, fence = "", info = ""] = /^ *(`{3,})(.*)$/.exec(lines[line] ?? "") ?? [];
    if (fence === "") continue;
    const end = lines.findIndex((one, index) => index > line && one.trim() === fence);
    if (end === -1) throw new Error(`${file}:${line + 1}: the block has no end`);
    found.push({ where: `${file}:${line + 1}`, ...fenceInfo(info), code: lines.slice(line + 1, end).join("\n") });
    line = end;
  }
  return found;
}

/** The links of a document, except those in code. */
export function linksOf(file: string): Link[] {
  return proseOf(file).flatMap((line, index) =>
    Array.from(line.replace(/`[^`]*`/g, "``").matchAll(/\]\(([^()\s]+)\)|\b(?:href|src)="([^"]+)"/g), (found) => ({
      where: `${file}:${index + 1}`,
      target: found[1] ?? found[2] ?? "",
    })),
  );
}

/** The fault of a link to a file or a heading of the project; undefined if the target exists. */
export function faultOf({ where, target }: Link): string | undefined {
  if (/^(?:https?|mailto):/.test(target)) return undefined;
  const file = where.replace(/:\d+$/, "");
  const [path = "", anchor] = target.split("#");
  const to = path === "" ? file : normalize(join(dirname(file), path));
  if (!existsSync(join(root, to))) return `${where}: there is no ${to}`;
  if (anchor === undefined || anchorsOf(to).includes(anchor)) return undefined;
  return `${where}: ${to} has no heading #${anchor}`;
}

/** The anchors of a document's headings, as GitHub and the site make them. */
export function anchorsOf(file: string): string[] {
  const seen = new Map<string, number>();
  return proseOf(file).flatMap((line) => {
    const [, heading] = /^#{1,6} (.*)$/.exec(line) ?? [];
    if (heading === undefined) return [];
    const anchor = anchorOf(heading);
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return [before === 0 ? anchor : `${anchor}-${before}`];
  });
}

/** A heading as an anchor: lower case, without punctuation, hyphens for spaces. */
export function anchorOf(heading: string): string {
  const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
  return text.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
}

function pagesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    // Skips packages, the site's own files, and the reference, which is generated from doc comments.
    if (entry.isDirectory()) {
      return ["node_modules", "reference"].includes(entry.name) || entry.name.startsWith(".") ? [] : pagesUnder(path);
    }
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

function linesOf(file: string): string[] {
  return readFileSync(join(root, file), "utf8").split("\n");
}

/** A document's lines, with the lines of its code blocks empty. */
function proseOf(file: string): string[] {
  let fence = "";
  return linesOf(file).map((line) => {
    const [, mark = ""] = /^ *(`{3,})/.exec(line) ?? [];
    if (fence === "") fence = mark;
    else if (line.trim() === fence) fence = "";
    else return "";
    return fence === "" && mark === "" ? line : "";
  });
}

function fenceInfo(info: string): Pick<Block, "language" | "runtimes" | "notRun"> {
  const [, before = "", notRun] = /^(.*?)(?:not-run: (.*))?$/.exec(info.trim()) ?? [];
  const [language = "", ...words] = before.trim().split(/\s+/);
  return { language, runtimes: words.filter((word) => RUNTIMES.includes(word)), notRun };
}

const RUNTIMES = ["node", "deno", "bun"];
