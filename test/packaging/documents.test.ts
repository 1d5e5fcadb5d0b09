/**
 * README and docs/: every code block is run or checked, and every link has a target.
 *
 * @node Each runtime would read the same files.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { transformSync } from "esbuild";
import { describe, expect, it } from "vitest";
import { Arguments } from "../../src/cli/arguments.ts";
import { PROBE } from "../../src/cli/probe/command.ts";
import { SEND } from "../../src/cli/send/command.ts";
import { SERVE } from "../../src/cli/serve/command.ts";
import { cli, fileOf } from "../cli/cli.ts";
import { pairs, withStartTls } from "../cli/planted.ts";
import { anchorOf, type Block, blocksOf, documents, faultOf, linksOf, pages, root } from "./documents.ts";

const blocks = pages.flatMap((file) => blocksOf(file));
const scripts: Readonly<Record<string, string>> = packageJson().scripts;
const packages = new Set(["smtplib", ...Object.keys(packageJson().devDependencies)]);

/** Language of a block -> its fault; undefined if there is none. snippets.test.ts runs `ts` and `js`. */
const CHECKS: Readonly<Record<string, (block: Block) => string | undefined>> = {
  ts: () => undefined,
  js: () => undefined,
  json: ({ code }) => {
    JSON.parse(code);
    return undefined;
  },
  sh: ({ code }) => code.split("\n").map(faultOfCommand).find(Boolean),
  // Run and compared below.
  console: () => undefined,
  python: ({ where, code }) => {
    const { status, error } = spawnSync("python3", ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], {
      input: code,
    });
    return error === undefined && status !== 0 ? `${where}: Python cannot parse it` : undefined;
  },
};

describe("the blocks of code", () => {
  it("are of languages that are run or checked", () => {
    expect(blocks.length).toBeGreaterThan(50);
    const unknown = blocks.filter(({ language, notRun }) => notRun === undefined && !(language in CHECKS));
    expect(unknown.map(({ where, language }) => `${where}: ${language}`)).toEqual([]);
  });

  it("are what they should be", () => {
    const faults = blocks
      .filter(({ notRun }) => notRun === undefined)
      .flatMap((block) => CHECKS[block.language]?.(block) ?? []);
    expect(faults).toEqual([]);
  });

  it("are run, except a few that say why not", () => {
    const left = blocks.flatMap(({ where, notRun }) => (notRun === undefined ? [] : [`${where}: not run: ${notRun}`]));
    for (const line of left) console.warn(line);
    expect(left.length).toBeLessThanOrEqual(5);
    expect(left.filter((line) => line.split("not run: ")[1]?.length === 0)).toEqual([]);
  });

  it("are called JavaScript exactly where Node 20 runs them as they are", () => {
    const scripts = blocks.filter(({ language }) => language === "js" || language === "ts");
    const wrong = scripts.filter(({ language, code }) => (language === "js") !== isJavaScript(code));
    expect(wrong.map(({ where, language }) => `${where}: ${language}`)).toEqual([]);
  });

  it.each([
    ["npm install smtplb", "smtplb"],
    ["npx smtplib prob mail.example.com", "prob"],
    ["npx smtplib probe --colour red", "--colour"],
    ["npm run nothing", "nothing"],
    ["node examples/nothing.mjs", "nothing"],
    ["rm -rf /", "rm"],
  ])("of the shell: sees what is wrong with %s", (command, word) => {
    expect(faultOfCommand(command)).toContain(word);
  });
});

describe("what a command prints", () => {
  it.each(blocks.filter(({ language }) => language === "console").map((block) => [block.where, block] as const))(
    "is what the program prints: %s",
    async (_, { code }) => {
      const [call = "", ...shown] = code.split("\n");
      const { ca, expired } = await pairs();
      const offered = ["PIPELINING", "SIZE 36700160", "8BITMIME"];
      const port = await withStartTls(expired, offered, [...offered, "AUTH PLAIN LOGIN"]);
      const [, ...args] = wordsOf(call.replace("$ npx ", "").replace("mail.example.com:587", `localhost:${port}`));
      const { stdout } = await cli([...args, "--ca", await fileOf(ca)]);
      const server = stdout
        .replaceAll(`localhost:${port}`, "mail.example.com:587")
        .replaceAll("127.0.0.1", "192.0.2.25");
      const printed = server.replace("scripted.test", "mail.example.com").trimEnd();
      expect(alike(printed)).toMatch(patternOf(alike(shown.join("\n"))));
    },
  );
});

describe("the links", () => {
  it("are many", () => {
    expect(documents.flatMap(linksOf).length).toBeGreaterThan(100);
  });

  it.each(documents)("of %s lead to files and headings that exist", (file) => {
    expect(linksOf(file).flatMap((link) => faultOf(link) ?? [])).toEqual([]);
  });

  it("that lead nowhere are seen", () => {
    const where = "docs/guide/errors.md:1";
    expect(faultOf({ where, target: "nowhere.md" })).toContain("guide/nowhere");
    expect(faultOf({ where, target: "tls.md#nothing" })).toContain("#nothing");
    expect(faultOf({ where, target: "#after-an-error" })).toBeUndefined();
  });

  it("to headings are those of GitHub", () => {
    expect(anchorOf("What is changed for a server, and what is refused")).toBe(
      "what-is-changed-for-a-server-and-what-is-refused",
    );
    expect(anchorOf("`smtplib/core`: Timeouts & abort")).toBe("smtplibcore-timeouts--abort");
  });

  it("lead to every page from another one", () => {
    const linked = new Set(
      documents.flatMap((file) =>
        linksOf(file).map(({ target }) => join(file, "..", target.split("#")[0] ?? "").replaceAll("\\", "/")),
      ),
    );
    expect(pages.filter((page) => page !== "README.md" && page !== "docs/index.md" && !linked.has(page))).toEqual([]);
  });
});

describe("README", () => {
  it("has at most 150 lines", () => {
    expect(readFileSync(join(root, "README.md"), "utf8").split("\n").length).toBeLessThanOrEqual(151);
  });

  it("lists each entry of the package", () => {
    const text = readFileSync(join(root, "README.md"), "utf8");
    const entries = Object.keys(packageJson().exports).filter((name) => name !== "./package.json");
    const names = entries.map((name) =>
      name.replace(/^\.\/transports\/.*/, "./transports/*").replace(/^\./, "smtplib"),
    );
    expect([...new Set(names)].filter((name) => !text.includes(`| \`${name}\` |`))).toEqual([]);
  });

  it("lists each guide", () => {
    const text = readFileSync(join(root, "README.md"), "utf8");
    const guides = readdirSync(join(root, "docs/guide")).filter((name) => name.endsWith(".md"));
    expect(guides.filter((name) => !text.includes(`docs/guide/${name}`))).toEqual([]);
  });
});

/** Whether a program has only JavaScript syntax; Node before version 24 does not support `await using`. */
function isJavaScript(code: string): boolean {
  if (/^\s*await using\b/m.test(code)) return false;
  try {
    transformSync(code, { loader: "js", logLevel: "silent" });
    return true;
  } catch {
    return false;
  }
}

/** The fault of a line for the shell, if any. */
function faultOfCommand(line: string): string | undefined {
  const command = line.replace(/ +#.*$/, "").replace(/^.*\| /, "");
  const [program = "", ...args] = wordsOf(command).filter((word) => !/^[A-Z_]+=/.test(word));
  switch (program) {
    case "":
      return undefined;
    case "smtplib":
      return faultOfCall(args);
    case "npx":
    case "bunx":
      return args[0] === "smtplib" ? faultOfCall(args.slice(1)) : `unknown: ${line}`;
    case "npm":
    case "bun":
    case "deno":
      return faultOfInstall(args) ?? undefined;
    case "node":
      return isReaders(args) || existsSync(join(root, args[0] ?? "")) ? undefined : `there is no ${args[0]}`;
    default:
      return `unknown: ${line}`;
  }
}

function faultOfInstall([verb = "", ...names]: readonly string[]): string | undefined {
  if (verb === "ci" || verb === "test" || isReaders([verb, ...names])) return undefined;
  if (verb === "run") return names[0] !== undefined && names[0] in scripts ? undefined : `no script ${names[0]}`;
  const missing = names
    .filter((name) => !name.startsWith("-"))
    .find(
      (name) => !packages.has(name.replace(/^smtplib@jsr:@smtplib\/smtplib$/, "smtplib").replace(/(?<=.)@\d+$/, "")),
    );
  return missing === undefined ? undefined : `no package of ours or that we test: ${missing}`;
}

/** Whether a command runs the program that the reader has saved; `snippets.test.ts` and others run it. */
function isReaders(args: readonly string[]): boolean {
  return args.at(-1) === "mail.mjs";
}

/** The fault of a call of the command line, if any. */
function faultOfCall([name = "", ...args]: readonly string[]): string | undefined {
  const description = [PROBE, SEND, SERVE].find((one) => one.name === name);
  if (description === undefined) return `no command ${name}`;
  try {
    new Arguments(args, Object.values(description.options));
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** The words of a command line; a quoted part is one word. */
function wordsOf(line: string): string[] {
  return Array.from(line.matchAll(/"([^"]*)"|(\S+)/g), ([, quoted, bare]) => quoted ?? bare ?? "");
}

/** Output without the parts that depend on the day and the machine. */
function alike(text: string): string {
  return text
    .replace(/\d+(\.\d+)? ms/g, "N ms")
    .replace(/\d{4}-\d\d-\d\d/g, "DATE")
    .replace(/\d+ days/g, "N days");
}

/** A pattern in which a line of "…" matches any number of lines. */
function patternOf(text: string): RegExp {
  const escaped = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("\n…\n", "\n(?:.*\n)*?")}$`);
}

function packageJson(): Readonly<Record<"scripts" | "devDependencies" | "exports", Record<string, string>>> {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
}
