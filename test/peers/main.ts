/**
 * Plays all scripts to all clients, and writes `results.json` and the tables of docs/trust.md. `scripts/peers.mjs` runs
 * it.
 */
import { execFile, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Answer, PATIENCE, type Task } from "./claims.ts";
import { sendByPostfix } from "./clients/postfix.ts";
import { FaultyServer } from "./faulty-server.ts";
import { type Cell, CLIENTS, type Client, cellBeside, cellOf, OR, type Results, recipientsOf } from "./results.ts";
import { allScripts, mailOf, type Script } from "./scripts.ts";
import { withTables } from "./tables.ts";

const run = promisify(execFile);

/** The number of rounds, since some results depend on the order of two events. */
const ROUNDS = 2;
const [, , root = "", bundles = ""] = process.argv;
const scripts = allScripts();

const bin = join(root, "node_modules/.bin");
const commands: Readonly<Record<string, readonly string[]>> = {
  "smtplib on Node": [process.execPath, join(bundles, "smtplib-main.mjs")],
  "smtplib on Deno": [join(bin, "deno"), "run", "-A", join(bundles, "smtplib-main.mjs")],
  "smtplib on Bun": [join(bin, "bun"), join(bundles, "smtplib-main.mjs")],
  CPython: ["python3", join(root, "test/peers/clients/cpython.py"), String(PATIENCE)],
  nodemailer: [process.execPath, join(bundles, "nodemailer-main.mjs")],
};
/** The cells of each client and script, from all rounds: several if the order of two events decides. */
const said = new Map<Client, Map<string, Set<Cell>>>(CLIENTS.map((client) => [client, new Map()]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, command] of Object.entries(commands)) keep(clientNamed(name), await playTo(name, command));
  keep("Postfix", await playToPostfix());
}

const results: Results = {
  versions: await versions(),
  rows: Object.fromEntries(scripts.map(({ id }) => [id, row(id)])),
};
await writeFile(join(root, "test/peers/results.json"), asJson(results));
const document = join(root, "docs/trust.md");
await writeFile(document, withTables(await readFile(document, "utf8"), scripts, results));
console.log(`${scripts.length} scripts: written to test/peers/results.json and docs/trust.md`);

function row(id: string): Results["rows"][string] {
  const cell = (client: Client): Cell => [...(said.get(client)?.get(id) ?? [])].sort().join(OR);
  return {
    smtplib: cell("smtplib"),
    CPython: cell("CPython"),
    nodemailer: cell("nodemailer"),
    Postfix: cell("Postfix"),
  };
}

function keep(client: Client, cells: ReadonlyMap<string, Cell>): void {
  const of = said.get(client);
  for (const [id, cell] of cells) of?.set(id, new Set([...(of.get(id) ?? []), cell]));
}

function clientNamed(name: string): Client {
  const found = CLIENTS.find((client) => name.startsWith(client));
  if (found === undefined) throw new Error(`no client is called ${name}`);
  return found;
}

/** Plays all scripts to a client's program, with a separate server for each. */
async function playTo(name: string, [file = "", ...args]: readonly string[]): Promise<ReadonlyMap<string, Cell>> {
  const began = performance.now();
  const servers = await started();
  const tasks = scripts.map((script) => taskOf(script, servers));
  const cells = new Map<string, Cell>();
  const child = spawn(file, args, { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(`${JSON.stringify(tasks)}\n`);
  let text = "";
  for await (const chunk of child.stdout) {
    const lines = (text + String(chunk)).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const answer: Answer = JSON.parse(line);
      const server = servers.get(answer.id);
      if (server !== undefined) cells.set(answer.id, cellBeside(answer, server));
    }
  }
  await stopped(servers);
  if (cells.size !== scripts.length) throw new Error(`${name} answered ${cells.size} of ${scripts.length} scripts`);
  console.log(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return cells;
}

/** Postfix retries by itself: its duplicates are counted. */
async function playToPostfix(): Promise<ReadonlyMap<string, Cell>> {
  const began = performance.now();
  const servers = await started();
  const tasks = scripts.map((script) => taskOf(script, servers));
  const cells = new Map<string, Cell>();
  await sendByPostfix(tasks, (answers) => {
    for (const answer of answers)
      cells.set(
        answer.id,
        cellOf(answer, (to) => takenByUser(servers, answer.id, to)),
      );
  });
  const doubled = tasks.filter(({ id, to }) => to.some((recipient) => takenByUser(servers, id, recipient) > 1));
  await stopped(servers);
  console.log(`Postfix: ${((performance.now() - began) / 1000).toFixed(1)} s; ${doubled.length} delivered twice`);
  return cells;
}

/** Postfix's recipients have separate domains: only the local part identifies them. */
function takenByUser(servers: ReadonlyMap<string, FaultyServer>, id: string, recipient: string): number {
  const [user = ""] = recipient.split("@");
  return servers.get(id)?.takenForUser(user) ?? 0;
}

async function started(): Promise<Map<string, FaultyServer>> {
  return new Map(
    await Promise.all(scripts.map(async (script) => [script.id, await FaultyServer.start(script)] as const)),
  );
}

async function stopped(servers: ReadonlyMap<string, FaultyServer>): Promise<void> {
  await Promise.all([...servers.values()].map((server) => server.close()));
}

function taskOf(script: Script, servers: ReadonlyMap<string, FaultyServer>): Task {
  const { id, protocol } = script;
  const port = servers.get(id)?.port ?? 0;
  return { id, port, protocol, from: "a@client.test", to: recipientsOf(script), mail: mailOf(script) };
}

async function versions(): Promise<Results["versions"]> {
  const version = async (file: string): Promise<string> => {
    const { version }: { version: string } = JSON.parse(await readFile(join(root, file), "utf8"));
    return version;
  };
  const { stdout: python } = await run("python3", ["--version"]);
  const { stdout: postfix } = await run("postconf", ["-d", "-h", "mail_version"]);
  return {
    smtplib: await version("package.json"),
    CPython: python.replace("Python", "").trim(),
    nodemailer: await version("node_modules/nodemailer/package.json"),
    Postfix: postfix.trim(),
  };
}

/** JSON with a line for each row, so that a diff is easy to read. */
function asJson({ versions, rows }: Results): string {
  const lines = Object.entries(rows).map(([id, row]) => `    ${JSON.stringify(id)}: ${JSON.stringify(row)}`);
  return `{\n  "versions": ${JSON.stringify(versions)},\n  "rows": {\n${lines.join(",\n")}\n  }\n}\n`;
}
