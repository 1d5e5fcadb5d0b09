/** Plays one path from the start, and ends it. */

import { checkEnd, checkNothingLeft, checkStep, type Finding } from "./checks.ts";
import { type Clock, drain } from "./clock.ts";
import type { Configuration } from "./configurations.ts";
import type { Defect } from "./planted.ts";
import { World } from "./world.ts";

/** The result of a path. */
export type Played = {
  /** The state after its last event. */
  readonly state: string;
  /** All events that can follow. */
  readonly choices: readonly string[];
  /** The client's actions from there on, when the server fell silent and the caller closed the session. */
  readonly ending: string;
  readonly findings: readonly Finding[];
};

/** Unhandled rejections since the last path. */
const unhandled: unknown[] = [];

/** Records unhandled rejections; returns a function that ends that. */
export function watchRejections(): () => void {
  const remember = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", remember);
  return () => process.off("unhandledRejection", remember);
}

/** Plays the events, then the ending: a server that sends nothing more, and `close()`. */
export async function playPath(
  configuration: Configuration,
  clock: Clock,
  events: readonly string[],
  defect?: Defect,
): Promise<Played> {
  const world = new World(configuration, clock, defect);
  const findings: Finding[] = [];
  await world.settle();
  for (const [at, event] of events.entries()) {
    world.apply(event);
    if (event === "time") await world.letTimePass();
    else if (event === "dawdle") await world.dawdle();
    else if (!event.endsWith("+")) await world.settle();
    // The earlier steps were checked as separate paths.
    if (at === events.length - 1 && !event.endsWith("+")) findings.push(...checkStep(world, event));
  }
  const state = String(world);
  const choices = world.choices();
  const before = world.notes.length;
  await end(world, findings);
  const ending = [...world.notes.slice(before), ...findings.map(({ rule }) => rule)].join("\n");
  return { state, choices, ending, findings };
}

async function end(world: World, findings: Finding[]): Promise<void> {
  await world.settle();
  const { messages, connections } = world;
  const allOver = connections.every(({ tap }) => tap.over !== undefined) && !world.isConnecting;
  const allSettled = !messages.some(({ isPending }) => isPending) && !world.isPending(world.quit);
  if (connections.length > 0 && allOver && allSettled && !world.configuration.readsLate) {
    findings.push(...checkNothingLeft(world));
  }
  await silence(world);
  checkSettled(world, findings);
  world.apply("close");
  await world.settle();
  findings.push(...checkStep(world, "close"));
  await readAll(world);
  findings.push(...checkNothingLeft(world), ...checkEnd(world));
  for (const reason of unhandled.splice(0))
    findings.push({ rule: "no rejection is unhandled", detail: String(reason) });
}

/** The server sends nothing more. */
async function silence(world: World): Promise<void> {
  for (let fired = 0; world.clock.runs && fired < 100; fired++) {
    world.clock.advance();
    await world.settle();
  }
}

/** No call waits for ever because a server is silent; only the source of its body can delay it. */
function checkSettled(world: World, findings: Finding[]): void {
  const { messages, quit } = world;
  if (messages.some(({ source, isPending }) => isPending && source?.isAwaited === true)) return;
  const pending = messages.filter(({ isPending }) => isPending).map(({ id }) => `message ${id}`);
  if (world.isPending(quit)) pending.push("quit");
  if (pending.length > 0) findings.push({ rule: "no call waits for ever", detail: pending.join() });
}

/** Lets a server that reads late read everything, so that the client's end of the connection can end. */
async function readAll({ configuration, connections }: World): Promise<void> {
  for (let reads = 0; configuration.readsLate && reads < 20; reads++) {
    for (const { server } of connections) server.letRead();
    await drain();
  }
}
