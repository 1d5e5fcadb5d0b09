/** Modules that most sessions do not need. */

/** Uses a module, at once if it is here. */
export type Lazy<Module> = <T>(use: (module: Module) => T | Promise<T>) => T | Promise<T>;

/**
 * Uses of a module that is loaded with the first of them, once for all that wait, and anew after a failure. Once it is
 * here a use waits for nothing, which pipelining depends on.
 */
export function lazy<Module>(load: () => Promise<Module>): Lazy<Module> {
  let loaded: Module | undefined;
  let loading: Promise<Module> | undefined;
  return (use) => {
    if (loaded !== undefined) return use(loaded);
    loading ??= load().finally(() => {
      loading = undefined;
    });
    const used = loading.then((module) => {
      loaded = module;
      return use(module);
    });
    // Who waits for his turn first hears of a failure then: it is not unhandled until then.
    used.catch(() => {});
    return used;
  };
}
