/** Any server with any caller: whatever both do, every call settles, and its report on its message is true. */
import assert from "node:assert/strict"; // Vitest's expect() is too slow for the comparisons in so many cases.
import fc from "fast-check";
import { describe, it } from "vitest";
import { LMTP, SMTP, SMTPException, type SMTPOptions } from "../../src/index.ts";
import { type MemoryOptions, memoryTransport } from "../../transports/memory.ts";
import { permit, violations } from "../judge/under-test.ts";
import { withPlainStacks } from "../support/callers.ts";
import { type Behaviour, type Entry, FuzzServer, GOOD, type Plan, REFUSED, turn } from "./fuzz-server.ts";
import { settled, watchForLeaks } from "./scenario.ts";

const RUNS = Number(process.env["SMTPLIB_FUZZ_RUNS"] ?? 300);
const SEED = Number(process.env["SMTPLIB_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const REPLIES: readonly string[] = [
  "200 ok",
  "250 ok",
  "251 forwarded",
  "299 what",
  "334 dGVzdA==",
  "354 go",
  "399 what",
  "421 bye",
  "450 later",
  "452 full",
  "500 what",
  "503 bad sequence",
  "535 no",
  "550 5.1.1 no",
  "552 too big",
  "599 no",
].map((reply) => `${reply}\r\n`);

const NONSENSE: readonly string[] = [
  "\r\n",
  "\n",
  "OK\r\n",
  "25",
  "250 ok",
  "250-a\r\n",
  "250-a\r\n550 b\r\n",
  "250-a\r\n250 b\r\n",
  "250\r\n",
  "250 ok\n",
  "000 x\r\n",
  "999 x\r\n",
  "\0\r\n",
  "\x15\x03\x01\r\n",
  `250 ${"x".repeat(9000)}\r\n`,
  "250-x\r\n".repeat(1100),
];

const wait = fc.nat(3);
const takes = fc.boolean();

const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ wait }).map(({ wait }): Behaviour => ({ ...GOOD, wait })) },
  {
    weight: 8,
    arbitrary: fc.record({
      say: fc.constantFrom(...REPLIES),
      extra: fc.constant(""),
      after: fc.constantFrom("go on", "go on", "go on", "close", "reset"),
      wait,
      takes,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      say: fc.constantFrom("good" as const, null, ...NONSENSE),
      extra: fc.constantFrom("", "", ...REPLIES, ...NONSENSE),
      after: fc.constantFrom("go on", "close", "halfClose"),
      wait,
      takes,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      say: fc.constantFrom("good" as const, null),
      extra: fc.constant(""),
      after: fc.constantFrom("close", "reset", "halfClose", "stall", "freeze"),
      wait,
      takes,
    }),
  },
);

type Source = "string" | "octets" | "chunks" | "failing" | "failing late" | "hanging" | "8 bit" | "large" | "huge";

type Operation =
  | {
      readonly does: "sendmail" | "deliver";
      readonly recipients: number;
      readonly source: Source;
      readonly abortAfter: number | undefined;
    }
  | { readonly does: "noop" | "rset" | "vrfy" | "ehlo" | "login" | "quit" | "connect" | "leave open" | "raw" }
  | { readonly does: "close" | "wait" };

/** A call of the caller, and whether the caller waits for it. */
type Step = { readonly operation: Operation; readonly waits: boolean };

const message: fc.Arbitrary<Operation> = fc.record({
  does: fc.constantFrom("sendmail", "deliver"),
  recipients: fc.integer({ min: 1, max: 4 }),
  source: fc.oneof(
    {
      weight: 40,
      arbitrary: fc.constantFrom<Source[]>(
        "string",
        "string",
        "octets",
        "chunks",
        "failing",
        "failing late",
        "hanging",
        "8 bit",
        "large",
      ),
    },
    { weight: 1, arbitrary: fc.constant<Source>("huge") },
  ),
  abortAfter: fc.option(fc.nat(30), { nil: undefined, freq: 6 }),
});

const step: fc.Arbitrary<Step> = fc.record({
  operation: fc.oneof(
    { weight: 10, arbitrary: message },
    {
      weight: 4,
      arbitrary: fc.record({
        does: fc.constantFrom("noop", "rset", "vrfy", "ehlo", "login", "connect", "leave open", "raw", "wait"),
      }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constantFrom("quit", "close") }) },
  ),
  waits: fc.boolean(),
});

type Case = {
  readonly plan: Plan;
  readonly steps: readonly Step[];
  readonly sizes: readonly number[];
  readonly highWaterMark: number;
  readonly clientPipelines: NonNullable<SMTPOptions["pipelining"]>;
  readonly clientChunks: SMTPOptions["chunking"];
};

const cases: fc.Arbitrary<Case> = fc.record({
  plan: fc.record({
    lmtp: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
    pipelining: fc.boolean(),
    chunking: fc.boolean(),
    behaviours: fc.array(behaviour, { maxLength: 40, size: "max" }),
  }),
  steps: fc.array(step, { minLength: 1, maxLength: 8 }),
  sizes: fc.array(fc.constantFrom(1, 2, 3, 7, 64, 65_536), { minLength: 1, maxLength: 8 }),
  highWaterMark: fc.constantFrom(1, 512, 65_536),
  clientPipelines: fc.constantFrom(true, true, "eager" as const, "eager" as const, false),
  clientChunks: fc.constantFrom(undefined, true, true, false),
});

/** A message of a case, and its outcome. */
type Sent = {
  readonly id: number;
  readonly from: string;
  readonly to: readonly string[];
  readonly source: Source;
  outcome: { value: unknown } | { error: unknown } | undefined;
};

class SourceFailed extends Error {}
class Aborted extends Error {}

const HUGE = `${`.${"x".repeat(997)}\r\n`.repeat(400)}`;

function textOf(id: number, source: Source): string {
  // More bytes than one chunk of BDAT has.
  if (source === "huge") return `Id: ${id}\r\n\r\n${HUGE}`;
  const lines = source === "large" ? 300 : 3;
  return `Id: ${id}\r\n\r\n${Array.from({ length: lines }, (_, i) => `.line ${i}${source === "8 bit" ? " \u00fc" : ""}\r\n`).join("")}`;
}

function bodyOf(id: number, source: Source): string | Uint8Array | AsyncIterable<string> {
  const text = textOf(id, source);
  switch (source) {
    case "octets":
      return new TextEncoder().encode(text);
    case "chunks":
    case "failing":
    case "failing late":
    case "hanging":
      return chunks(text, source);
    default:
      return text;
  }
}

async function* chunks(text: string, source: Source): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += 5) {
    yield text.slice(at, at + 5);
    if (source === "failing") throw new SourceFailed("the source failed");
    if (source === "hanging") await new Promise(() => {});
    if (at % 3 === 0) await turn();
  }
  if (source === "failing late") throw new SourceFailed("the source failed");
}

function wireOf({ id, source }: Sent, by: "DATA" | "BDAT"): string {
  const text = textOf(id, source);
  const wire = by === "DATA" ? `${text.replace(/^\./gm, "..")}.\r\n` : text;
  return Buffer.from(wire, "utf8").toString("latin1");
}

/** Short enough for a quick run, long enough to expire only if the server is silent. */
const TIMEOUT = 0.06;

/** Plays a case; throws if an invariant is broken. */
async function run({ plan, steps, sizes, highWaterMark, clientPipelines, clientChunks }: Case): Promise<void> {
  const server = new FuzzServer(plan);
  let turns = 0;
  const large = steps.some(({ operation }) => "source" in operation && operation.source === "huge");
  const chunkSize: MemoryOptions["chunkSize"] = () => (large ? 65_536 : (sizes[turns++ % sizes.length] ?? 1));
  const transport = memoryTransport((stream) => server.accept(stream), { chunkSize, highWaterMark });
  const Client = plan.lmtp ? LMTP : SMTP;
  const timeouts = { quit: TIMEOUT, total: 6 * TIMEOUT };
  const how = { pipelining: clientPipelines, chunking: clientChunks };
  const smtp = new Client("fuzz.test", 25, { transport, timeout: TIMEOUT, timeouts, ...how });

  const messages: Sent[] = [];
  const pending: Promise<unknown>[] = [];
  for (const { operation, waits } of steps) {
    const call = settled(() => perform(smtp, operation, messages), 3);
    pending.push(call);
    if (waits) await call;
  }
  await Promise.all(pending);
  smtp.close();
  await settled(() => server.finished(), 3);

  assert.deepEqual(server.violations, []);
  // The caller of these sessions logs in twice, which RFC 4954 4 forbids, and continues whatever `connect()` returned.
  permit(/no AUTH after a successful one|nothing but QUIT after a greeting/);
  assert.deepEqual(violations(), [], "violations of the RFCs");
  assert.equal(smtp.connected, false);
  for (const sent of messages) judge(sent, server);
}

async function perform(smtp: SMTP, operation: Operation, messages: Sent[]): Promise<unknown> {
  switch (operation.does) {
    case "sendmail":
    case "deliver":
      return send(smtp, operation, messages);
    case "connect":
      return smtp.connect("fuzz.test", 25);
    case "login":
      return smtp.login("user", "password");
    case "vrfy":
      return smtp.vrfy("someone");
    case "raw":
      // At once, so that no other call comes between them.
      return Promise.all([smtp.putcmd("XRAW"), smtp.getreply()]);
    case "leave open":
      await smtp.mail("open@client.test");
      return smtp.rcpt("open@lab.test");
    case "close":
      return smtp.close();
    case "wait":
      for (let i = 0; i < 20; i++) await turn();
      return;
    default:
      return smtp[operation.does]();
  }
}

type MessageOperation = Extract<Operation, { source: Source }>;

async function send(smtp: SMTP, operation: MessageOperation, messages: Sent[]): Promise<unknown> {
  const { does, recipients, source, abortAfter } = operation;
  const id = messages.length;
  const to = Array.from({ length: recipients }, (_, i) => `to${i}-${id}@lab.test`);
  const sent: Sent = { id, from: `from-${id}@client.test`, to, source, outcome: undefined };
  messages.push(sent);
  const controller = new AbortController();
  if (abortAfter !== undefined) void abortLater(controller, abortAfter);
  const { signal } = controller;
  const body = bodyOf(id, source);
  try {
    const value =
      does === "sendmail"
        ? await smtp.sendmail(sent.from, to, body, [], [], { signal })
        : await smtp.deliver({ from: sent.from, to, body, signal });
    sent.outcome = { value };
  } catch (error) {
    sent.outcome = { error };
  }
  return undefined;
}

async function abortLater(controller: AbortController, turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await turn();
  controller.abort(new Aborted("the caller wants no more"));
}

/**
 * Compares a call's outcome with the server's ledger. A message is sent in portions to a server without room for all
 * recipients (452).
 */
function judge(sent: Sent, server: FuzzServer): void {
  const entries = server.ledger.filter(({ id }) => id === sent.id);
  for (const entry of entries) judgeEntry(sent, entry);
  const got = entries.filter(({ taken }) => taken).flatMap(({ accepted }) => accepted);
  if (entries.every(isCertain)) assert.equal(new Set(got).size, got.length, "nobody gets a message twice");
  if (sent.outcome === undefined) throw new Error("the call did not settle");
  if ("value" in sent.outcome) return judgeSuccess(sent.outcome.value, entries, server);
  assert.ok(entries.length <= 1, "who has a message hears of it");
  const [entry] = entries;
  const { error } = sent.outcome;
  if (!(error instanceof SMTPException)) {
    assert.ok(error instanceof Aborted, String(error));
    return;
  }
  assert.equal(typeof error.temporary, "boolean");
  if (error.name !== "SMTPConnectError") assert.notEqual(error.delivery, undefined, String(error));
  if (error.delivery === "not-sent") assert.equal(entry, undefined, `received, but: ${error}`);
  if (error.delivery === "rejected" && entry?.inStep) assert.equal(entry.taken, false, `taken, but: ${error}`);
}

const isCertain = ({ inStep, resetRefused }: Entry): boolean => inStep && !resetRefused;

function judgeEntry(sent: Sent, entry: Entry): void {
  // Compared without a diff: half a megabyte would hide the relevant part.
  assert.ok(entry.body === wireOf(sent, entry.by), "the message arrives as it was given");
  assert.ok(!["failing", "failing late", "hanging"].includes(sent.source), sent.source);
  if (!entry.resetRefused) {
    for (const address of entry.accepted) assert.ok(sent.to.includes(address), `nobody else gets it: ${address}`);
    for (const address of entry.named) assert.ok(sent.to.includes(address), `nobody else is named: ${address}`);
  }
  if (isCertain(entry)) assert.ok(entry.from === sent.from || entry.from === REFUSED, entry.from);
}

function judgeSuccess(value: unknown, entries: readonly Entry[], server: FuzzServer): void {
  const [first, ...others] = entries;
  if (!server.answeredAhead) assert.notEqual(first, undefined, "a success was received whole");
  if (first?.inStep) assert.equal(first.taken, true, "a success was taken");
  const refused = typeof value === "object" && value !== null && "refused" in value ? value.refused : value;
  for (const { accepted, taken, inStep } of others) {
    for (const address of inStep && !taken ? accepted : []) {
      assert.ok(Object.hasOwn(refused ?? {}, address), `who was refused with the rest is named: ${address}`);
    }
  }
}

describe("[fuzz]", () => {
  watchForLeaks();

  it(`holds for ${RUNS} sessions (seed ${SEED})`, { timeout: 30_000 + RUNS * 100 }, async () => {
    const endOnFailure = process.env["SMTPLIB_FUZZ_SHRINK"] === "0";
    await withPlainStacks(() => fc.assert(fc.asyncProperty(cases, run), { numRuns: RUNS, seed: SEED, endOnFailure }));
  });
});
