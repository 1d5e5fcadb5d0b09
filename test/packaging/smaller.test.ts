/** What the build takes out of dist/ is nothing that anyone could miss: names that are public stay, and what code means. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { withArrowFunctions } from "../../scripts/build/arrow-functions.ts";
import { shortNames } from "../../scripts/build/short-names.ts";
import { entry } from "../../tsup.config.ts";
import { read } from "./import-graph.ts";
import { onNode } from "./runtimes.ts";

const root = join(import.meta.dirname, "../..");
const files = ["src", "transports"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);

// The same on each runtime.
describe.runIf(onNode)("short names", () => {
  const { core, ...others } = entry;
  let short: Record<string, string>;

  beforeAll(() => {
    short = shortNames(root, Object.values(others));
  }, 60_000);

  it("stand for many names, each for one, and none is a property's own", () => {
    const shorts = Object.values(short);
    expect(shorts.length).toBeGreaterThan(100);
    expect(new Set([...shorts, ...Object.keys(short)]).size).toBe(2 * shorts.length);
  });

  it("stand for no property that a declaration of the package shows", { timeout: 60_000 }, () => {
    const shown = propertiesShown(Object.keys(others));
    for (const name of ["sendmail", "smtp_code", "delivery", "refused", "remoteAddress", "minRate"]) {
      expect(shown).toContain(name);
    }
    expect([...shown].filter((name) => name in short)).toEqual([]);
  });

  it("stand for none that means something to a runtime or to another package", () => {
    const theirs = [
      ...["publish", "hasSubscribers", "getBuiltinModule", "then", "toJSON", "cause", "signal", "highWaterMark"],
      ...["servername", "rejectUnauthorized", "secureTransport", "expectedServerHostname", "upgradeTLS", "keepBcc"],
    ];
    expect(theirs.filter((name) => name in short)).toEqual([]);
  });

  it("stand for no export of a module that is loaded on first use", async () => {
    const loaded = files
      .flatMap((file) => read(file, readFileSync(join(root, file), "utf8")).edges)
      .filter(({ kind }) => kind === "dynamic");
    const exported = await Promise.all(loaded.map(async ({ to }) => Object.keys(await import(join(root, to)))));
    expect(exported.flat()).toEqual(expect.arrayContaining(["giveUp", "sendSpecially"]));
    expect(exported.flat().filter((name) => name in short)).toEqual([]);
  });

  it("are not in core.js, which throws the exceptions of index.js all the same", async () => {
    const built = (file: string): string => join(root, "dist", file);
    const { Output, parseMailbox, EXTENSIONS, checkParameter } = await import(built("core.js"));
    const { SMTPException, SMTPNotSupportedError } = await import(built("index.js"));
    expect(Object.keys(short)).toEqual(expect.arrayContaining(["addBytes", "localPart", "keyword"]));
    expect(new Output().addBytes).toBeTypeOf("function");
    expect(parseMailbox("ada@example.com", "address").localPart).toBe("ada");
    expect(EXTENSIONS[0]?.keyword).toBeTypeOf("string");
    expect(checkParameter).toBeTypeOf("function");
    expect(new SMTPNotSupportedError("no")).toBeInstanceOf(SMTPException);
  });
});

describe("arrow functions", () => {
  it.each([
    ["a function", "function f(a, b = 2) { return a + b } result = f(1)"],
    ["one that is called above", "result = f(); function f() { return 1 }"],
    ["one that calls itself", "function f(n) { return n < 2 ? 1 : n * f(n - 1) } result = f(5)"],
    [
      "one inside of another",
      "function f() { return g(2); function g(a) { return h(); function h() { return a } } } result = f()",
    ],
    ["one in a block", "{ result = f(); function f() { return 3 } }"],
    ["one that takes apart", "function f({ a, b: [c] }, ...d) { return [a, c, d] } result = f({ a: 1, b: [2] }, 3, 4)"],
    ["its name and length", "function f(a, b) { return a + b } result = [f.name, f.length]"],
  ])("are made of %s", (_, code) => {
    const made = withArrowFunctions(code);
    expect(made).not.toContain("function");
    expect(evaluated(made)).toEqual(evaluated(code));
    expect(evaluated(made)).toBeDefined();
  });

  it("are asynchronous where the function was", async () => {
    const made = withArrowFunctions("async function f(a) { return await a } result = f(Promise.resolve(1))");
    expect(made).not.toContain("function");
    await expect(evaluated(made)).resolves.toBe(1);
  });

  it.each([
    ["this", "function f() { return this } result = f.call(1)"],
    ["this in an arrow function", "function f() { return () => this } result = f.call(1)()"],
    ["arguments", "function f() { return arguments.length } result = f(1, 2)"],
    ["new", "function F() {} result = new F() instanceof F"],
    ["new.target", "function f() { return new.target } result = f() === undefined"],
    ["yield", "function* f() { yield 1 } result = [...f()]"],
    ["another function in its place", "function f() { return 1 } f = () => 2; result = f()"],
  ])("are not made of a function that has %s", (_, code) => {
    expect(withArrowFunctions(code)).toBe(code);
  });

  it("are made of one whose inner class or function has a this of its own", () => {
    const code = "function f() { return new (class { a = 1; b = this.a; c() { return this.b } })().c() } result = f()";
    const made = withArrowFunctions(code);
    expect(made).not.toContain("function");
    expect(evaluated(made)).toBe(1);
  });

  it("come behind the imports of a module, where a function was", () => {
    expect(withArrowFunctions('import a from "a";\na();\nfunction f() { return a }')).toMatch(
      /^import a from "a";\s*const f = \(\) => \{ return a };\s*a\(\);\s*$/,
    );
  });
});

/** What `code`, strict as modules are, leaves in `result`. */
function evaluated(code: string): unknown {
  return new Function(`"use strict"; let result; ${code}\nreturn result;`)();
}

/** The names of all properties that the compiler finds in the types that `names`, files of dist/, export. */
function propertiesShown(names: readonly string[]): Set<string> {
  const files = names.map((name) => join(root, "dist", `${name}.d.ts`));
  const program = ts.createProgram(files, { target: ts.ScriptTarget.ES2022, types: ["node"], skipLibCheck: true });
  const checker = program.getTypeChecker();
  const shown = new Set<string>();
  const visited = new Set<ts.Type>();

  function visit(type: ts.Type): void {
    if (visited.has(type)) return;
    visited.add(type);
    if (type.isUnionOrIntersection()) for (const part of type.types) visit(part);
    for (const property of type.getProperties().filter(isOurs)) {
      shown.add(property.name);
      visit(checker.getTypeOfSymbol(property));
    }
    for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
      for (const parameter of signature.getParameters()) visit(checker.getTypeOfSymbol(parameter));
      visit(signature.getReturnType());
    }
    for (const index of [type.getStringIndexType(), type.getNumberIndexType(), checker.getAwaitedType(type)]) {
      if (index !== undefined) visit(index);
    }
  }

  function isOurs({ declarations = [] }: ts.Symbol): boolean {
    return declarations.some((declaration) => declaration.getSourceFile().fileName.startsWith(join(root, "dist")));
  }

  for (const file of files) {
    const source = program.getSourceFile(file);
    const module = source && checker.getSymbolAtLocation(source);
    for (const symbol of module === undefined ? [] : checker.getExportsOfModule(module)) {
      const original = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      if (original.flags & ts.SymbolFlags.Value) visit(checker.getTypeOfSymbol(original));
      if (original.flags & ts.SymbolFlags.Type) visit(checker.getDeclaredTypeOfSymbol(original));
    }
  }
  return shown;
}
