/** The circumstances of a measurement: place, time and versions. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { COMMANDS, ROOT } from "./paths.mjs";

const PEERS = ["nodemailer", "@upyo/smtp", "emailjs"];

/** The circumstances of a run that begins now. */
export function circumstancesNow() {
  const [{ model }] = cpus();
  return {
    date: new Date().toISOString().slice(0, 19),
    commit: commit(),
    machine: `${model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    versions: { node: process.version.slice(1), deno: versionOf("deno"), bun: versionOf("bun"), ...peers() },
  };
}

function commit() {
  const git = (...args) => execFileSync("git", ["-C", ROOT, ...args], { encoding: "utf8" }).trim();
  try {
    const changed = git("status", "--porcelain", "--", "src", "transports") !== "";
    return `${git("rev-parse", "--short", "HEAD")}${changed ? ", changed" : ""}`;
  } catch {
    return "unknown";
  }
}

function versionOf(runtime) {
  const [command] = COMMANDS[runtime];
  return /\d+\.\d+\.\d+/.exec(execFileSync(command, ["--version"], { encoding: "utf8" }))[0];
}

function peers() {
  const versionIn = (name) =>
    JSON.parse(readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8")).version;
  return Object.fromEntries(PEERS.map((name) => [name, versionIn(name)]));
}
