/**
 * An esbuild plugin that puts the modules which many subpaths share into one file. By itself, esbuild makes a file of
 * each set of modules that the same entries reach: 16 files for the package's index, each of which takes Node most of a
 * millisecond to find, read and link.
 */
import { posix, relative, resolve } from "node:path";
import { build, type OnResolveArgs, type OnResolveResult, type Plugin, type PluginBuild } from "esbuild";

/** An output of its own: the modules of the folder `within` that are loaded together with `entries`. */
export type SharedFile = { readonly entries: readonly string[]; readonly within: string };

const NAMESPACE = "shared-file";

/** Makes the plugin. */
export function sharedFiles(root: string, entry: Readonly<Record<string, string>>, files: SharedFiles): Plugin {
  return {
    name: NAMESPACE,
    setup: async (plugged) => new Outputs(root, entry, await membersOf(root, entry, files)).add(plugged),
  };
}

type SharedFiles = Readonly<Record<string, SharedFile>>;
type Members = Readonly<Record<string, readonly string[]>>;

/** The output of each module that has a known one. */
class Outputs {
  readonly #root: string;
  readonly #members: Members;
  /** The name of the output, without ".js", by the module's path. */
  readonly #outputs = new Map<string, string>();

  constructor(root: string, entry: Readonly<Record<string, string>>, members: Members) {
    this.#root = root;
    this.#members = members;
    for (const [name, source] of Object.entries(entry)) this.#outputs.set(source, name);
    for (const [name, modules] of Object.entries(members)) {
      for (const module of modules) this.#outputs.set(module, name);
    }
  }

  add({ initialOptions, onResolve, onLoad }: PluginBuild): void {
    const shared = Object.keys(this.#members).map((name) => [name, `${NAMESPACE}:${name}`]);
    initialOptions.entryPoints = { ...initialOptions.entryPoints, ...Object.fromEntries(shared) };
    onResolve({ filter: new RegExp(`^${NAMESPACE}:`) }, ({ path }) => {
      return { path: path.slice(NAMESPACE.length + 1), namespace: NAMESPACE };
    });
    onLoad({ filter: /./, namespace: NAMESPACE }, ({ path }) => {
      const lines = (this.#members[path] ?? []).map((module) => `export * from "./${module}";`);
      return { contents: lines.join("\n"), resolveDir: this.#root };
    });
    onResolve({ filter: /^\.\.?\// }, (args) => this.#link(args));
  }

  /** A module of another output is imported from there. */
  #link({ path, kind, resolveDir, importer, namespace }: OnResolveArgs): OnResolveResult | undefined {
    if (kind === "entry-point" || namespace === NAMESPACE) return undefined;
    const to = this.#outputs.get(relative(this.#root, resolve(resolveDir, path)));
    const from = this.#outputs.get(relative(this.#root, importer));
    if (to === undefined || to === from) return undefined;
    const link = posix.relative(posix.dirname(from ?? "."), `${to}.js`);
    return { path: link.startsWith(".") ? link : `./${link}`, external: true, sideEffects: false };
  }
}

async function membersOf(root: string, entry: Readonly<Record<string, string>>, files: SharedFiles): Promise<Members> {
  const sources = Object.values(entry);
  const members = Object.entries(files).map(async ([name, { entries, within }]) => {
    const loaded = await loadedWith(root, entries);
    return [name, loaded.filter((module) => module.startsWith(within) && !sources.includes(module))] as const;
  });
  return Object.fromEntries(await Promise.all(members));
}

/** The modules that are loaded with these, including them; dynamic imports are left out. */
async function loadedWith(root: string, sources: readonly string[]): Promise<string[]> {
  const { metafile } = await build({
    ...{ absWorkingDir: root, entryPoints: [...sources], outdir: "none", write: false, metafile: true },
    ...{ bundle: true, splitting: true, format: "esm", platform: "neutral" },
    ...{ external: ["node:*"], packages: "external", logLevel: "error" },
  });
  const loaded = new Set(sources);
  for (const module of loaded) {
    for (const { path, kind, external } of metafile.inputs[module]?.imports ?? []) {
      if (kind === "import-statement" && external !== true) loaded.add(path);
    }
  }
  return [...loaded].sort();
}
