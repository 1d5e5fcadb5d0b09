/**
 * The pool with servers that disconnect, stall, complain and lose messages (SECURITY.md, rule 9): the outcome of each
 * message, and the number of connections.
 */
import { afterEach, describe, expect, it } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import type { PoolOptions } from "../../src/pool/options.ts";
import { outcome, send } from "../pool/pool.ts";
import {
  type Act,
  close,
  ehlo,
  halfClose,
  inOrder,
  reset,
  type ScriptedServer,
  server,
  stall,
  startScriptedServer,
} from "../support/scripted-server.ts";
import { settled, watchForLeaks } from "./scenario.ts";

/** A row of the table. */
type Row = {
  readonly name: string;
  /** The server's behaviour on each connection in turn; the last one applies to all further ones. */
  readonly servers: readonly Act[];
  readonly options?: PoolOptions;
  /** The calls. Default: three messages, one after the other. */
  readonly call?: (pool: SMTPPool, server: ScriptedServer) => Promise<unknown>;
  /** The result of the calls. */
  readonly gives: unknown;
  /** The number of connections. */
  readonly connections: number;
  /** The number of messages that the server accepted. */
  readonly taken: number;
  /** The pool's counts at the end. */
  readonly stats?: Partial<SMTPPool["stats"]>;
  readonly check?: (server: ScriptedServer) => unknown;
};

const LOCK_STEP = ehlo("8BITMIME");
const MODES: readonly [string, Act][] = [
  ["lock-step", LOCK_STEP],
  ["pipelined", ehlo("PIPELINING", "8BITMIME")],
];

/** Sends three messages, one after the other. */
async function three(pool: SMTPPool): Promise<string[]> {
  const outcomes: string[] = [];
  for (const name of ["one", "two", "three"]) outcomes.push(await outcome(send(pool, name)));
  return outcomes;
}

/** Sends messages at once. */
const atOnce =
  (count: number) =>
  (pool: SMTPPool): Promise<string[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => outcome(send(pool, `m${index}`))));

const friendly = server({ EHLO: LOCK_STEP });
const ONE: PoolOptions = { maxConnections: 1 };

function rows(table: readonly Row[]): void {
  describe("[pool]", () => {
    watchForLeaks();
    let running: { pool: SMTPPool; scripted: ScriptedServer } | undefined;

    afterEach(async () => {
      await running?.pool.close();
      await running?.scripted.finish();
      running = undefined;
    });

    it.each(table.map((row): [string, Row] => [row.name, row]))("%s", async (_, row) => {
      const scripted = await startScriptedServer(...row.servers);
      const { host, port } = scripted;
      const pool = new SMTPPool({ host, port, timeout: 5, ...row.options });
      running = { pool, scripted };
      const { call = three } = row;
      const result = await settled(() => call(pool, scripted), 10);
      expect(result).toEqual({ value: row.gives });
      expect(scripted.conversations.length, "connections").toBe(row.connections);
      if (row.stats !== undefined) expect(pool.stats).toMatchObject(row.stats);
      await pool.close();
      await scripted.finish();
      const taken = scripted.conversations.reduce((sum, conversation) => sum + conversation.taken, 0);
      expect(taken, "messages taken").toBe(row.taken);
      await row.check?.(scripted);
    });
  });
}

/** Waits until the pool has noticed the end of its connections. */
async function untilGone(pool: SMTPPool): Promise<void> {
  while (pool.stats.connections > 0) await new Promise((resolve) => setImmediate(resolve));
}

/** The fate of the second message on the connection of the first. */
const DEATHS: readonly [string, { readonly [verb: string]: Act }][] = [
  ["is closed (FIN)", { MAIL: inOrder("250 ok", close) }],
  ["is reset (RST)", { MAIL: inOrder("250 ok", reset) }],
  ["is half closed", { MAIL: inOrder("250 ok", halfClose) }],
  ["says 421 to MAIL", { MAIL: inOrder("250 ok", ["421 idle for too long", close]) }],
  ["says 421 to RCPT", { RCPT: inOrder("250 ok", ["421 idle for too long", close]) }],
  ["is closed at RCPT", { RCPT: inOrder("250 ok", close) }],
  ["speaks nonsense", { MAIL: inOrder("250 ok", "what?") }],
];

rows([
  ...MODES.flatMap(([mode, EHLO]) =>
    DEATHS.map(
      ([death, answers]): Row => ({
        name: `${mode}: a used connection that ${death} costs no message: it goes once more, by a new one`,
        servers: [server({ EHLO, ...answers }), server({ EHLO })],
        gives: ["ok", "ok", "ok"],
        connections: 2,
        taken: 3,
        stats: { sent: 3, failed: 0, retried: 1, limit: 5 },
      }),
    ),
  ),
  ...MODES.flatMap(([mode, EHLO]): Row[] => [
    {
      name: `${mode}: a new connection that is lost costs no message: it goes once more`,
      servers: [server({ EHLO, MAIL: reset }), server({ EHLO })],
      gives: ["ok", "ok", "ok"],
      connections: 2,
      taken: 3,
      stats: { sent: 3, failed: 0, retried: 1 },
    },
    {
      name: `${mode}: a message goes once more, and not a third time`,
      servers: [server({ EHLO, MAIL: inOrder("250 ok", reset) }), server({ EHLO, MAIL: reset }), server({ EHLO })],
      gives: ["ok", "SMTPServerDisconnected not-sent", "ok"],
      connections: 3,
      taken: 2,
      stats: { sent: 2, failed: 1, retried: 1 },
    },
    {
      name: `${mode}: never after the dot`,
      servers: [server({ EHLO, ".": inOrder("250 ok", reset) }), server({ EHLO })],
      gives: ["ok", "SMTPServerDisconnected unknown", "ok"],
      connections: 2,
      taken: 2,
      stats: { retried: 0 },
    },
    {
      name: `${mode}: never after a 421 to DATA or to the message`,
      servers: [
        server({ EHLO, DATA: inOrder("354 go", ["421 bye", close]) }),
        server({ EHLO, ".": inOrder("250 ok", ["421 bye", close]) }),
      ],
      gives: ["ok", "SMTPDataError 421 rejected", "ok"],
      connections: 2,
      taken: 2,
      stats: { retried: 0 },
    },
    {
      name: `${mode}: never after 4yz; the connection goes on`,
      servers: [
        server({
          EHLO,
          MAIL: inOrder("250 ok", "451 later", "250 ok"),
          RCPT: inOrder("250 ok", ...(mode === "pipelined" ? ["503 no"] : []), "450 later"),
          DATA: inOrder("354 go", "503 no"),
        }),
      ],
      gives: ["ok", "SMTPSenderRefused 451 rejected", "SMTPRecipientsRefused rejected"],
      connections: 1,
      taken: 1,
      stats: { retried: 0 },
    },
    {
      name: `${mode}: never after a timeout`,
      servers: [server({ EHLO, MAIL: inOrder("250 ok", stall) }), server({ EHLO })],
      options: { timeouts: { envelope: 0.2 } },
      gives: ["ok", "SMTPTimeoutError not-sent", "ok"],
      connections: 2,
      taken: 2,
      stats: { retried: 0 },
    },
  ]),
  {
    name: "a stream goes once more as long as nobody has read from it",
    servers: [server({ EHLO: LOCK_STEP, MAIL: inOrder("250 ok", reset) }), friendly],
    call: async (pool) => {
      await send(pool, "one");
      return outcome(pool.sendmail("a@a.test", "b@b.test", chunks("hello\r\n")));
    },
    gives: "ok",
    connections: 2,
    taken: 2,
    stats: { retried: 1 },
  },
  {
    name: "a stream that was read from does not go again",
    servers: [server({ EHLO: LOCK_STEP, DATA: inOrder("354 go", ["354 go", reset]) }), friendly],
    call: async (pool) => {
      await send(pool, "one");
      return outcome(pool.sendmail("a@a.test", "b@b.test", chunks("hello\r\n", "x\r\n".repeat(1_000_000))));
    },
    gives: "SMTPServerDisconnected not-sent",
    connections: 1,
    taken: 1,
    stats: { retried: 0 },
  },
  {
    name: "nor does a large message in memory whose content was begun",
    servers: [server({ EHLO: LOCK_STEP, DATA: inOrder("354 go", ["354 go", reset]) }), friendly],
    call: async (pool) => {
      await send(pool, "one");
      return outcome(pool.sendmail("a@a.test", "b@b.test", "x\r\n".repeat(5_000_000)));
    },
    gives: "SMTPServerDisconnected not-sent",
    connections: 1,
    taken: 1,
    stats: { retried: 0 },
  },
  ...(["close", "421", "stray"] as const).map(
    (what): Row => ({
      name: `an idle connection is dropped at once: ${what}`,
      servers: [
        server({
          EHLO: LOCK_STEP,
          ".": ["250 ok", what === "close" ? close : what === "421" ? ["421 bye", close] : "250 what?"],
        }),
        friendly,
      ],
      call: async (pool) => {
        const first = await outcome(send(pool));
        await untilGone(pool);
        return [first, await outcome(send(pool))];
      },
      gives: ["ok", "ok"],
      connections: 2,
      taken: 2,
      stats: { retried: 0, failed: 0 },
    }),
  ),
  {
    name: "no connection: all that wait are rejected after one refusal, and the next message tries again",
    servers: [["554 closed"], friendly],
    options: ONE,
    call: async (pool) => [await atOnce(5)(pool), await outcome(send(pool))],
    gives: [Array(5).fill("SMTPConnectError 554 not-sent"), "ok"],
    connections: 2,
    taken: 1,
  },
  {
    name: "421 instead of a greeting, no other connection, and no time to try again: all that wait are rejected",
    servers: [["421 too many", close]],
    options: { ...ONE, reconnectFor: 0 },
    call: atOnce(3),
    gives: Array(3).fill("SMTPConnectError 421 not-sent"),
    connections: 1,
    taken: 0,
    stats: { limit: 1, failed: 3 },
  },
  {
    name: "421 instead of a greeting while another connection lives: that one sends all, and is the only one",
    servers: [friendly, ["421 too many", close]],
    call: atOnce(20),
    options: { maxConnections: 2 },
    gives: Array(20).fill("ok"),
    connections: 2,
    taken: 20,
    stats: { limit: 1, failed: 0 },
  },
  {
    name: "a login that is refused is reported to all that wait, and not tried for each",
    servers: [server({ EHLO: ehlo("AUTH PLAIN"), AUTH: "535 no" })],
    options: { maxConnections: 2, auth: { user: "u", password: "p" }, starttls: "never" },
    call: atOnce(10),
    gives: Array(10).fill("SMTPAuthenticationError 535 not-sent"),
    connections: 1,
    taken: 0,
    check: ({ conversations }) => {
      for (const { lines } of conversations) expect(lines.filter((line) => line.startsWith("AUTH"))).toHaveLength(1);
    },
  },
  {
    name: "no login and no mail in clear where STARTTLS is required",
    servers: [friendly],
    options: { auth: { user: "u", password: "p" } },
    call: atOnce(1),
    gives: ["SMTPNotSupportedError not-sent"],
    connections: 1,
    taken: 0,
    check: ({ first }) => expect(first.lines.map((line) => line.slice(0, 4))).toEqual(["EHLO", "QUIT"]),
  },
  {
    name: "after maxMessages: QUIT, and a new connection",
    servers: [friendly],
    options: { ...ONE, maxMessages: 3 },
    call: atOnce(7),
    gives: Array(7).fill("ok"),
    connections: 3,
    taken: 7,
    check: ({ conversations }) => {
      expect(conversations.map(({ taken }) => taken)).toEqual([3, 3, 1]);
      for (const { lines } of conversations) expect(lines.at(-1)).toBe("QUIT");
    },
  },
  ...MODES.map(
    ([mode]): Row => ({
      name: `${mode}: MAILMAX of the server's LIMITS is kept, what is unknown or malformed is ignored`,
      servers: [
        server({
          EHLO: ehlo(...(mode === "pipelined" ? ["PIPELINING"] : []), "LIMITS MAILMAX=2 X=1 RCPTMAX=0 RCPTMAX"),
        }),
      ],
      options: ONE,
      call: atOnce(5),
      gives: Array(5).fill("ok"),
      connections: 3,
      taken: 5,
      check: ({ conversations }) => expect(conversations.map(({ taken }) => taken)).toEqual([2, 2, 1]),
    }),
  ),
  {
    name: "close(): what was begun and what waits is sent, then QUIT; no more is taken; the same promise again",
    servers: [friendly],
    options: ONE,
    call: async (pool) => {
      const before = atOnce(5)(pool);
      const closing = pool.close();
      const after = outcome(send(pool));
      const same = pool.close() === closing;
      await closing;
      return [await before, await after, same];
    },
    gives: [Array(5).fill("ok"), "SMTPServerDisconnected not-sent", true],
    connections: 1,
    taken: 5,
    check: ({ first }) => expect(first.lines.at(-1)).toBe("QUIT"),
  },
  {
    name: "a connection that hangs does not hold the others up, and its message has its deadline",
    servers: [server({ EHLO: LOCK_STEP, DATA: stall }), friendly],
    options: { maxConnections: 2, timeouts: { dataInit: 0.5 } },
    call: async (pool) => {
      const outcomes = await atOnce(9)(pool);
      return [outcomes.filter((one) => one === "ok").length, outcomes.filter((one) => one !== "ok")];
    },
    gives: [8, ["SMTPTimeoutError not-sent"]],
    connections: 2,
    taken: 8,
  },
  {
    name: "an aborted message leaves the queue and is never sent",
    servers: [friendly],
    options: ONE,
    call: async (pool) => {
      const controller = new AbortController();
      const sends = [send(pool, "one"), send(pool, "two", controller.signal), send(pool, "three")].map(outcome);
      controller.abort(new RangeError("enough"));
      return Promise.all(sends);
    },
    gives: ["ok", "RangeError", "ok"],
    connections: 1,
    taken: 2,
    check: ({ first }) => expect(first.lines.join()).not.toContain("two@"),
  },
  ...(["close", "stall"] as const).map(
    (what): Row => ({
      name: `a server that offers PIPELINING and cannot do it (${what}): its connections go in lock-step from then on`,
      servers: [
        server({ EHLO: ehlo("PIPELINING"), MAIL: what === "close" ? close : stall }),
        server({ EHLO: ehlo("PIPELINING") }),
      ],
      options: { timeouts: { envelope: 0.3 } },
      gives: [what === "close" ? "ok" : "SMTPTimeoutError not-sent", "ok", "ok"],
      connections: 2,
      taken: what === "close" ? 3 : 2,
      check: ({ conversations }) => expect(conversations[1]?.pipelined).toEqual([]),
    }),
  ),
]);

async function* chunks(...texts: string[]): AsyncGenerator<string> {
  yield* texts;
}
