/**
 * The code in README, docs/ and doc comments: finds it, checks its types, and runs it with a mail server of the test.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { type Block, blocksOf, root } from "./documents.ts";

export { root };

/** A piece of code that readers will copy. */
export type Snippet = {
  /** The file and the line where it begins. */
  readonly where: string;
  /** Includes the imports that a doc comment leaves out. */
  readonly code: string;
  /** The runtimes for which it is meant; none: all of them. */
  readonly runtimes?: readonly string[] | undefined;
  /** The reason why it is only compiled, if so. */
  readonly notRun?: string | undefined;
};

/** The fenced blocks of TypeScript and JavaScript in a Markdown file. */
export function snippetsOfMarkdown(file: string): Snippet[] {
  return blocksOf(file).filter(isScript);
}

/** The code blocks in the doc comments of a folder's sources. */
export function snippetsOfSources(folder: string): Snippet[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  return files.filter((file) => file.endsWith(".ts")).flatMap((file) => snippetsOfSource(join(folder, file)));
}

/**
 * The compiler's errors in the snippets, each as "file:line: message". Resolves `smtplib` to the sources, and `modules`
 * to the given files. Snippets may use Node's types, as their readers do.
 */
export async function typeErrors(
  snippets: readonly Snippet[],
  modules: Readonly<Record<string, readonly string[]>> = {},
): Promise<string[]> {
  const cache = join(root, ".cache");
  await mkdir(cache, { recursive: true });
  // Inside the checkout, so that packages are found.
  const folder = await mkdtemp(join(cache, "snippets-"));
  try {
    await Promise.all(snippets.map(({ code }, index) => writeFile(join(folder, `snippet-${index}.ts`), code)));
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(compilerSettings({ ...SOURCES, ...modules })));
    const { stdout } = await output(process.execPath, [TSC, "--pretty", "false", "-p", folder]);
    return stdout.split(/\n(?=\S)/).flatMap((diagnostic) => ofSnippet(diagnostic.trimEnd(), snippets));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const TSC = join(root, "node_modules/typescript-7/bin/tsc");

/** The sources of each entry of the package. */
const SOURCES: Readonly<Record<string, readonly string[]>> = {
  smtplib: ["src/index.ts"],
  "smtplib/core": ["src/core/index.ts"],
  "smtplib/sasl": ["src/sasl/index.ts"],
  "smtplib/proxy": ["src/proxy/index.ts"],
  "smtplib/testing": ["src/testing/index.ts"],
  "smtplib/nodemailer": ["src/nodemailer/npm.ts"],
  "smtplib/transports/*": ["transports/*.ts"],
  "smtplib/*": ["src/*.ts", "src/*/index.ts"],
};

function compilerSettings(modules: Readonly<Record<string, readonly string[]>>): object {
  const paths = Object.entries(modules).map(([name, files]) => [name, files.map((file) => join(root, file))]);
  const own = { types: ["node"], isolatedDeclarations: false, declaration: false, noUnusedLocals: false };
  return {
    extends: join(root, "tsconfig.base.json"),
    compilerOptions: { ...own, paths: Object.fromEntries(paths) },
    include: ["*.ts"],
  };
}

/** The standard output of a command, even if it fails, as the compiler does with errors. */
function output(file: string, args: readonly string[]): Promise<{ readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    execFile(file, args, (error, stdout) => {
      if (error !== null && typeof error.code !== "number") reject(error);
      else resolve({ stdout });
    });
  });
}

/** A diagnostic under the name of its snippet; drops those of the sources, which have their own type check. */
function ofSnippet(diagnostic: string, snippets: readonly Snippet[]): string[] {
  const [, index, text] = /snippet-(\d+)\.ts\(\d+,\d+\): error TS\d+: (.*)$/s.exec(diagnostic) ?? [];
  if (index !== undefined) return [`${snippets[Number(index)]?.where}: ${text}`];
  return diagnostic.startsWith("error ") ? [diagnostic] : [];
}

/** Runs a snippet as a module. `load` resolves its imports; `globals` replace globals of the same names. */
export async function run(
  snippet: Snippet,
  load: (specifier: string) => Promise<unknown>,
  globals: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { outputText } = ts.transpileModule(snippet.code, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  const names = Object.keys(globals);
  await new AsyncFunction("load", ...names, withLoadedImports(outputText))(load, ...Object.values(globals));
}

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;

/** Imports that a doc comment may leave out, since it belongs to the declaration itself. */
const given: Readonly<Record<string, string>> = {
  SMTP: 'import { SMTP } from "smtplib";',
  Mechanism: 'import type { Mechanism } from "smtplib";',
  createMemoryPair: 'import { createMemoryPair } from "smtplib/transports/memory";',
  memoryTransport: 'import { memoryTransport } from "smtplib/transports/memory";',
};

function snippetsOfSource(file: string): Snippet[] {
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  const comments = lines.map((line) => /^ *\* ?(.*)$/.exec(line)?.[1] ?? "");
  return blocksOf(file, comments)
    .filter(isScript)
    .map((block) => ({ ...block, code: withGivenImports(block.code) }));
}

function isScript({ language }: Block): boolean {
  return language === "ts" || language === "js";
}

function withGivenImports(code: string): string {
  const words = new Set(code.match(/\w+/g));
  const imported = new Set(
    code
      .match(/^import .*$/gm)
      ?.join(" ")
      .match(/\w+/g),
  );
  const missing = Object.keys(given).filter((name) => words.has(name) && !imported.has(name));
  return [...missing.map((name) => given[name]), `${code}\nexport {};\n`].join("\n");
}

/** Turns static imports, which a function cannot contain, into calls of `load`. */
function withLoadedImports(module: string): string {
  const source = ts.createSourceFile("snippet.js", module, ts.ScriptTarget.Latest);
  return source.statements
    .map((statement) => {
      if (ts.isImportDeclaration(statement)) return loaded(statement, source);
      // A Worker: evaluates the exported object, which the platform would call.
      if (ts.isExportAssignment(statement)) return `void (${statement.expression.getText(source)});`;
      return ts.isExportDeclaration(statement) ? "" : statement.getFullText(source);
    })
    .join("\n");
}

function loaded({ importClause, moduleSpecifier }: ts.ImportDeclaration, source: ts.SourceFile): string {
  const bindings = importClause?.namedBindings;
  const named = bindings !== undefined && ts.isNamedImports(bindings) ? bindings.elements : [];
  const names = named.map((one) => `${one.propertyName?.text ?? one.name.text}: ${one.name.text}`);
  if (importClause?.name !== undefined) names.push(`default: ${importClause.name.text}`);
  return `const { ${names.join(", ")} } = await load(${moduleSpecifier.getText(source)});`;
}
