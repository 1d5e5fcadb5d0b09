/** Hundreds of messages for a server that resets or refuses some connections: none is lost without need. */
import { describe, expect, it } from "vitest";
import { SMTPException, SMTPPool } from "../../src/index.ts";
import type { PoolOptions } from "../../src/pool/options.ts";
import { watchForLeaks } from "../hostile/scenario.ts";
import { seeded } from "../support/chaos.ts";
import { type Act, close, ehlo, inOrder, reset, server, startScriptedServer } from "../support/scripted-server.ts";

/** More connections than the tests need: one for each message, and all failures. */
const CONNECTIONS = 1000;
const FAILING = 0.04;

const EHLO = ehlo("PIPELINING", "8BITMIME", "AUTH PLAIN");
const FRIENDLY: Act = server({ EHLO, AUTH: "235 ok" });

/** Failures of a connection before a message begins. */
const REFUSALS: readonly Act[] = [reset, ["421 too many connections", close], server({ EHLO: reset })];

/** Failures at the third message of a connection. */
const DEATHS: readonly Act[] = [
  server({ EHLO, AUTH: "235 ok", MAIL: inOrder("250 ok", "250 ok", reset) }),
  server({ EHLO, AUTH: "235 ok", MAIL: inOrder("250 ok", "250 ok", ["421 bye", close]) }),
  server({ EHLO, AUTH: "235 ok", ".": inOrder("250 ok", "250 ok", reset) }),
];

/** Failures at the first message of a connection. */
const EARLY_DEATHS: readonly Act[] = [
  server({ EHLO, AUTH: "235 ok", MAIL: reset }),
  server({ EHLO, AUTH: "235 ok", MAIL: ["421 bye", close] }),
];

/** The dialogue of each connection, the same for the same seed. */
function dialogues(seed: number, failures: readonly Act[]): Act[] {
  const random = seeded(seed);
  return Array.from({ length: CONNECTIONS }, () =>
    random() < FAILING ? (failures[Math.floor(random() * failures.length)] ?? FRIENDLY) : FRIENDLY,
  );
}

describe("a storm of 500 messages, 4 % of whose connections are reset or refused", () => {
  watchForLeaks();

  const login: PoolOptions = { auth: { user: "user", password: "password" }, starttls: "never" };
  const ten: PoolOptions = { maxConnections: 10, maxMessages: 5, ...login };
  const failures = [...REFUSALS, ...DEATHS];

  it.each<[string, number, PoolOptions, number, readonly Act[]]>([
    ["ten connections, seed 1", 500, ten, 1, failures],
    ["ten connections, seed 22", 500, ten, 22, failures],
    ["ten connections, seed 333", 500, ten, 333, failures],
    ["a single connection at a time", 500, { maxConnections: 1, maxMessages: 5 }, 4444, failures],
    ["one connection for each message", 200, { maxConnections: 5, maxMessages: 1, ...login }, 55555, REFUSALS],
    ["some dead at the first message", 500, { ...ten, maxMessages: 1 }, 666666, [...REFUSALS, ...EARLY_DEATHS]],
  ])("%s", { timeout: 120_000 }, async (_, count, options, seed, acts) => {
    const scripted = await startScriptedServer(...dialogues(seed, acts));
    const { host, port } = scripted;
    const pool = new SMTPPool({ host, port, timeout: 10, ...options });
    const outcomes = await Promise.all(
      Array.from({ length: count }, (_, id) =>
        pool.sendmail("a@a.test", "b@b.test", `Id: ${id}\r\n\r\nhello\r\n`).then(
          () => "ok",
          (error: unknown) => (error instanceof SMTPException ? (error.delivery ?? "?") : String(error)),
        ),
      ),
    );
    await pool.close();
    await scripted.finish();
    const bodies = scripted.conversations.flatMap((conversation) => conversation.bodies);
    const taken = new Map<number, number>();
    for (const body of bodies) {
      const id = Number(/^Id: (\d+)/.exec(body)?.[1]);
      taken.set(id, (taken.get(id) ?? 0) + 1);
    }
    // A message is rejected if the second connection, too, is dead at its first message.
    const given = acts === failures || acts === REFUSALS ? 0 : 3;
    expect(outcomes.filter((outcome) => outcome === "not-sent").length).toBeLessThanOrEqual(given);
    outcomes.forEach((outcome, id) => {
      expect(["ok", "unknown", "not-sent"], `message ${id}`).toContain(outcome);
      expect(taken.get(id) ?? 0, `message ${id}: ${outcome}`).toBeLessThanOrEqual(1);
      if (outcome === "ok") expect(taken.get(id), `message ${id}`).toBe(1);
    });
    expect(outcomes.filter((outcome) => outcome === "ok").length).toBeGreaterThan(count * 0.98);
  });
});
