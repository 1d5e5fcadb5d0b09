/**
 * Makes arrow functions of function declarations, of which each takes a dozen octets more in a minified bundle. The sources
 * have declarations, so that a file can begin with what is public.
 */
import { RolldownMagicString } from "rolldown";
import { parseAst } from "rolldown/parseAst";
import { type ESTree, Visitor } from "rolldown/utils";

/**
 * The module `code` with constants, each an arrow function, at the beginning of the scopes that had the declarations: as
 * early as those were there. Declarations stay that have a `this` or `arguments`, generate, are constructed or replaced.
 * V8 takes half a millisecond longer to import as many arrow functions as the facade has.
 */
export function withArrowFunctions(code: string): string {
  const program = parseAst(code);
  const { declared, replaced } = readFunctions(program);
  const output = new RolldownMagicString(code);
  // From without to within: what has moved can be changed, what has changed inside cannot move.
  const moving = declared
    .filter(({ name }) => !replaced.has(name))
    .sort((one, other) => one.node.start - other.node.start);
  for (const { node, name, at } of moving) {
    output.update(node.start, code.indexOf("(", node.start), `\nconst ${name} = ${node.async ? "async " : ""}`);
    output.appendLeft(node.body?.start ?? node.end, "=> ");
    output.appendLeft(node.end, ";");
    if (at < node.start) output.move(node.start, node.end, at);
  }
  return output.toString();
}

/** A declaration that can be an arrow function, and where its scope begins. */
type Declared = { readonly node: ESTree.Function; readonly name: string; readonly at: number };

function readFunctions(program: ESTree.Program): { declared: Declared[]; replaced: Set<string> } {
  const declared: Declared[] = [];
  const replaced = new Set<string>();
  /** Where each scope begins that is open; undefined where no declaration can move. */
  const scopes: (number | undefined)[] = [];
  /** Whether something was found in each function that is open and that only it has. */
  const owners: { hasThis: boolean }[] = [{ hasThis: true }];

  const own = (): void => {
    for (const owner of owners.slice(-1)) owner.hasThis = true;
  };
  const openOwner = (): void => {
    owners.push({ hasThis: false });
  };
  const closeOwner = (): boolean => owners.pop()?.hasThis ?? true;
  const openFixed = (): void => {
    scopes.push(undefined);
  };
  const closeScope = (): void => {
    scopes.pop();
  };
  const replace = (node: ESTree.Node | null): void => {
    if (node?.type === "Identifier") replaced.add(node.name);
  };

  new Visitor({
    Program: ({ body }) => scopes.push(body.findLast(({ type }) => type === "ImportDeclaration")?.end ?? 0),
    "Program:exit": closeScope,
    BlockStatement: ({ start }) => scopes.push(start + 1),
    "BlockStatement:exit": closeScope,
    StaticBlock: () => {
      openFixed();
      openOwner();
    },
    "StaticBlock:exit": () => {
      closeScope();
      closeOwner();
    },
    SwitchCase: openFixed,
    "SwitchCase:exit": closeScope,
    ExportNamedDeclaration: openFixed,
    "ExportNamedDeclaration:exit": closeScope,
    ExportDefaultDeclaration: openFixed,
    "ExportDefaultDeclaration:exit": closeScope,
    PropertyDefinition: openOwner,
    "PropertyDefinition:exit": closeOwner,
    FunctionExpression: openOwner,
    "FunctionExpression:exit": closeOwner,
    FunctionDeclaration: openOwner,
    "FunctionDeclaration:exit": (node) => {
      const at = scopes.at(-1);
      if (closeOwner() || node.generator || node.id === null || at === undefined) return;
      declared.push({ node, name: node.id.name, at });
    },
    ThisExpression: own,
    Super: own,
    MetaProperty: own,
    Identifier: ({ name }) => {
      if (name === "arguments") own();
    },
    AssignmentExpression: ({ left }) => replace(left),
    NewExpression: ({ callee }) => replace(callee),
  }).visit(program);
  return { declared, replaced };
}
