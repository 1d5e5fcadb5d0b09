/**
 * Finds the property names that the build may shorten: those that only our own code can see. Bundlers shorten variables,
 * but cannot know that of a property. Whatever is in doubt keeps its name.
 */
import { join } from "node:path";
import ts from "typescript";
import { exportsOf, propertyName, publicNames } from "./public-names.ts";

/** The rings that know no runtime and no other package: names come from these alone. */
const RINGS = ["client", "core", "facade", "pool", "proxy", "sasl", "testing"].map((ring) => `src/${ring}/`);

/** How deep names are kept in what goes where its keys may be looked at. */
const DEPTH = 3;

/** What can be looked at from outside of the type system. */
const LOOSE = ts.TypeFlags.Any | ts.TypeFlags.Unknown | ts.TypeFlags.NonPrimitive;

/**
 * Internal name -> what stands for it, the shortest for those that are used most. Names are kept that
 * - `entries`, paths of sources, show in the types of their exports;
 * - a file outside of the rings has, or one that names `globalThis`: it may mean a property of a runtime or of another
 *   package;
 * - an object of ECMAScript has, or any type from elsewhere that is met in the rings;
 * - stand in a string, or belong to a type that is indexed by a computed key, that becomes one whose keys can be looked at,
 *   such as `unknown`, or that was made of one;
 * - our code reads and never makes, or a module exports that is loaded on first use: it comes as an object with them.
 */
export function shortNames(root: string, entries: readonly string[]): Record<string, string> {
  const program = createProgram(root);
  const checker = program.getTypeChecker();
  const uses = new Map<string, number>();
  const made = new Set<string>();
  const kept = publicNames(
    checker,
    entries.flatMap((entry) => program.getSourceFile(join(root, entry)) ?? []),
  );
  for (const source of program.getSourceFiles()) {
    if (isOwn(source)) visit(source, isInner(source));
    else if (/\/lib\.es[^/]*\.d\.ts$/.test(source.fileName)) keepNames(source);
  }
  const internal = [...uses.keys()].filter((name) => made.has(name) && !kept.has(name));
  internal.sort((one, other) => (uses.get(other) ?? 0) - (uses.get(one) ?? 0) || (one < other ? -1 : 1));
  const shorts = shortest();
  return Object.fromEntries(internal.map((name) => [name, shorts.next().value]));

  function* shortest(): Generator<string, string> {
    const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (const before of ["", ...characters]) {
      for (const last of characters) if (!kept.has(before + last)) yield before + last;
    }
    throw new RangeError("there are more names than two letters can tell apart");
  }

  function visit(node: ts.Node, inner: boolean): void {
    const name = propertyName(node);
    if (name !== undefined) {
      if (inner) uses.set(name, (uses.get(name) ?? 0) + 1);
      else kept.add(name);
    }
    if (name !== undefined && isMaking(node)) made.add(name);
    if (ts.isStringLiteralLike(node) && !ts.isLiteralTypeNode(node.parent)) kept.add(node.text);
    if (ts.isPropertyAccessExpression(node) && checker.getSymbolAtLocation(node.name) === undefined) {
      kept.add(node.name.text);
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      for (const { name } of node.arguments.flatMap((module) => exportsOf(checker, module))) kept.add(name);
    }
    if (ts.isElementAccessExpression(node) && !isNumber(node.argumentExpression)) keepOwn(node.expression);
    if (ts.isForInStatement(node)) keepOwn(node.expression);
    if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) keepDeeply(checker.getTypeAtLocation(node.type));
    if (ts.isTypePredicateNode(node) && node.type !== undefined) keepDeeply(checker.getTypeAtLocation(node.type));
    if (ts.isExpression(node) || ts.isObjectBindingPattern(node)) visitTyped(node, inner);
    ts.forEachChild(node, (child) => visit(child, inner));
  }

  function keepNames(node: ts.Node): void {
    const name = propertyName(node);
    if (name !== undefined) kept.add(name);
    ts.forEachChild(node, keepNames);
  }

  /** Where a value becomes one of another type, or is of one from elsewhere. */
  function visitTyped(node: ts.Expression | ts.ObjectBindingPattern, inner: boolean): void {
    const type = checker.getTypeAtLocation(node);
    if (inner) keepForeign(type);
    const expected = ts.isExpression(node) ? checker.getContextualType(node) : undefined;
    if (expected === undefined) return;
    if (inner) keepForeign(expected);
    const isLoose = partsOf(expected).some(
      (part) => (part.flags & LOOSE) !== 0 || part.getStringIndexType() !== undefined,
    );
    if (isLoose) keepDeeply(type);
    if ((type.flags & LOOSE) !== 0) keepDeeply(expected);
  }

  function keepForeign(type: ts.Type): void {
    for (const part of partsOf(type)) {
      for (const property of part.getProperties()) if (isForeign(property)) kept.add(property.name);
    }
  }

  function keepOwn(expression: ts.Expression): void {
    keepDeeply(checker.getTypeAtLocation(expression), 1);
  }

  function keepDeeply(type: ts.Type, depth: number = DEPTH): void {
    if (depth === 0) return;
    for (const part of partsOf(type)) {
      const items = part.getNumberIndexType();
      if (items !== undefined) keepDeeply(items, depth - 1);
      for (const property of part.getProperties().filter((one) => !isForeign(one))) {
        kept.add(property.name);
        keepDeeply(checker.getTypeOfSymbol(property), depth - 1);
      }
      for (const signature of part.getCallSignatures()) {
        const result = signature.getReturnType();
        keepDeeply(checker.getAwaitedType(result) ?? result, depth - 1);
      }
    }
  }

  function isNumber(expression: ts.Expression): boolean {
    return (checker.getTypeAtLocation(expression).flags & ts.TypeFlags.NumberLike) !== 0;
  }

  function isForeign({ declarations = [] }: ts.Symbol): boolean {
    return declarations.some((declaration) => !isOwn(declaration.getSourceFile()));
  }

  function isOwn(source: ts.SourceFile): boolean {
    return ["src/", "transports/"].some((folder) => source.fileName.startsWith(join(root, folder)));
  }

  function isInner(source: ts.SourceFile): boolean {
    return RINGS.some((ring) => source.fileName.startsWith(join(root, ring))) && !source.text.includes("globalThis");
  }
}

/** All sources, with the types of every runtime that there are. */
function createProgram(root: string): ts.Program {
  const folder = join(root, "transports");
  const { config } = ts.readConfigFile(join(folder, "tsconfig.json"), ts.sys.readFile);
  const include = [".", "../src"];
  const { options, fileNames } = ts.parseJsonConfigFileContent({ ...config, include }, ts.sys, folder);
  return ts.createProgram(fileNames, options);
}

/** The constituents of a union, or the type itself. */
function partsOf(type: ts.Type): readonly ts.Type[] {
  return type.isUnionOrIntersection() ? type.types.flatMap(partsOf) : [type];
}

function isMaking(node: ts.Node): boolean {
  return ts.isClassElement(node) || ts.isObjectLiteralElementLike(node);
}
