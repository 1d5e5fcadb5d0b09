/** docs/cli.md agrees with the program: commands, exit codes, findings, scripts, and the schema of the report. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Arguments } from "../../src/cli/arguments.ts";
import { EXIT } from "../../src/cli/exit-codes.ts";
import { PROBE } from "../../src/cli/probe/command.ts";
import { SEND } from "../../src/cli/send/command.ts";
import { SERVE } from "../../src/cli/serve/command.ts";
import { parseScript } from "../../src/cli/serve/script.ts";
import { converse, ehlo, server } from "../support/scripted-server.ts";
import { cli, fileOf } from "./cli.ts";
import { closedPort, pairs, scripted, withStartTls } from "./planted.ts";
import { schemaErrors } from "./report-schema.ts";

const root = join(import.meta.dirname, "../..");
const text = readFileSync(join(root, "docs/cli.md"), "utf8");
const blocks = Array.from(text.matchAll(/```json\n([\s\S]*?)```/g), ([, code = ""]) => JSON.parse(code));

/** The first column of the table under a heading. */
function firstColumn(heading: string): string[] {
  const section = text.slice(text.indexOf(`${heading}\n`)).split(/\n#/)[0] ?? "";
  return Array.from(section.matchAll(/^\| `?([^|`]+?)`? \|/gm), ([, cell = ""]) => cell).slice(2);
}

describe("docs/cli.md", () => {
  it("has the exit codes of the program", () => {
    expect(firstColumn("## Exit codes").map(Number)).toEqual(Object.values(EXIT).sort((a, b) => a - b));
  });

  it("has the findings of the program", () => {
    const folder = join(root, "src/cli/probe");
    const source = readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), "utf8"))
      .join("\n");
    const codes = source.matchAll(/(?:\b(?:fault|finding)\(\s*|\bcode: )"([a-z0-9-]+)"/g);
    expect([...new Set(firstColumn("### Findings"))].sort()).toEqual(
      [...new Set(Array.from(codes, ([, code]) => code))].sort(),
    );
  });

  const lines = Array.from(
    text.matchAll(/(?:^|`|\| )(?:npx )?(smtplib (?:probe|send|serve)[^`\n]*)/gm),
    ([, line = ""]) => line,
  );
  const calls = [...new Set(lines)].filter((line) => !line.includes("COMMAND"));

  it("has many calls", () => {
    expect(calls.length).toBeGreaterThan(30);
  });

  it.each(calls)("has a call that the program understands: %s", (line) => {
    const [, name, ...args] = wordsOf(line.replace(" …", " --server mx.example.net"));
    const description = [PROBE, SEND, SERVE].find((one) => one.name === name);
    expect(() => new Arguments(args, Object.values(description?.options ?? {}))).not.toThrow();
  });

  it("has a report that its schema describes, and a script that is one", () => {
    const [report, script] = blocks;
    expect(schemaErrors(report)).toBeNull();
    expect(() => parseScript(JSON.stringify(script))).not.toThrow();
  });
});

describe("the schema of the report", () => {
  it.each<[what: string, port: () => Promise<number>, args: readonly string[]]>([
    ["a good server", async () => scripted(server()), []],
    [
      "a server with much to offer",
      async () => scripted(server({ EHLO: ehlo("SIZE 100", "AUTH PLAIN X-Y", "CHUNKING") })),
      ["--user", "ada"],
    ],
    ["a server with TLS", async () => withStartTls((await pairs()).expired, ["AUTH PLAIN"]), []],
    ["a server that refuses", async () => scripted(["554 no", converse()]), []],
    ["no server", closedPort, []],
  ])("describes what is reported of %s", async (_, port, args) => {
    const env = { SMTP_PASSWORD: "open sesame" };
    const { stdout } = await cli(["probe", `localhost:${await port()}`, "--json", "--timeout", "2", ...args], { env });
    expect(schemaErrors(JSON.parse(stdout))).toBeNull();
    expect(stdout).not.toContain("sesame");
  });

  it("is no schema that takes anything", async () => {
    const [report] = blocks;
    expect(schemaErrors({ ...report, more: 1 })).not.toBeNull();
    expect(schemaErrors({ ...report, verdict: undefined })).not.toBeNull();
  });
});

it("is the text of a report as it is printed", async () => {
  const { ca, good } = await pairs();
  const port = await withStartTls(good, ["PIPELINING", "SIZE 1000000"], ["PIPELINING", "AUTH PLAIN"]);
  const { stdout } = await cli(["probe", `localhost:${port}`, "--ca", await fileOf(ca)]);
  const titles = Array.from(stdout.matchAll(/^([a-z][\w ]{0,11}?) {2,}/gim), ([, title]) => title);
  expect(titles).toEqual([
    ...["addresses", "greeting", "in clear", "over TLS", "TLS", "certificate"],
    ...["logins", "demands", "tests", "times", "notes"],
  ]);
  expect(stdout).toMatch(/^OK: smtp:\/\/localhost:\d+ takes mail over TLSv1\.3 by STARTTLS, with a login by PLAIN\n$/m);
});

/** The words of a command line; a quoted part is one word. */
function wordsOf(line: string): string[] {
  return Array.from(line.matchAll(/"([^"]*)"|(\S+)/g), ([, quoted, bare]) => quoted ?? bare ?? "");
}
