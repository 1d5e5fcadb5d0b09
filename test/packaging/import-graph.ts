/** Reads what a source file imports and names, from its syntax tree. */
import { dirname, join, normalize } from "node:path";
import ts from "typescript";

/** An import, or a re-export, of one of our files by another. */
export type Edge = { from: string; to: string; kind: "static" | "type" | "dynamic" };

/** What a file imports, and what it names. */
export type Read = {
  /** Imports of our own files. */
  edges: Edge[];
  /** Imports of anything else. */
  packages: { name: string; kind: Edge["kind"] }[];
  /** Names of values, but for members and keys. */
  names: string[];
  strings: string[];
};

/** Reads `code` as the file of that path, relative to the root. */
export function read(file: string, code: string): Read {
  const found: Read = { edges: [], packages: [], names: [], strings: [] };
  const add = (specifier: ts.Node | undefined, kind: Edge["kind"]): void => {
    // A platform's own module, which bundlers for other platforms must not look for.
    if (specifier !== undefined && kind === "dynamic" && ts.isIdentifier(specifier)) {
      found.packages.push({ name: specifier.text, kind });
      return;
    }
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) throw new Error(`${file}: a computed import`);
    const { text: name } = specifier;
    if (name.startsWith(".")) found.edges.push({ from: file, to: normalize(join(dirname(file), name)), kind });
    else found.packages.push({ name, kind });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node.importClause) ? "type" : "static");
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      add(node.moduleSpecifier, isTypeOnly(node) ? "type" : "static");
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], "dynamic");
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, "type");
    else if (ts.isIdentifier(node) && isReference(node)) found.names.push(node.text);
    else if (ts.isStringLiteralLike(node)) found.strings.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, code, ts.ScriptTarget.Latest, true));
  return found;
}

/** Whether nothing of it is left once types are gone. */
function isTypeOnly(clause: ts.ImportClause | ts.ExportDeclaration | undefined): boolean {
  if (clause === undefined) return false;
  if (ts.isExportDeclaration(clause)) {
    const { exportClause: names } = clause;
    if (clause.isTypeOnly) return true;
    return names !== undefined && ts.isNamedExports(names) && names.elements.every((one) => one.isTypeOnly);
  }
  const { name, namedBindings: names } = clause;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  if (name !== undefined || names === undefined || !ts.isNamedImports(names)) return false;
  return names.elements.every((one) => one.isTypeOnly);
}

/** A name that stands for a value of the surroundings, rather than for a member, a key or a type. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isTypeReferenceNode(parent) || ts.isQualifiedName(parent)) return false;
  return !(ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent)) || parent.name !== node;
}

/** The circles in which files import each other statically, each written out. */
export function cycles(edges: readonly Edge[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to, kind } of edges) {
    if (kind === "static") next.set(from, [...(next.get(from) ?? []), to]);
  }
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file].join(" -> "));
    if (path.includes(file) || done.has(file)) return;
    for (const to of next.get(file) ?? []) walk(to, [...path, file]);
    done.add(file);
  };
  for (const file of next.keys()) walk(file, []);
  return found;
}
