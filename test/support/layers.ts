/** The layers of the architecture, and the imports that each may have. CONTRIBUTING.md has them as a table. */
import { builtinModules } from "node:module";
import type { Edge } from "../packaging/import-graph.ts";

/** The permitted imports of a layer: in general, and for types only. */
export type Rule = {
  imports: readonly string[];
  types?: readonly string[];
  loads?: readonly string[];
  /** Peer dependencies, for the subpaths that are made for them. */
  packages?: readonly string[];
};

const nodeModules = builtinModules.map((name) => `node:${name}`);

/** A file belongs to the first layer whose name is its path, or the beginning of it. */
export const layers: Readonly<Record<string, Rule>> = {
  "src/byte-stream.ts": { imports: [] },
  "src/errors.ts": { imports: [], types: ["src/core/"] },
  "src/core/": { imports: ["src/core/", "src/errors.ts"] },
  "src/sasl/": { imports: ["src/sasl/", "src/core/", "src/errors.ts"], types: ["src/byte-stream.ts"] },
  "src/client/": {
    imports: ["src/client/", "src/core/", "src/sasl/", "src/errors.ts"],
    types: ["src/byte-stream.ts"],
  },
  "src/facade/": {
    imports: ["src/facade/", "src/client/", "src/core/", "src/sasl/", "src/errors.ts", "src/runtime.ts"],
    types: ["src/byte-stream.ts"],
  },
  "src/pool/": {
    imports: [
      ...["src/pool/", "src/facade/", "src/client/", "src/core/", "src/sasl/"],
      ...["src/errors.ts", "src/runtime.ts"],
    ],
    types: ["src/byte-stream.ts"],
  },
  "src/proxy/": {
    imports: ["src/proxy/", "src/core/", "src/errors.ts", "src/runtime.ts"],
    types: ["src/byte-stream.ts"],
    loads: ["transports/"],
  },
  "src/testing/": {
    imports: ["src/testing/", "src/core/", "transports/memory.ts"],
    types: ["src/byte-stream.ts"],
  },
  "src/runtime.ts": { imports: [], types: ["src/byte-stream.ts"], loads: ["transports/"] },
  "src/index.ts": {
    imports: ["src/facade/", "src/pool/", "src/core/", "src/errors.ts"],
    types: ["src/client/", "src/sasl/", "src/byte-stream.ts"],
  },
  "src/nodemailer/": {
    imports: [
      ...["src/nodemailer/", "src/pool/", "src/core/", "src/errors.ts"],
      ...["src/client/chunks.ts", "src/client/timer.ts"],
    ],
    types: ["src/facade/", "src/client/", "src/core/"],
    packages: ["nodemailer"],
  },
  "src/outbox/": {
    imports: [
      ...["src/outbox/", "src/pool/", "src/facade/", "src/core/", "src/errors.ts"],
      ...["src/client/abort.ts", "src/client/content.ts", "src/client/builtin-module.ts", "src/client/channels.ts"],
      "src/client/timer.ts",
    ],
    types: ["src/client/"],
    packages: ["bullmq", "nodemailer/lib/mime-node/index.js"],
  },
  "src/opentelemetry.ts": {
    imports: ["src/client/channels.ts", "src/outbox/channels.ts"],
    types: ["src/byte-stream.ts"],
    packages: ["@opentelemetry/api"],
  },
  // The sockets of Workers are in a module that only Workers have; it is loaded with the first connection.
  "transports/workers.ts": {
    imports: ["transports/", "src/errors.ts"],
    types: ["src/byte-stream.ts"],
    packages: ["cloudflareSockets"],
  },
  "src/upyo/": {
    imports: [
      ...["src/upyo/", "src/pool/", "src/core/", "src/errors.ts"],
      ...["src/client/caller-stack.ts", "src/client/chunks.ts", "src/client/abort.ts"],
    ],
    types: ["src/client/"],
    packages: ["@upyo/core", "nodemailer/lib/mail-composer/index.js"],
  },
  // A program rather than a library: it imports the package's exports, code that reads and writes mail, and Node's
  // modules directly.
  "src/cli/": {
    imports: [
      ...[
        "src/cli/",
        "src/index.ts",
        "src/core/index.ts",
        "src/core/mime.ts",
        "src/core/mail-date.ts",
        "src/sasl/index.ts",
        "src/proxy/index.ts",
      ],
      ...["src/testing/", "src/runtime.ts", "transports/"],
    ],
    packages: ["nodemailer/lib/mail-composer/index.js", ...nodeModules],
  },
  "transports/": { imports: ["transports/", "src/errors.ts"], types: ["src/byte-stream.ts"] },
};

/** The rule of the layer that a file belongs to. */
export function layerOf(file: string): Rule | undefined {
  const name = Object.keys(layers).find((layer) => file === layer || (layer.endsWith("/") && file.startsWith(layer)));
  return name === undefined ? undefined : layers[name];
}

/** Whether a rule permits this import. */
export function isAllowed({ from, to, kind }: Edge): boolean {
  const rule = layerOf(from);
  if (rule === undefined) return false;
  const { imports, types = [], loads = [] } = rule;
  const allowed = [...imports, ...(kind === "type" ? types : []), ...(kind === "dynamic" ? loads : [])];
  return allowed.some((layer) => to === layer || (layer.endsWith("/") && to.startsWith(layer)));
}
