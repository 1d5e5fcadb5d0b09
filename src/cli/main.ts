#!/usr/bin/env node
/**
 * The command line: `npx smtplib`, `deno run -A jsr:@smtplib/smtplib/cli`, `bunx smtplib`. This
 * module runs the program and exports nothing.
 *
 * @module
 */
import process from "node:process";
import { run } from "./run.ts";
import { processSurroundings } from "./surroundings.ts";

const surroundings = processSurroundings();
const code = await run(process.argv.slice(2), surroundings);
// Lost output has already set an exit code.
if (code !== 0) process.exitCode = code;
// A read of standard input that has begun would keep the process until the other end is closed.
if (surroundings.signal.aborted) process.exit();
