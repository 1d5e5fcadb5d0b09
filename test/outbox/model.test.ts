/**
 * The model of the ticket, checked by Spin: each order of the steps of two workers that die and freeze at any time.
 *
 * @node Spin says the same on each runtime.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeService } from "./describe-service.ts";

const model = join(import.meta.dirname, "outbox.pml");

/** Spin's result: the number of states, and the first error. */
type Checked = { readonly states: number; readonly error: string | undefined; readonly complete: boolean };

/** Checks the model with some of its settings. */
function check(settings: Readonly<Record<string, number>>): Checked {
  const folder = mkdtempSync(join(tmpdir(), "smtplib-spin-"));
  const defines = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
  try {
    run(folder, "spin", ...defines, "-a", model);
    run(folder, "cc", "-O0", "-w", "-DSAFETY", "-o", "pan", "pan.c");
    const output = run(folder, "./pan", "-m100000", "-n");
    return {
      states: Number(/^\s*(\d+) states, stored/m.exec(output)?.[1]),
      error: /^pan:\d+: (.*?)(?: \(at depth|$)/m.exec(output)?.[1],
      complete: !/Search not completed|max search depth too small/.test(output),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(cwd: string, command: string, ...args: string[]): string {
  const { stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (stderr !== "" && command !== "./pan") throw new Error(`${command}: ${stderr}`);
  return stdout;
}

describe("the model", { timeout: 180_000 }, () => {
  describeService("spin", () => {
    it.each([
      { name: "hold", settings: { POLICY: 0 } },
      { name: "retry, which doubles no more than it replaces tickets", settings: { POLICY: 1, TRIES: 2 } },
      { name: "ask, with attempts that are dead before it asks", settings: { POLICY: 2, TRIES: 2 } },
    ])("finds no way to lose or double a message under $name", ({ name, settings }) => {
      const { states, error, complete } = check(settings);
      console.info(`spin: ${name}: ${states} states`);
      expect({ error, complete }).toEqual({ error: undefined, complete: true });
      expect(states).toBeGreaterThan(10_000);
    });

    it.each([
      { name: "without the ticket", settings: { TICKET: 0 } },
      {
        name: "when ask replaces the ticket of an attempt that may still be alive",
        settings: { POLICY: 2, SETTLE: 0 },
      },
    ])("finds a message that is doubled $name", ({ settings }) => {
      expect(check(settings).error).toMatch(/assertion violated \(?.*copies/);
    });
  });
});
