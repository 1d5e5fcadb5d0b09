/**
 * The judge inside the packed package: bundled, put into `dist/`, and loaded by wrappers of the package's transports.
 * It observes the client at the package's public interfaces: streams and diagnostics channels.
 */
import type { Transport } from "../../src/byte-stream.ts";
import {
  judgeEnvelope,
  observe,
  reportOfDelivery,
  reportOfError,
  takeViolations,
  watchTransport,
  whatWasSeen,
} from "./watch.ts";

/** The report of a program's judge: a line of JSON for each event. */
const file = globalThis.process?.env?.["SMTPLIB_JUDGE_REPORT"];
const fs = file === undefined ? undefined : builtin<typeof import("node:fs")>("fs");
let last = "";

observe(() => {
  const line = JSON.stringify({ seen: whatWasSeen(), violations: takeViolations() });
  if (line === last) return;
  last = line;
  if (fs !== undefined && file !== undefined) fs.appendFileSync(file, `${line}\n`);
  else lines.push(line);
});

/** The same lines, for runtimes without a file system. */
export const lines: string[] = [];

/** A transport of the package, watched by the judge. */
export function judged(transport: Transport): Transport {
  return watchTransport(transport);
}

const diagnostics = builtin<typeof import("node:diagnostics_channel")>("diagnostics_channel");
/** Kept in a variable: Bun up to 1.4 forgets the subscribers of a channel that is not referenced. */
export const channels: readonly unknown[] = [
  channel("smtplib:delivery:end", (message) => report(message, reportOfDelivery)),
  channel("smtplib:delivery:error", (message) => report(message, reportOfError)),
];

function channel(name: string, listener: (message: unknown) => void): unknown {
  const found = diagnostics?.channel(name);
  found?.subscribe(listener);
  return found;
}

function report(message: unknown, reading: (outcome: object) => ReturnType<typeof reportOfError>): void {
  const { delivery, result, error } = Object(message);
  const { from, to } = Object(delivery);
  const outcome: unknown = result ?? error;
  if (typeof from !== "string" || !Array.isArray(to) || typeof outcome !== "object" || outcome === null) return;
  judgeEnvelope(from, to.map(String), reading(outcome));
}

function builtin<Module>(name: string): Module | undefined {
  const load: unknown = Reflect.get(globalThis.process ?? {}, "getBuiltinModule");
  return typeof load === "function" ? Reflect.apply(load, globalThis.process, [name]) : undefined;
}
