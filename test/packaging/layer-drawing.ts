/** A drawing of the layers of the sources: a box for each, and an arrow for each import that no longer path implies. */
import type { Edge } from "./import-graph.ts";

/** Layer -> the layers that it imports; `loads` are those that it imports on first use only. */
type Layers = { readonly imports: Map<string, Set<string>>; readonly loads: Map<string, Set<string>> };

const WIDTH = 960;
const BOX = { width: 128, height: 44 };
const ROW = 96;
/** The column of each box in its row, in sevenths of the width, chosen so that no arrow crosses a box. */
const COLUMNS: Readonly<Record<string, number>> = {
  ...{ cli: 3, index: 1.4, nodemailer: 3, upyo: 4.6, outbox: 1.4, pool: 3, facade: 2.2, opentelemetry: 4, client: 3 },
  ...{ proxy: 0, sasl: 3.4, testing: 6, runtime: 1.2, transports: 2.8, core: 4.6 },
};

/** The drawing as SVG; the same edges result in the same text. */
export function drawLayers(edges: readonly Edge[]): string {
  const { imports, loads } = layersOf(edges);
  const names = [...new Set([...imports].flatMap(([from, to]) => [from, ...to]))].sort();
  const rows = rowsOf(names, imports);
  const height = rows.length * ROW + 20;
  const places = new Map(rows.flatMap((row, index) => placesIn(row, rows.length - 1 - index)));
  const solid = arrows(reduced(imports), places, "imports");
  const dashed = arrows(loads, places, "loads");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">
<title id="title">The layers of the sources: which folder imports which</title>
<style>
text { font: 15px system-ui, sans-serif; fill: #1b1f24; text-anchor: middle; dominant-baseline: central; }
.box { fill: #f3f6fa; stroke: #57606a; }
.imports { stroke: #3a5a80; fill: none; }
.loads { stroke: #8a5a00; fill: none; stroke-dasharray: 5 4; }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>
<rect width="100%" height="100%" rx="8" fill="#fff"/>
${[...solid, ...dashed, ...[...places].map(([name, at]) => box(name, at))].join("\n")}
</svg>
`;
}

type Place = { readonly x: number; readonly y: number };

/** The layer of a source: its folder, or the file itself if it is beside the folders. */
function layerOf(file: string): string {
  const [, folder, name = ""] = /^(src|transports)\/(?:(\w[\w-]*)(?:\/|\.ts$))?/.exec(file) ?? [];
  return folder === "transports" ? "transports" : name;
}

function layersOf(edges: readonly Edge[]): Layers {
  const imports = new Map<string, Set<string>>();
  const loads = new Map<string, Set<string>>();
  for (const { from, to, kind } of edges) {
    const [one, other] = [layerOf(from), layerOf(to)];
    // Types and errors are left out: every layer imports them.
    if (one === other || kind === "type" || other === "errors") continue;
    const into = kind === "dynamic" ? loads : imports;
    into.set(one, (into.get(one) ?? new Set()).add(other));
  }
  for (const [from, to] of loads) for (const one of to) if (imports.get(from)?.has(one)) to.delete(one);
  return { imports, loads };
}

/** Layers by the length of the longest path to one without imports: each imports only lower rows. */
function rowsOf(names: readonly string[], imports: Layers["imports"]): string[][] {
  const depth = (name: string): number => Math.max(0, ...[...(imports.get(name) ?? [])].map((one) => depth(one) + 1));
  const rows: string[][] = [];
  for (const name of names) {
    const at = depth(name);
    rows[at] = [...(rows[at] ?? []), name];
  }
  return rows;
}

function placesIn(row: readonly string[], index: number): [string, Place][] {
  return row.map((name) => {
    const column = COLUMNS[name];
    if (column === undefined) throw new Error(`the drawing has no place for ${name}: give it one in COLUMNS`);
    return [name, { x: Math.round((WIDTH / 7) * (column + 0.5)), y: index * ROW + 42 }];
  });
}

/** The imports, without those that a longer path implies. */
function reduced(imports: Layers["imports"]): Layers["imports"] {
  const reaches = (from: string, to: string): boolean =>
    [...(imports.get(from) ?? [])].some((one) => one === to || reaches(one, to));
  return new Map(
    [...imports].map(([from, to]) => [
      from,
      new Set([...to].filter((one) => ![...to].some((other) => other !== one && reaches(other, one)))),
    ]),
  );
}

function arrows(imports: Layers["imports"], places: Map<string, Place>, kind: string): string[] {
  return [...imports].sort().flatMap(([from, to]) =>
    [...to].sort().flatMap((one) => {
      const [a, b] = [places.get(from), places.get(one)];
      if (a === undefined || b === undefined) return [];
      const [start, end] = [edgeOf(a, b), edgeOf(b, a)];
      return `<path class="${kind}" marker-end="url(#tip)" d="M${start.x} ${start.y} L${end.x} ${end.y}"/>`;
    }),
  );
}

/** The point on the border of a box in the direction of another one. */
function edgeOf(from: Place, to: Place): Place {
  if (from.y === to.y) return { x: from.x + Math.sign(to.x - from.x) * (BOX.width / 2), y: from.y };
  const y = from.y + Math.sign(to.y - from.y) * (BOX.height / 2);
  const lean = ((to.x - from.x) / Math.abs(to.y - from.y)) * (BOX.height / 2);
  return { x: Math.round(from.x + Math.max(-BOX.width / 2, Math.min(BOX.width / 2, lean))), y };
}

function box(name: string, { x, y }: Place): string {
  const left = x - BOX.width / 2;
  const top = y - BOX.height / 2;
  return `<g><rect class="box" x="${left}" y="${top}" width="${BOX.width}" height="${BOX.height}" rx="6"/><text x="${x}" y="${y}">${name === "index" ? "smtplib" : name}</text></g>`;
}
