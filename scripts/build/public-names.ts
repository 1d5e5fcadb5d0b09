/** Reads which names the users of a module can see. */
import ts from "typescript";

/**
 * All names in the declarations of what `modules` export, and in the declarations that these mention: types, members,
 * parameters and strings alike. Isolated declarations make sure that nothing is left to be inferred from a function's body.
 */
export function publicNames(checker: ts.TypeChecker, modules: readonly ts.SourceFile[]): Set<string> {
  const names = new Set<string>();
  const visited = new Set<ts.Node>();

  function visitSymbol(symbol: ts.Symbol | undefined): void {
    if (symbol === undefined) return;
    names.add(symbol.name);
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    for (const { declarations = [] } of isAlias ? [symbol, checker.getAliasedSymbol(symbol)] : [symbol]) {
      for (const declaration of declarations) if (!declaration.getSourceFile().isDeclarationFile) visit(declaration);
    }
  }

  function visit(node: ts.Node): void {
    if (visited.has(node) || isHidden(node)) return;
    visited.add(node);
    if (ts.isStringLiteralLike(node)) names.add(node.text);
    if (ts.isIdentifier(node)) {
      names.add(node.text);
      visitSymbol(checker.getSymbolAtLocation(node));
    }
    if (ts.isImportSpecifier(node) || ts.isExportSpecifier(node)) return;
    ts.forEachChild(node, visit);
  }

  for (const module of modules) {
    const symbol = checker.getSymbolAtLocation(module);
    if (symbol !== undefined) for (const one of checker.getExportsOfModule(symbol)) visitSymbol(one);
  }
  return names;
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
