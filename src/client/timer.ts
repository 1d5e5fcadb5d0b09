/** Timers that keep the process alive or let it exit. */

/** The result of `setTimeout` on the running runtime. */
export type Timer = ReturnType<typeof setTimeout>;

/**
 * Makes a timer keep the process alive, the default, or not. Node, Bun and Deno have methods on the timer; a runtime
 * whose timers are numbers has functions for it (Deno before 2.8), or never waits for a timer (browsers).
 */
export function holdProcess(timer: Timer | undefined, hold: boolean): void {
  if (timer === undefined) return;
  const [method, ownFunction] = hold ? (["ref", "refTimer"] as const) : (["unref", "unrefTimer"] as const);
  const given: unknown = timer;
  if (typeof given === "object" && given !== null) call(given, method);
  else call(Reflect.get(globalThis, "Deno"), ownFunction, given);
}

function call(owner: unknown, name: string, ...args: unknown[]): void {
  if (typeof owner !== "object" || owner === null) return;
  const method: unknown = Reflect.get(owner, name);
  if (typeof method === "function") Reflect.apply(method, owner, args);
}
