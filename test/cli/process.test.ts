/** The program in a separate process: exit codes, pipes, signals, the terminal, and what other processes see of it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { running } from "../support/runtimes.ts";
import { fileOf } from "./cli.ts";
import { has, itWith } from "./foreign.ts";

const envelope = ["--from", "ada@example.com", "--to", "charles@example.net"];

let program = "";
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "smtplib-program-"));
  program = join(folder, "cli.mjs");
  const root = join(import.meta.dirname, "../..");
  const options = ["--bundle", "--format=esm", "--platform=node", "--log-level=error", `--outfile=${program}`];
  const external = ["--external:nodemailer"];
  await promisify(execFile)(join(root, "node_modules/.bin/esbuild"), [
    join(root, "src/cli/main.ts"),
    ...options,
    ...external,
  ]);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs the program to its end. */
async function run(args: readonly string[], input = "", env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = start(args, env);
  child.stdin?.end(input);
  return ended(child);
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const [command, ...own] = running.command;
  const child = spawn(command, [...own, program, ...args], {
    env: { ...process.env, ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function ended(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, "close");
  return { code, stdout, stderr };
}

/** Waits until the process has printed something that matches. */
function printed(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  let text = "";
  return new Promise((resolve, reject) => {
    child.stdout?.on("data", (chunk) => {
      text += chunk;
      const found = pattern.exec(text);
      if (found !== null) resolve(found);
    });
    child.once("close", () => reject(new Error(`it ended after ${JSON.stringify(text)}`)));
  });
}

describe("the program", () => {
  let ca = "";

  async function server(): Promise<EmbeddedServer> {
    const started = await startEmbeddedServer({ auth: { user: "ada", password: "open-sesame" } });
    onTestFinished(() => started.close());
    ca = await fileOf(started.ca);
    return started;
  }

  it("probes, sends what is piped into it, and ends with its exit code", { timeout: 30_000 }, async () => {
    const { messages, port } = await server();
    const probed = await run(["probe", `localhost:${port}`, "--ca", ca]);
    expect(probed).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^OK: .* takes mail over TLSv1\.3/m),
      stderr: "",
    });
    const args = ["send", "-", "--server", `localhost:${port}`, "--ca", ca, ...envelope, "--user", "ada"];
    const sent = await run(args, "Subject: Hello\n\nHi!\n", { SMTP_PASSWORD: "open-sesame" });
    expect(sent).toMatchObject({ code: 0, stderr: "" });
    expect(messages).toHaveLength(1);
    const wrong = [run(["probe"]), run(args, "Subject: Hello\n\nHi!\n", { SMTP_PASSWORD: "wrong" })];
    expect((await Promise.all(wrong)).map(({ code }) => code)).toEqual([64, 77]);
  });

  it("serves until a signal ends it", async () => {
    const child = start(["serve", "--port", "0"]);
    const [, port] = await printed(child, /^listening on 127\.0\.0\.1:(\d+): SMTP\n/);
    expect((await run(["send", "--test", ...envelope, "--server", `localhost:${port}`])).code).toBe(0);
    const over = ended(child);
    // Deno's child_process would report its own signal in place of the exit code.
    process.kill(child.pid ?? 0, "SIGTERM");
    expect((await over).code).toBe(0);
  });

  it("ends with a signal that comes while it reads standard input", async () => {
    const child = start(["send", "-", "--server", "localhost:1", ...envelope, "--user=ada", "--password=open-sesame"]);
    const over = ended(child);
    // More bytes than a pipe holds: once they are written, the program is reading.
    await new Promise((resolve) => child.stdin?.write("Subject: Hello\n".repeat(100_000), resolve));
    if (running.name !== "Bun") expect(await readFile(`/proc/${child.pid}/cmdline`, "utf8")).not.toContain("sesame");
    process.kill(child.pid ?? 0, "SIGINT");
    expect(await over).toMatchObject({ code: 75, stderr: "smtplib send: stopped by SIGINT\n" });
  });

  it("tells of a lost outcome where a signal comes after the dot", async () => {
    const script = await fileOf(JSON.stringify({ once: { message: { end: "stall" } } }));
    const serving = start(["serve", "--port", "0", "--script", script]);
    const [, port] = await printed(serving, /^listening on 127\.0\.0\.1:(\d+): SMTP\n/);
    const took = printed(serving, /^message 1: /m);
    const sending = start(["send", "--test", ...envelope, "--server", `localhost:${port}`]);
    const over = ended(sending);
    await took;
    process.kill(sending.pid ?? 0, "SIGINT");
    expect(await over).toMatchObject({
      code: 79,
      stderr: expect.stringMatching(/^unknown: .*it may have been delivered/),
    });
  });

  it("ends quietly where nobody reads what it prints", async () => {
    const child = start(["--help"]);
    child.stdout?.destroy();
    const { stderr } = await ended(child);
    expect(stderr).toBe("");
  });

  it("says that its output was lost, without a word less about what was sent", async () => {
    const { messages, port } = await server();
    const script = await fileOf('exec "$@" >/dev/full\n');
    const [command, ...own] = running.command;
    const args = [command, ...own, program, "send", "--test", "--server", `localhost:${port}`, "--ca", ca];
    const to = ["--from", "ada@example.com", "--to", "charles@example.net"];
    const login = { ...process.env, SMTP_PASSWORD: "open-sesame" };
    const child = spawn("sh", [script, ...args, ...to, "--user", "ada"], { env: login });
    const { code, stderr } = await ended(child);
    expect({ code, stderr }).toEqual({
      code: 73,
      stderr: expect.stringMatching(/^the output cannot be written: .*\n$/),
    });
    expect(messages).toHaveLength(1);
  });

  it("has no password in the list of processes", async () => {
    const { port } = await server();
    const secret = await fileOf("open-sesame\n");
    const hanging = ["send", "-", "--server", `localhost:${port}`, "--ca", ca, ...envelope, "--user", "ada"];
    const child = start([...hanging, "--password-file", secret], { SMTP_PASSWORD: "open-sesame" });
    await once(child, "spawn");
    expect(await readFile(`/proc/${child.pid}/cmdline`, "utf8")).not.toContain("sesame");
    child.kill("SIGKILL");
  });

  it.skipIf(running.name === "Bun")(
    "takes a password out of its own arguments as soon as it has read them",
    async () => {
      const { port } = await server();
      const args = [
        "send",
        "--server",
        `localhost:${port}`,
        "--stop-after",
        "auth",
        "--user",
        "ada",
        "--password",
        "open-sesame",
      ];
      const child = start([...args, "--proxy", "socks5h://127.0.0.1:1", "--trace"]);
      const warned = new Promise<string>((resolve) => child.stderr?.once("data", (chunk) => resolve(String(chunk))));
      expect(await warned).toMatch(/^warning: the password is in --password/);
      const seen = await readFile(`/proc/${child.pid}/cmdline`, "utf8").catch(() => "");
      expect(seen).not.toContain("sesame");
    },
  );

  const typing = itWith(has("python3", "--version"), "Python");

  typing("asks for a password without showing it", { timeout: 30_000 }, async () => {
    const { messages, port } = await server();
    const letter = await fileOf("Subject: Hello\n\nHi!\n");
    const [command, ...own] = running.command;
    const args = ["send", letter, "--server", `localhost:${port}`, "--ca", ca, ...envelope, "--user", "ada"];
    const whole = [command, ...own, program, ...args];
    const { code, output } = await typed(whole, "Password of ada: ", "open-sesame\r");
    expect({ code, output }).toMatchObject({
      code: 0,
      output: expect.stringMatching(/accepted.* for charles@example\.net/),
    });
    expect(output).not.toContain("sesame");
    expect(messages).toMatchObject([{ user: "ada" }]);
  });
});

/** Runs a command on a terminal, and types an answer at its prompt. */
function typed(
  command: readonly string[],
  question: string,
  answer: string,
): Promise<{ code: number; output: string }> {
  const source = `
import json, os, pty, sys
command, question, answer = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen, asked = b"", False
while True:
    try:
        chunk = os.read(terminal, 4096)
    except OSError:
        break
    if not chunk:
        break
    seen += chunk
    if not asked and question.encode() in seen:
        asked = True
        os.write(terminal, answer.encode())
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
  return new Promise((resolve) => {
    const args = ["-c", source, JSON.stringify([command, question, answer])];
    execFile("python3", args, { timeout: 25_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: `${stdout}${stderr}` });
    });
  });
}
