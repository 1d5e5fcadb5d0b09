/** Plays the scripts of `node scripts/peers.mjs` to this client: its claims about a message are true. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { onNode } from "../support/runtimes.ts";
import { PATIENCE, type Task } from "./claims.ts";
import { byPool, bySession, type Way } from "./clients/smtplib.ts";
import { explanationOf, RACES } from "./explanations.ts";
import { FaultyServer } from "./faulty-server.ts";
import { inParallel } from "./in-parallel.ts";
import { type Cell, cellBeside, OR, type Results, recipientsOf, worthOfCell } from "./results.ts";
import { allScripts, mailOf, type Script } from "./scripts.ts";
import { withTables } from "./tables.ts";

const root = join(import.meta.dirname, "../..");
const results: Results = JSON.parse(readFileSync(join(root, "test/peers/results.json"), "utf8"));
const scripts = allScripts();

/** The scripts in which BDAT can carry the content. */
const chunked = scripts.filter(({ offers }) => offers.includes("CHUNKING"));

const WAYS: readonly [name: string, way: Way, scripts: readonly Script[]][] = [
  ["by a session", bySession(), scripts],
  ["by a pool", byPool(), scripts],
  ["by BDAT wherever it is offered", bySession({ chunking: true }), chunked],
  ["in one flight", bySession({ pipelining: "eager" }), chunked],
];

/**
 * In one flight nothing keeps the replies in step: a surplus reply before that to the content is taken for it, and no
 * later reply reveals that. The option is for servers that the caller knows.
 */
const DECEIVED_IN_ONE_FLIGHT = /^(MAIL|RCPT) · the right reply and a |behind a 250 that came with RCPT's/;

describe("a claim about a message is true", () => {
  it.each(WAYS)(
    "%s",
    async (name, way, played) => {
      const deceiving = name === "in one flight" ? DECEIVED_IN_ONE_FLIGHT : /^$/;
      const cells = await inParallel(
        played.filter(({ id }) => !deceiving.test(id)),
        24,
        async (script) => ({ script, cell: await cellOfScript(script, way) }),
      );
      // A busy machine may be late: plays scripts with a wrong result once more, alone.
      const doubtful = cells.filter(({ script, cell }) => !isTrue(script, cell, name === "in one flight"));
      const replayed: typeof cells = [];
      for (const { script } of doubtful) {
        replayed.push({ script, cell: await cellOfScript(script, way, 3 * PATIENCE) });
      }
      const wrong = replayed.filter(({ script, cell }) => !isTrue(script, cell, name === "in one flight"));
      expect(wrong.map(({ script, cell }) => `${script.id}: ${cell}`)).toEqual([]);
      if (name !== "by a session") return;
      // The same for a script that differs from the table.
      const differing = cells.filter(({ script, cell }) => !expectedOf(script).includes(cell));
      for (const { script } of differing.filter(({ script }) => !RACES.test(script.id))) {
        expect(expectedOf(script), script.id).toContain(await cellOfScript(script, way, 3 * PATIENCE));
      }
    },
    60_000,
  );

  it.runIf(onNode)("and stands in docs/trust.md as results.json has it", () => {
    const document = readFileSync(join(root, "docs/trust.md"), "utf8");
    expect(withTables(document, scripts, results)).toBe(document);
    expect(Object.keys(results.rows)).toEqual(scripts.map(({ id }) => id));
  });
});

/** Plays a script; returns the claims, and the ledger at that time. */
async function cellOfScript(script: Script, way: Way, patience = PATIENCE): Promise<Cell> {
  const server = await FaultyServer.start(script);
  const { id, protocol } = script;
  const task: Task = {
    id,
    port: server.port,
    protocol,
    from: "a@client.test",
    to: recipientsOf(script),
    mail: mailOf(script),
  };
  try {
    return cellBeside(await way(task, patience), server);
  } finally {
    await server.close();
  }
}

/** True, or unknown for an explained reason; in one flight, everything unanswered is unknown. */
function isTrue({ id }: Script, cell: Cell, oneFlight: boolean): boolean {
  const worth = worthOfCell(cell);
  return worth === "right" || (oneFlight && worth === "open") || explanationOf("smtplib", worth, id) !== undefined;
}

function expectedOf({ id }: Script): string[] {
  return (results.rows[id]?.smtplib ?? "").split(OR);
}
