/** Reads which properties the users of a module can see. */
import ts from "typescript";

/**
 * What `modules` export, the properties that the declarations of it name, or the declarations that these mention, and the
 * strings in them. Isolated declarations make sure that nothing is left to be inferred from a function's body.
 */
export function publicNames(checker: ts.TypeChecker, modules: readonly ts.SourceFile[]): Set<string> {
  const names = new Set<string>();
  const visited = new Set<ts.Node>();

  function visitSymbol(symbol: ts.Symbol | undefined): void {
    if (symbol === undefined) return;
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    for (const { declarations = [] } of isAlias ? [symbol, checker.getAliasedSymbol(symbol)] : [symbol]) {
      for (const declaration of declarations) if (!declaration.getSourceFile().isDeclarationFile) visit(declaration);
    }
  }

  function visit(node: ts.Node): void {
    if (visited.has(node) || isHidden(node)) return;
    visited.add(node);
    if (ts.isStringLiteralLike(node)) names.add(node.text);
    const name = propertyName(node);
    if (name !== undefined) names.add(name);
    if (ts.isIdentifier(node)) visitSymbol(checker.getSymbolAtLocation(node));
    if (ts.isImportSpecifier(node) || ts.isExportSpecifier(node)) return;
    ts.forEachChild(node, visit);
  }

  for (const module of modules) {
    for (const exported of exportsOf(checker, module)) {
      names.add(exported.name);
      visitSymbol(exported);
    }
  }
  return names;
}

/** What a module, or the one with that specifier, exports. */
export function exportsOf(checker: ts.TypeChecker, module: ts.SourceFile | ts.Expression): readonly ts.Symbol[] {
  const symbol = checker.getSymbolAtLocation(module);
  return symbol === undefined ? [] : checker.getExportsOfModule(symbol);
}

/** The name of the property that `node` declares, reads or makes; undefined for other nodes and for quoted names. */
export function propertyName(node: ts.Node): string | undefined {
  if (ts.isBindingElement(node)) {
    const name = node.propertyName ?? node.name;
    const isProperty = ts.isObjectBindingPattern(node.parent) && node.dotDotDotToken === undefined;
    return isProperty && ts.isIdentifier(name) ? name.text : undefined;
  }
  const isNamed =
    ts.isPropertyAccessExpression(node) ||
    ts.isTypeElement(node) ||
    ts.isClassElement(node) ||
    ts.isObjectLiteralElementLike(node);
  return isNamed && node.name !== undefined && ts.isIdentifier(node.name) ? node.name.text : undefined;
}

/** What a declaration has and its users cannot see; what is declared elsewhere has no names of ours. */
function isHidden(node: ts.Node): boolean {
  if (ts.isBlock(node) || ts.isSourceFile(node)) return true;
  if (ts.isClassElement(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name)) return true;
  const { parent } = node;
  return (
    (ts.isVariableDeclaration(parent) || ts.isPropertyDeclaration(parent) || ts.isParameter(parent)) &&
    parent.initializer === node &&
    parent.type !== undefined
  );
}
