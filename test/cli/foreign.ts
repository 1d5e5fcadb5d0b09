/** Other mail clients as commands: Python's smtplib, swaks and curl. */
import { execFile, execFileSync } from "node:child_process";
import { env } from "node:process";
import { it } from "vitest";

/** The exit code and the output of a command. */
export type Ended = { readonly code: number; readonly output: string };

/** Whether a command is installed. */
export function has(command: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/**
 * A test that needs a command of the system. Without the command the test is skipped with a message; where servers are
 * required it fails instead.
 */
export function itWith(present: boolean, what: string): typeof it | typeof it.skip {
  if (present) return it;
  if (env["CI"] === "true" || env["SMTPLIB_REQUIRE_SERVERS"] === "1") return it;
  console.warn(`SKIPPED: what needs ${what}: it is not installed; see test/servers/install.sh`);
  return it.skip;
}

/** Runs a command to its end, for at most 20 seconds. */
export function command(file: string, args: readonly string[], input?: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, output: `${stdout}${stderr}` });
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

/** Runs Python's smtplib: `program` has `smtp`, which is connected; its standard output is the output. */
export function python(port: number, program: string): Promise<Ended> {
  const lines = program.trim().split("\n");
  const source = ["import smtplib, ssl, sys", `smtp = smtplib.SMTP("localhost", ${port}, timeout=10)`, ...lines];
  return command("python3", ["-c", source.join("\n")]);
}

/** Runs swaks. */
export function swaks(port: number, ...args: readonly string[]): Promise<Ended> {
  return command("swaks", ["--server", `localhost:${port}`, "--timeout", "10", ...args]);
}

/** Runs curl with a message. */
export function curl(port: number, message: string, ...args: readonly string[]): Promise<Ended> {
  return command(
    "curl",
    ["--silent", "--show-error", "--url", `smtp://localhost:${port}`, "-T", "-", ...args],
    message,
  );
}
