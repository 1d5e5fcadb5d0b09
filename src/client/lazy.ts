/** Modules that most sessions do not need. */

/**
 * A module that is loaded on first use: a promise then, the module itself once it is here, so that who uses it again
 * need not wait. What is pipelined depends on that.
 */
export function lazy<Module>(load: () => Promise<Module>): () => Module | Promise<Module> {
  let loaded: Module | undefined;
  return () =>
    loaded ??
    load().then((module) => {
      loaded = module;
      return module;
    });
}
