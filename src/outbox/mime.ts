/** As much of MIME as delivery reports need: parts, header fields, and their encodings (RFC 2045, 2046). */
import { decodeBase64 } from "../core/base64.ts";

/** A part of a message. */
export type Part = {
  /** Field names in lower case, unfolded; the first of each. */
  readonly fields: ReadonlyMap<string, string>;
  /** The media type in lower case, without parameters. */
  readonly type: string;
  /** The content as it stands. */
  readonly content: string;
};

/** Reads a message or a part of one, down to its header and its content. */
export function readPart(text: string): Part {
  const end = headerEnd(text);
  const fields = readFields(text.slice(0, end.from));
  const type = /^\s*([^\s;]+)/.exec(fields.get("content-type") ?? "text/plain")?.[1] ?? "text/plain";
  return { fields, type: type.toLowerCase(), content: text.slice(end.to) };
}

/** Where the header ends, and where the content begins. */
function headerEnd(text: string): { from: number; to: number } {
  if (text.startsWith("\n")) return { from: 0, to: 1 };
  const at = text.indexOf("\n\n");
  return at === -1 ? { from: text.length, to: text.length } : { from: at + 1, to: at + 2 };
}

/** The fields of a header, or of a group in a report. */
export function readFields(header: string): Map<string, string> {
  const fields = new Map<string, string>();
  let name: string | undefined;
  for (const line of header.split("\n")) {
    if (/^[ \t]/.test(line) && name !== undefined) {
      fields.set(name, `${fields.get(name) ?? ""} ${line.trim()}`.trim());
      continue;
    }
    const colon = line.indexOf(":");
    const found = colon < 1 ? "" : line.slice(0, colon).trim().toLowerCase();
    name = found === "" || /\s/.test(found) || fields.has(found) ? undefined : found;
    if (name !== undefined) fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}

/** How deep parts may be nested. */
const DEEPEST = 10;

/** A message and all parts in it, from the outside in. */
export function allParts(text: string): Part[] {
  const found: Part[] = [];
  const visit = (part: Part, depth: number): void => {
    found.push(part);
    if (depth >= DEEPEST) return;
    for (const inner of innerParts(part)) visit(inner, depth + 1);
  };
  visit(readPart(text), 0);
  return found;
}

function innerParts(part: Part): Part[] {
  if (!part.type.startsWith("multipart/")) return [];
  const boundary = parameter(part.fields.get("content-type") ?? "", "boundary");
  if (boundary === undefined || boundary === "") return [];
  const pieces: string[][] = [];
  let current: string[] | undefined;
  for (const line of part.content.split("\n")) {
    const trimmed = line.trimEnd();
    if (trimmed === `--${boundary}--`) break;
    if (trimmed === `--${boundary}`) {
      current = [];
      pieces.push(current);
    } else current?.push(line);
  }
  return pieces.map((lines) => readPart(lines.join("\n")));
}

/** A parameter of a field such as Content-Type, out of its quotes. One pass, since the field may be anybody's. */
export function parameter(field: string, name: string): string | undefined {
  const pieces = /([^=;"\s]+)=(?:"((?:[^"\\]|\\.)*)"|([^";\s]*))/y;
  for (let at = field.indexOf(";"); at !== -1; at = field.indexOf(";", at)) {
    at++;
    while (field[at] === " " || field[at] === "\t") at++;
    pieces.lastIndex = at;
    const found = pieces.exec(field);
    if (found === null) continue;
    at = pieces.lastIndex;
    const [, key = "", inQuotes, plain] = found;
    if (key.toLowerCase() === name) return inQuotes?.replace(/\\(.)/g, "$1") ?? plain;
  }
  return undefined;
}

/** The content of a part as text, out of base64 and quoted-printable. */
export function textOfPart({ fields, content }: Part): string {
  const encoding = fields.get("content-transfer-encoding")?.toLowerCase().trim();
  if (encoding === "base64") return decoded(decodeBase64(content.replace(/\s+/g, ""))) ?? content;
  if (encoding !== "quoted-printable") return content;
  const joined = content.replace(/=[ \t]*\n/g, "");
  return joined.replace(/(?:=[0-9A-Fa-f]{2})+/g, (run) => decoded(octetsOf(run)) ?? run);
}

function octetsOf(run: string): Uint8Array {
  return Uint8Array.from(run.split("=").slice(1), (pair) => Number.parseInt(pair, 16));
}

function decoded(octets: Uint8Array | undefined): string | undefined {
  return octets === undefined ? undefined : new TextDecoder().decode(octets).replace(/\r\n?/g, "\n");
}
