/** Finds Node's modules where the runtime has them (Node, Deno and Bun). No other file accesses them. */

/** The module, or undefined if the runtime has none of this name. */
export function builtinModule<Module>(id: string): Module | undefined {
  try {
    const runtime: { getBuiltinModule?(id: string): Module | undefined } | undefined = Reflect.get(
      globalThis,
      "process",
    );
    return runtime?.getBuiltinModule?.(id);
  } catch {
    // The runtime has something else under that name.
    return undefined;
  }
}
