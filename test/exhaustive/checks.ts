/** The invariants of each path. */
import { SMTPException, SMTPTimeoutError } from "../../src/index.ts";
import { judgeOutcome } from "../judge/outcomes.ts";
import { checkClaim } from "./claims.ts";
import type { MessageCall } from "./message-call.ts";
import { TIMEOUTS, type World } from "./world.ts";

/** A broken invariant: the rule, and the details. */
export type Finding = { readonly rule: string; readonly detail: string };

/** Checks the invariants after each event, once everything has run that can run. */
export function checkStep(world: World, event: string): Finding[] {
  const { connection, messages, closed, smtp, again, quit } = world;
  const findings: Finding[] = [];
  const fail = (rule: string, detail: unknown = ""): void => void findings.push({ rule, detail: String(detail) });
  const isLive = connection !== undefined && connection.tap.over === undefined;
  const pending = messages.filter(({ isPending }) => isPending);
  if (smtp.connected !== isLive) fail("connected tells whether there is a session", smtp.connected);
  if (connection && isLive && connection.server.state !== "open") fail("a connection that was lost is dropped at once");
  const over = connection !== undefined && !isLive && !world.isConnecting && !world.isPending(again);
  // QUIT waits behind an earlier write, which is sent first.
  const closing = world.configuration.readsLate && connection?.tap.over === "closed" && world.isPending(quit);
  if (((over && !closing) || (closed && !again.called)) && pending.length > 0) {
    fail("no call outlives the connection", pending);
  }
  if (over && !closing && world.isPending(quit)) fail("quit() does not outlive the connection");
  const [what, id] = event.split(" ");
  const aborted = messages[Number(id) - 1];
  if (what === "abort" && aborted?.isPending) fail("an abort rejects at once", aborted);
  if (event === "time") findings.push(...checkTimeouts(world));
  for (const message of messages) findings.push(...checkInnocence(world, message));
  return findings;
}

/** The timeout phase of the reply to each command. */
const PHASES: Readonly<Record<string, keyof typeof TIMEOUTS>> = {
  greeting: "greeting",
  MAIL: "envelope",
  RCPT: "envelope",
  DATA: "dataInit",
  BDAT: "dataBlock",
  LAST: "dataDone",
  ".": "dataDone",
  QUIT: "quit",
};

/** Seconds for which a client waits for a reply that the server may still send. */
const GRACE = 1;

/** A timeout error names its phase, and occurs when the time of that phase is over. */
function checkTimeouts({ messages, silence, deviations, isConnecting, connection, configuration }: World): Finding[] {
  // A server that reads late delays the client's own writes.
  if (configuration.readsLate) return [];
  const verb = deviations.at(-1)?.verb;
  const phase = connection === undefined ? "connect" : (PHASES[verb ?? ""] ?? "command");
  const findings: Finding[] = [];
  for (const { outcome } of messages) {
    if (outcome?.delivered !== false || !(outcome.error instanceof SMTPTimeoutError)) continue;
    if (outcome.error.phase !== phase)
      findings.push({ rule: "a timeout names its phase", detail: `${verb}: ${outcome.error}` });
  }
  // A server that does not know BDAT sends one reply, although LMTP requires several.
  const grace =
    configuration.protocol === "lmtp" && deviations.some(({ event }) => event === "500") ? GRACE : undefined;
  const ended = !isConnecting && connection?.tap.over !== undefined;
  if (ended && verb !== undefined && silence !== grace && Math.abs(silence - TIMEOUTS[phase]) > 0.001) {
    findings.push({ rule: "a timeout comes when its time is over", detail: `${verb}: ${silence} s` });
  }
  return findings;
}

/** When the connection is over and every call is settled, nothing may be left. */
export function checkNothingLeft(world: World): Finding[] {
  const { clock, connections, messages } = world;
  const findings: Finding[] = [];
  const fail = (rule: string, detail: unknown = ""): void => void findings.push({ rule, detail: String(detail) });
  if (clock.runs) fail("no timer is left", clock.pending);
  for (const { tap, server } of connections) {
    if (tap.over === undefined) fail("the stream is closed");
    if (tap.reads > 0) fail("no read is left");
    if (server.gone === undefined && server.state !== "reset") fail("the server sees the end of the connection");
  }
  for (const { listeners, source, id } of messages) {
    if (listeners > 0) fail("no listener is left on a signal", listeners);
    if (source === undefined) continue;
    for (const fault of source.faults) fail("a source is read as an iterator is", fault);
    const isOver = source.ended !== undefined;
    if (source.opened && !isOver && source.returned !== 1) fail("a source is given back once", `${id}: ${source}`);
  }
  return findings;
}

/** Checks the invariants at the end of a path. */
export function checkEnd(world: World): Finding[] {
  const findings: Finding[] = [];
  for (const { tap } of world.connections) {
    findings.push(...tap.judge.violations.map(({ rule, detail }) => ({ rule: `judge: ${rule}`, detail })));
  }
  for (const message of world.messages) {
    if (!message.called) continue;
    if (message.isPending) {
      findings.push({ rule: "every call settles", detail: `message ${message.id}` });
      continue;
    }
    findings.push(...judged(world, message), ...checkClaim(world, message));
  }
  for (const [name, call] of Object.entries({ quit: world.quit, "connect again": world.again })) {
    if (world.isPending(call)) findings.push({ rule: "every call settles", detail: name });
  }
  return findings;
}

/** The judge's verdict on the report of a message. */
function judged(world: World, message: MessageCall): Finding[] {
  const { outcome, from, to } = message;
  const transactions = world.connections
    .flatMap(({ tap }) => tap.judge.transactions)
    .filter(({ sender }) => sender === from);
  const { protocol } = world.configuration;
  if (outcome === undefined) return [];
  if (outcome.delivered) {
    const accepted = to.length - Object.keys(outcome.refused).length;
    return named(judgeOutcome({ kind: "delivered", accepted }, transactions, protocol));
  }
  const { error } = outcome;
  if (!(error instanceof SMTPException)) return [];
  return named(judgeOutcome({ kind: "failed", delivery: error.delivery }, transactions, protocol));
}

function named(violations: readonly Finding[]): Finding[] {
  return violations.map(({ rule, detail }) => ({ rule: `judge: ${rule}`, detail }));
}

/** A message fails only because of an event that concerns it, or its connection. */
function checkInnocence({ deviations, calls, quit }: World, message: MessageCall): Finding[] {
  const { id, outcome } = message;
  const afterQuit = quit.called && calls.indexOf(quit) < calls.indexOf(message);
  if (outcome?.delivered !== false || afterQuit) return [];
  const reason = deviations.find((one) => !one.isHarmless || one.message === id);
  return reason ? [] : [{ rule: "what happens to one message does not harm the other", detail: String(message) }];
}
