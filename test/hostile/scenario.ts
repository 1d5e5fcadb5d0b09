/** A row of the hostile tests: the server's behaviour, the call, and the required results. */
import { describe, expect, it } from "vitest";
import { LMTP, SMTP, SMTP_SSL, SMTPException, type SMTPOptions } from "../../src/index.ts";
import { permit } from "../judge/under-test.ts";
import { watchForLeaks } from "../support/leaks.ts";
import {
  type Act,
  type Conversation,
  type ScriptedServer,
  scriptedTransport,
  startScriptedServer,
} from "../support/scripted-server.ts";

export { watchForLeaks } from "../support/leaks.ts";

/** The expected error of a call; fields that are left out are not compared. */
export type Thrown = {
  readonly type: new (...args: never[]) => unknown;
  readonly smtp_code?: number;
  readonly delivery?: "not-sent" | "rejected" | "unknown" | undefined;
  readonly temporary?: boolean;
  readonly phase?: string;
  readonly message?: RegExp;
  readonly cause?: RegExp | (new (...args: never[]) => unknown);
  /** Further fields, compared deeply. */
  readonly fields?: object;
};

/** A row of a table. */
export type Scenario = {
  readonly name: string;
  /** The server's behaviour on each connection. */
  readonly server: Act | (() => Act | Promise<Act>);
  readonly options?: SMTPOptions | (() => SMTPOptions | Promise<SMTPOptions>);
  readonly client?: "SMTP" | "SMTP_SSL" | "LMTP";
  /** The call. Default: `sendmail` of a small message to one recipient. */
  readonly call?: (smtp: SMTP, server: ScriptedServer) => unknown;
  readonly throws?: Thrown;
  /** The result of the call; nothing is compared without this and `throws`. */
  readonly gives?: unknown;
  /** Whether the session is still usable afterwards; undefined if that depends on timing. */
  readonly connected: boolean | undefined;
  /** The lines of the first connection: exactly these, with a matcher for each. */
  readonly lines?: readonly (string | RegExp)[];
  /** The messages that the server received, as on the wire. */
  readonly bodies?: readonly string[];
  /** The number of messages that the server accepted. */
  readonly taken?: number;
  /** Seconds within which the call must settle. Default: 1.5. */
  readonly within?: number;
  /** Further checks after the call. */
  readonly check?: (smtp: SMTP, conversation: Conversation, outcome: Outcome) => unknown;
  /** The rules of the judge that this caller or server violates on purpose. */
  readonly permits?: RegExp;
  /** The number of connections. Default: 1. */
  readonly connections?: number;
};

/** The outcome of a call. */
export type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** A small message, and the same on the wire. */
export const MESSAGE = "Subject: x\r\n\r\nhello\r\n";
export const MESSAGE_ON_WIRE = `${MESSAGE}.\r\n`;

/** The envelope's usual commands, for a server without SIZE. */
export const ENVELOPE: readonly string[] = ["MAIL FROM:<a@client.test>", "RCPT TO:<b@lab.test>", "DATA"];

/** The first line of every session. */
export const HELLO: RegExp = /^EHLO \[127\.0\.0\.1\]$/;

/** The usual call. */
export const sendOne = (smtp: SMTP): Promise<unknown> => smtp.sendmail("a@client.test", ["b@lab.test"], MESSAGE);

/** Where a scenario is played: over sockets, or in memory with a few bytes for each read. */
export type Medium = "loopback" | "memory";

/** Declares a group of scenarios. */
export function scenarios(group: string, table: readonly Scenario[], media: readonly Medium[] = ["loopback"]): void {
  for (const medium of media) {
    describe(medium === "loopback" ? `[${group}]` : `[${group}, in memory]`, () => {
      watchForLeaks();
      it.each(table.map((row): [string, Scenario] => [row.name, row]))("%s", async (_, row) => {
        const dialogue = typeof row.server === "function" ? await row.server() : row.server;
        const server =
          medium === "loopback"
            ? await startScriptedServer(dialogue)
            : scriptedTransport([dialogue], { chunkSize: () => 1 + Math.floor(Math.random() * 3) });
        try {
          await play(row, server);
        } finally {
          await server.finish();
        }
      });
    });
  }
}

async function play(row: Scenario, server: ScriptedServer): Promise<void> {
  if (row.permits !== undefined) permit(row.permits);
  const options = typeof row.options === "function" ? await row.options() : row.options;
  const smtp = new CLIENTS[row.client ?? "SMTP"](server.host, server.port, {
    timeout: 5,
    transport: server.transport,
    ...options,
  });
  try {
    const { call = sendOne } = row;
    const outcome = await settled(async () => call(smtp, server), row.within);
    judge(row, outcome);
    await judgeSession(row, smtp, server, outcome);
  } finally {
    smtp.close();
  }
}

const CLIENTS = { SMTP, SMTP_SSL, LMTP };

function judge(row: Scenario, outcome: Outcome): void {
  if (row.throws !== undefined) {
    expect(outcome, "the call was expected to throw").toHaveProperty("error");
    if ("error" in outcome) expectThrown(outcome.error, row.throws);
    return;
  }
  if ("error" in outcome) throw outcome.error;
  if ("gives" in row) expect(outcome.value).toEqual(row.gives);
}

/** Compares an error with the expected one. */
export function expectThrown(error: unknown, expected: Thrown): void {
  expect(error).toBeInstanceOf(expected.type);
  // An instance of the class itself, not of a subclass with another meaning.
  if (error instanceof SMTPException) expect(error.name).toBe(expected.type.name);
  const { type: _, message, cause, fields, ...same } = expected;
  expect(error).toMatchObject({ ...same, ...fields });
  if (!(error instanceof Error)) return;
  if (message !== undefined) expect(error.message).toMatch(message);
  if (cause instanceof RegExp) expect(String(error.cause)).toMatch(cause);
  else if (cause !== undefined) expect(error.cause).toBeInstanceOf(cause);
}

async function judgeSession(row: Scenario, smtp: SMTP, server: ScriptedServer, outcome: Outcome): Promise<void> {
  if (row.connected !== undefined) expect(smtp.connected, "connected").toBe(row.connected);
  expect(server.conversations.length, "connections").toBe(row.connections ?? 1);
  const conversation = server.conversations[0];
  if (conversation === undefined) return;
  smtp.close();
  await server.finish();
  // Nothing may follow a command that ends a group (RFC 2920 3.1, RFC 3207 4, RFC 4954 4).
  expect(conversation.pipelined.filter((verb) => !/^(MAIL|RCPT|RSET|BDAT|X.*)$/.test(verb))).toEqual([]);
  if (row.lines !== undefined) expectLines(conversation.lines, row.lines);
  if (row.bodies !== undefined) expect(conversation.bodies).toEqual(row.bodies);
  if (row.taken !== undefined) expect(conversation.taken).toBe(row.taken);
  await row.check?.(smtp, conversation, outcome);
}

/** Compares lines one by one with texts and patterns. */
export function expectLines(lines: readonly string[], expected: readonly (string | RegExp)[]): void {
  const wanted = expected.map((line, index) =>
    line instanceof RegExp && line.test(lines[index] ?? "") ? lines[index] : line,
  );
  expect(lines).toEqual(wanted);
}

/** Waits for a call, but not longer than it may take on a busy machine. */
export async function settled(call: () => Promise<unknown>, seconds = 5): Promise<Outcome> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the call did not settle within ${seconds} s`)), seconds * 1000);
  });
  const outcome = call().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
