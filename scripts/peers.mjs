/**
 * Plays the scripts of test/peers/ to this client on each runtime, to CPython's smtplib, nodemailer and Postfix, and
 * writes test/peers/results.json and the tables of docs/trust.md. Needs python3 and, for Postfix, root.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./programs.mjs";

const root = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(root, "node_modules/.peers-"));
try {
  await bundle(
    ["main.ts", "clients/smtplib-main.ts", "clients/nodemailer-main.ts"].map((file) => `test/peers/${file}`),
    folder,
  );
  const child = spawn(process.execPath, [join(folder, "main.mjs"), root, folder], { cwd: root, stdio: "inherit" });
  const [code] = await once(child, "exit");
  process.exitCode = code ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
