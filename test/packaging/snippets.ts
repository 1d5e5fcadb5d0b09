/** The code in README, docs/ and doc comments: found, type-checked, and run against a mail server of the test's own. */
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
  /** With the imports that a doc comment leaves out. */
  readonly code: string;
  /** The runtimes that it is for; none named: all of them. */
  readonly runtimes?: readonly string[] | undefined;
  /** Why it is only compiled, where it is. */
  readonly notRun?: string | undefined;
};

/** The fenced blocks of TypeScript and JavaScript in a Markdown file. */
export function snippetsOfMarkdown(file: string): Snippet[] {
  return blocksOf(file).filter(isScript);
}

/** Those in the doc comments of a folder's sources. */
export function snippetsOfSources(folder: string): Snippet[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  return files.filter((file) => file.endsWith(".ts")).flatMap((file) => snippetsOfSource(join(folder, file)));
}

/**
 * What the compiler says of the snippets, each as "file:line: message"; `smtplib` is what the sources are, and other
 * modules may be elsewhere. Snippets may use Node's types, as their readers do.
 */
export async function typeErrors(
  snippets: readonly Snippet[],
  modules: Readonly<Record<string, readonly string[]>> = {},
): Promise<string[]> {
  const cache = join(root, ".cache");
  await mkdir(cache, { recursive: true });
  // Beneath the checkout, so that packages are found.
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

/** What each entry of the package is made of. */
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

/** Standard output, also of a command that fails: the compiler does for each error that it finds. */
function output(file: string, args: readonly string[]): Promise<{ readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    execFile(file, args, (error, stdout) => {
      if (error !== null && typeof error.code !== "number") reject(error);
      else resolve({ stdout });
    });
  });
}

/** A diagnostic under the name of its snippet; those of the sources are left to the type check of them. */
function ofSnippet(diagnostic: string, snippets: readonly Snippet[]): string[] {
  const [, index, text] = /snippet-(\d+)\.ts\(\d+,\d+\): error TS\d+: (.*)$/s.exec(diagnostic) ?? [];
  if (index !== undefined) return [`${snippets[Number(index)]?.where}: ${text}`];
  return diagnostic.startsWith("error ") ? [diagnostic] : [];
}

/** Runs a snippet as a module whose imports `load` resolves, with these in place of globals of the same names. */
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

/** What a doc comment need not import, since it stands where that is declared. */
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

/** Static imports cannot stand in a function: they become calls of `load`. */
function withLoadedImports(module: string): string {
  const source = ts.createSourceFile("snippet.js", module, ts.ScriptTarget.Latest);
  return source.statements
    .map((statement) => {
      if (ts.isImportDeclaration(statement)) return loaded(statement, source);
      // A Worker: what it exports is made, and the platform would call it.
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
