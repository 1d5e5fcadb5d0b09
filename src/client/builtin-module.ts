/** Finds the modules of Node that are used where the runtime has them: Node, Deno and Bun do. The only place that asks for them. */

/** The module, or undefined where the runtime has none of this name. */
export function builtinModule<Module>(id: string): Module | undefined {
  try {
    const runtime: { getBuiltinModule?(id: string): Module | undefined } | undefined = Reflect.get(
      globalThis,
      "process",
    );
    return runtime?.getBuiltinModule?.(id);
  } catch {
    // A runtime that has something else under that name.
    return undefined;
  }
}
