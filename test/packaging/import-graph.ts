/** Reads the imports and names of a source file from its syntax tree. */
import { dirname, join, normalize } from "node:path";
import ts from "typescript";

/** An import, or a re-export, of one of our files by another. */
export type Edge = { from: string; to: string; kind: "static" | "type" | "dynamic" };

/** The imports and names of a file. */
export type Read = {
  /** Imports of our own files. */
  edges: Edge[];
  /** Imports of anything else. */
  packages: { name: string; kind: Edge["kind"] }[];
  /** Names of values, except members and keys. */
  names: string[];
  strings: string[];
};

/** Reads `code` as the file with that path, relative to the root. */
export function read(file: string, code: string): Read {
  const found: Read = { edges: [], packages: [], names: [], strings: [] };
  const add = (specifier: ts.Node | undefined, kind: Edge["kind"]): void => {
    // A platform's own module, for which bundlers for other platforms must not look.
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

/** Whether it disappears when types are erased. */
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

/** Whether a name refers to a global or outer value, and is no member, key or type. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isTypeReferenceNode(parent) || ts.isQualifiedName(parent)) return false;
  return !(ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent)) || parent.name !== node;
}

/** The cycles of static imports between files, each as text. */
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
