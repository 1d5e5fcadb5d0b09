/**
 * Follows the guides in an empty folder with the packed tarball: their programs run unchanged, with a local server.
 *
 * @node It starts each runtime itself.
 */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { runtimes } from "../support/runtimes.ts";
import { pages } from "./documents.ts";
import { type Folder, installPackage, run } from "./installed.ts";
import { root, type Snippet, snippetsOfMarkdown } from "./snippets.ts";

const HOST = 'SMTP.connect("mail.example.com", 587)';
/** Imports that the folder does not have. */
const OTHERS = /from "(?:nodemailer|imapflow|@upyo|smtplib\/(?:upyo|nodemailer|opentelemetry))/;

/** Programs that need only the package, and a server in memory or on `HOST`. */
const programs = pages
  .flatMap(snippetsOfMarkdown)
  .filter(({ code, notRun }) => notRun === undefined && !OTHERS.test(code) && /from "smtplib/.test(code))
  .filter(({ code }) => code.includes(HOST) || /(?:server|replay)\.transport|memoryTransport/.test(code))
  // Without programs that end in an error on purpose, or need a socket of their own.
  .filter(({ code }) => !/throw error;\n} finally|"smtplib\/proxy"|SMTP_SSL/.test(code));

const isBuilt = existsSync(join(root, "dist/index.d.ts"));
if (!isBuilt) console.warn("SKIPPED: the guides in an empty folder: npm run build");

describe.runIf(isBuilt)("in an empty folder", () => {
  let folder: Folder;
  let server: EmbeddedServer;

  beforeAll(async () => {
    folder = await installPackage();
    const settings = {
      onRcptTo: ({ address }: { address: string }, _: unknown, done: (error?: Error) => void) =>
        address === "nobody@example.net" ? done(Object.assign(new Error("no"), { responseCode: 550 })) : done(),
      authOptional: true,
    };
    server = await startEmbeddedServer({
      auth: { user: "user", password: "password", token: "a-fresh-token" },
      settings,
    });
  }, 120_000);

  afterAll(async () => {
    await server.close();
    await folder.remove();
  });

  it("there are many programs", () => {
    expect(programs.length).toBeGreaterThan(15);
  });

  it.each(runtimes)("the guides' programs run on $name", { timeout: 120_000 }, async ({ name, command }) => {
    const files = await Promise.all(programs.map((program, index) => written(program, index)));
    const imports = files.map(
      (file) => `await import("./${file}").catch((error) => failed.push("${file}: " + error));`,
    );
    const main = `const failed = [];\n${imports.join("\n")}\nconsole.log("failed: " + JSON.stringify(failed));\nprocess.exit();\n`;
    await writeFile(join(folder.path, "main.mjs"), main);
    const env = { MAIL_CA: server.ca, DENO_NO_UPDATE_CHECK: "1" };
    const { output } = await run(folder.path, [...command, "main.mjs"], env);
    expect(/^failed: .*$/m.exec(output)?.[0], `${name}: ${output}`).toBe("failed: []");
  });

  /** Writes the program of the guide as JavaScript, since Node 20 does not run TypeScript. */
  async function written({ code, where }: Snippet, index: number): Promise<string> {
    const file = `program-${index}-${where.replace(/\W+/g, "-")}.mjs`;
    const here = `SMTP.connect("localhost", ${server.port}, { context: { ca: process.env.MAIL_CA } })`;
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
    await writeFile(
      join(folder.path, file),
      ts.transpileModule(code.replaceAll(HOST, here), { compilerOptions }).outputText,
    );
    return file;
  }
});
