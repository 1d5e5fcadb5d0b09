/** Collects garbage at once, for tests of released objects. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects unreferenced objects; undefined if the runtime offers no way to do that. */
export const collectGarbage: (() => void) | undefined = find();

function find(): (() => void) | undefined {
  const bun: unknown = Reflect.get(globalThis, "Bun");
  const own: unknown = bun === undefined ? undefined : Reflect.get(Object(bun), "gc");
  if (typeof own === "function") return () => own(true);
  try {
    setFlagsFromString("--expose-gc");
    const gc: unknown = runInNewContext("gc");
    return typeof gc === "function" ? () => gc() : undefined;
  } catch {
    return undefined;
  }
}
