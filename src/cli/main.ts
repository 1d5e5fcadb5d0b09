#!/usr/bin/env node
/**
 * The command line: `npx smtplib`, `deno run -A jsr:@smtplib/smtplib/cli`, `bunx smtplib`. Running it is all that this
 * module does; it exports nothing.
 *
 * @module
 */
import process from "node:process";
import { run } from "./run.ts";
import { processSurroundings } from "./surroundings.ts";

const surroundings = processSurroundings();
const code = await run(process.argv.slice(2), surroundings);
// Output that was lost has set one already.
if (code !== 0) process.exitCode = code;
// A read of standard input that has begun would keep the process until the other end is closed.
if (surroundings.signal.aborted) process.exit();
