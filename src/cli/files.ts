/** Files that options name, with errors that name the option. */
import { closeSync, constants, openSync } from "node:fs";
import { access, readFile, stat, writeFile } from "node:fs/promises";
import { CommandError, EXIT } from "./exit-codes.ts";

/**
 * The text of a file.
 * @param argument - the option that names it
 * @throws {CommandError} if it cannot be read
 */
export async function readText(argument: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(argument, path, cause);
  }
}

/**
 * Checks that a file can be read, before anything is done that cannot be undone.
 * @throws {CommandError} if it cannot
 */
export async function checkReadable(argument: string, path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
    if ((await stat(path)).isDirectory()) throw new Error(REASONS["EISDIR"]);
  } catch (cause) {
    throw unreadable(argument, path, cause);
  }
}

/** The error for a file that cannot be read. */
export function unreadable(argument: string, path: string, cause: unknown): CommandError {
  return new CommandError(EXIT.noInput, `${argument} ${path} cannot be read: ${reasonOf(cause)}`, { cause });
}

/**
 * Writes a file.
 * @param argument - the option that names it
 * @throws {CommandError} if it cannot be written
 */
export async function writeText(argument: string, path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (cause) {
    throw unwritable(argument, path, cause);
  }
}

/**
 * Checks that a file can be written, before anything is done that cannot be undone. Creates it if it is missing.
 * @throws {CommandError} if it cannot
 */
export function checkWritable(argument: string, path: string): void {
  try {
    closeSync(openSync(path, "a"));
  } catch (cause) {
    throw unwritable(argument, path, cause);
  }
}

function unwritable(argument: string, path: string, cause: unknown): CommandError {
  return new CommandError(EXIT.cannotCreate, `${argument} ${path} cannot be written: ${reasonOf(cause)}`, { cause });
}

/** The reason of a failure in a few words: the system's code, if there is one. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code: unknown = Reflect.get(error, "code");
  return REASONS[String(code)] ?? error.message;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist",
  EACCES: "permission denied",
  EISDIR: "it is a folder",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ETIMEDOUT: "no answer in time",
  EADDRINUSE: "the port is in use",
  ENOSPC: "there is no space left",
};
