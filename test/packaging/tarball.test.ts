/**
 * The packed tarball in an empty folder: the package runs on every runtime that it names, and has the documented types.
 *
 * @node It starts each runtime itself.
 */
import { existsSync, readFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { otherNodes, type Runtime, runtimes } from "../support/runtimes.ts";
import { type Folder, installPackage, run } from "./installed.ts";
import { snippetsOfMarkdown } from "./snippets.ts";

const root = join(import.meta.dirname, "../..");
const { version }: { version: string } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const required = process.env["CI"] === "true";
const absent = otherNodes.filter(({ installed }) => !installed).map(({ name }) => name);

if (absent.length > 0 && !required) {
  console.warn(`\n*** ${absent.join(", ")} left out: node scripts/install-nodes.mjs gets them\n`);
}

describe("the packed tarball", () => {
  let folder: Folder;
  let server: EmbeddedServer;

  beforeAll(async () => {
    folder = await installPackage();
    server = await startEmbeddedServer({ auth: { user: "user", password: "password" } });
  }, 60_000);

  afterEach(() => {
    server.messages.length = 0;
  });

  afterAll(async () => {
    await server.close();
    await folder.remove();
  });

  it("holds what is published, and nothing else", async () => {
    const { output } = await run(join(folder.path, "node_modules/smtplib"), ["find", ".", "-type", "f"]);
    const files = output.trim().split("\n").sort();
    expect(files.filter((file) => !isBuilt(file) && !isSource(file))).toEqual([
      "./CHANGELOG.md",
      "./LICENSE",
      "./README.md",
      "./package.json",
    ]);
  });

  it("has source maps that point to the sources that are shipped", async () => {
    const dist = join(folder.path, "node_modules/smtplib/dist");
    const maps = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith(".js.map"));
    const named = await Promise.all(
      maps.map(async (map) => {
        const { sources }: { sources: string[] } = JSON.parse(await readFile(join(dist, map), "utf8"));
        return sources.map((source) => join(dirname(join(dist, map)), source));
      }),
    );
    expect(named.flat().length).toBeGreaterThan(100);
    expect(named.flat().filter((source) => !existsSync(source))).toEqual([]);
  });

  it("keeps the names of the sources, which stack traces show", async () => {
    const dist = join(folder.path, "node_modules/smtplib/dist");
    const files = (await readdir(dist)).filter((name) => name.endsWith(".js"));
    const code = (await Promise.all(files.map((file) => readFile(join(dist, file), "utf8")))).join("\n");
    for (const name of ["function planMessage(", "function planMessage(", "transactionOpen"]) {
      expect(code).toContain(name);
    }
  });

  it("has the command line under its name", async () => {
    const { status, output } = await run(folder.path, ["node_modules/.bin/smtplib", "--version"]);
    expect({ status, output }).toEqual({ status: 0, output: `${version}\n` });
  });

  it("brings no other package with it", async () => {
    const { output } = await run(folder.path, ["ls", "node_modules"]);
    expect(output).toBe("smtplib\n");
  });

  const everywhere = [...runtimes.map((runtime) => ({ ...runtime, installed: true })), ...otherNodes];
  describe.each(everywhere)("on $name", ({ name, command, installed }) => {
    const possible = it.skipIf(!installed && !required);

    possible("runs README's first example", async () => {
      const outcome = await runHere({ name, command }, "first.mjs", await firstExample());
      expect(outcome).toEqual({ status: 0, output: "" });
      expect(server.messages).toMatchObject([{ from: "ada@example.com", to: ["charles@example.net"], secure: true }]);
    });

    possible("has each subpath that package.json names", async () => {
      const own = name.replace(/ .*/, "").toLowerCase();
      const subpaths = [
        "",
        "/core",
        "/sasl",
        "/proxy",
        "/testing",
        "/transports/memory",
        "/transports/web-streams",
        "/transports/workers",
        `/transports/${own}`,
      ];
      const code = subpaths.map((path) => `console.log(Object.keys(await import("smtplib${path}")).length > 0);`);
      expect(await runHere({ name, command }, "subpaths.mjs", code.join("\n"))).toEqual({
        status: 0,
        output: "true\n".repeat(subpaths.length),
      });
    });

    possible("has the command line", async () => {
      const cli = join(folder.path, "node_modules/smtplib/dist/cli.js");
      const { status, output } = await run(folder.path, [...command, cli, "--version"], { DENO_NO_UPDATE_CHECK: "1" });
      expect({ status, output }).toEqual({ status: 0, output: `${version}\n` });
    });

    possible("can be required from CommonJS, with the same exceptions", async () => {
      const code = `
        const { SMTPException } = require("smtplib");
        import("smtplib").then((smtplib) => console.log(smtplib.SMTPException === SMTPException));
      `;
      const { status, output } = await runHere({ name, command }, "required.cjs", code);
      expect({ status, same: output.includes("true") }).toEqual({ status: 0, same: true });
    });
  });

  it.each([
    ["browser types alone", "typescript-7", { lib: ["ESNext", "DOM"], types: [] }],
    ["the oldest types that will do", "typescript", { lib: ["ES2022", "DOM"], types: [] }],
    ["Node's types alone", "typescript-7", { lib: ["ES2022"], types: ["node"] }],
  ])("type-checks strictly with %s", { timeout: 60_000 }, async (_, compiler, options) => {
    const code = await readFile(join(root, "test/packaging/api-types.ts"), "utf8");
    const installed = code
      .replaceAll("../../src/index.ts", "smtplib")
      .replaceAll("../../src/sasl/index.ts", "smtplib/sasl");
    await writeFile(join(folder.path, "consumer.mts"), installed);
    const compilerOptions = {
      ...options,
      target: "ES2022",
      module: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
      typeRoots: [join(root, "node_modules/@types")],
      paths: { "expect-type": [join(root, "node_modules/expect-type/dist/index.d.ts")] },
    };
    await writeFile(join(folder.path, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.mts"] }));
    const tsc = join(root, "node_modules", compiler, "bin/tsc");
    expect(await run(folder.path, [process.execPath, tsc, "-p", "."])).toEqual({ status: 0, output: "" });
  });

  it("has no type of Node's in its declarations", async () => {
    const { output } = await run(join(folder.path, "node_modules/smtplib/dist"), [
      "grep",
      "-rnE",
      String.raw`from ['"]node:|\b(Buffer|NodeJS)\b|reference types`,
      "--include=*.d.ts",
      ".",
    ]);
    expect(output).toBe("");
  });

  async function runHere({ command }: Runtime, file: string, code: string) {
    await writeFile(join(folder.path, file), code);
    return run(folder.path, [...command, file], { MAIL_CA: server.ca, DENO_NO_UPDATE_CHECK: "1" });
  }

  /** The first example of README, with another server. */
  async function firstExample(): Promise<string> {
    const [snippet] = snippetsOfMarkdown("README.md");
    const host = '"mail.example.com", 587';
    const here = `"localhost", ${server.port}, { context: { ca: process.env.MAIL_CA } }`;
    expect(snippet?.code).toContain(host);
    return snippet?.code.replace(host, here) ?? "";
  }
});

function isBuilt(file: string): boolean {
  return /^\.\/dist\/[\w/-]+(\.js(\.map)?|\.d\.ts)$/.test(file);
}

/** The sources to which the source maps point. */
function isSource(file: string): boolean {
  return /^\.\/(src|transports)\/[\w/-]+\.ts$/.test(file);
}
