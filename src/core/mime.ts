/** Parses the parts and fields of a message and decodes them (RFC 2045, 2046, 2047, 2231). Tolerates errors. */
import { latin1, latin1Octets } from "./bytes.ts";

/** A part of a message, or the whole message. */
export type MimePart = {
  /** The fields of its header, unfolded, in order. */
  readonly fields: readonly (readonly [name: string, text: string])[];
  /** The bytes after the header, not decoded. */
  readonly body: Uint8Array;
};

/** Splits a part into its header and its body. Lines end in CRLF or LF. */
export function readPart(content: Uint8Array): MimePart {
  const text = latin1(content);
  const end = /(?:^|\r?\n)\r?\n/.exec(text);
  const head = text.slice(0, end === null ? text.length : end.index);
  const body = end === null ? new Uint8Array(0) : content.subarray(end.index + end[0].length);
  const lines = head.replace(/\r?\n(?=[ \t])/g, "").split(/\r?\n/);
  const fields = lines.flatMap((line) => {
    const [, name, value] = /^([!-9;-~]+)[ \t]*:[ \t]*(.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, utf8Or(value)] as const];
  });
  return { fields, body };
}

/** The first field with this name, which must be in lower case. */
export function fieldOf({ fields }: MimePart, wanted: string): string | undefined {
  return fields.find(([name]) => name.toLowerCase() === wanted)?.[1];
}

/** A boundary has at most 70 characters (RFC 2046 5.1.1). Far longer ones are too large for a regular expression. */
const LONGEST_BOUNDARY = 1000;

/** The parts of a multipart, of which no more than `most` are divided; undefined for any other part. */
export function innerParts(part: MimePart, most: number = Number.POSITIVE_INFINITY): MimePart[] | undefined {
  const { value, parameters } = parameterized(fieldOf(part, "content-type") ?? "");
  const boundary = parameters.get("boundary");
  if (!value.startsWith("multipart/") || boundary === undefined || boundary.length > LONGEST_BOUNDARY) return undefined;
  return partsOf(part.body, boundary, most).map(readPart);
}

function partsOf(body: Uint8Array, boundary: string, most: number): Uint8Array[] {
  const text = latin1(body);
  const lines = boundaryLines(text, boundary, most);
  return lines.flatMap((line, index) => {
    if (line[1] !== undefined) return [];
    const from = line.index + line[0].length;
    const begin = text.startsWith("\r\n", from) ? from + 2 : from + 1;
    return [body.subarray(begin, lines[index + 1]?.index ?? text.length)];
  });
}

function boundaryLines(text: string, boundary: string, most: number): RegExpExecArray[] {
  const escaped = boundary.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  const lines: RegExpExecArray[] = [];
  for (const line of text.matchAll(new RegExp(`(?:^|\\r?\\n)--${escaped}(--)?[ \\t]*(?=\\r?\\n|$)`, "g"))) {
    lines.push(line);
    if (lines.length === most) break;
  }
  return lines;
}

/** A value and its parameters (RFC 2045 5.1); parameters in pieces or with a charset are joined (RFC 2231). */
export function parameterized(text: string): {
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
} {
  const [, value = ""] = /^\s*([^;]*)/.exec(text) ?? [];
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, bare = ""] of text.matchAll(
    // A quoted string without its closing quote ends with the field.
    /;\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)\\?(?:"|$)|([^\s;]*))/g,
  )) {
    const given = quoted === undefined ? bare : quoted.replace(/\\(.)/g, "$1");
    const [, plain = "", , extended] = /^([^*]+)(\*\d+)?(\*)?$/.exec(name.toLowerCase()) ?? [];
    const decoded = extended === undefined ? given : decodeExtended(given);
    parameters.set(plain, (parameters.get(plain) ?? "") + decoded);
  }
  return { value: value.trim().toLowerCase(), parameters };
}

function decodeExtended(text: string): string {
  const [, charset = "utf-8", encoded = text] = /^([^']*)'[^']*'(.*)$/.exec(text) ?? [];
  const octets = encoded.replace(/%([\da-f]{2})/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return decodeCharset(latin1Octets(octets), charset);
}

/** The decoded body of a part (RFC 2045 6). */
export function decodedBody(part: MimePart): Uint8Array {
  switch (fieldOf(part, "content-transfer-encoding")?.trim().toLowerCase()) {
    case "base64":
      return decodeBase64(latin1(part.body));
    case "quoted-printable":
      return decodeQuoted(part.body);
    default:
      return part.body;
  }
}

/** Decodes encoded words (RFC 2047) and joins adjacent ones. */
export function decodeWords(text: string): string {
  const word = /=\?([^?\s]+)\?([bq])\?([^?\s]*)\?=(?:[ \t]+(?==\?[^?\s]+\?[bq]\?[^?\s]*\?=))?/gi;
  return text.replace(word, (_, charset: string, kind: string, encoded: string) => {
    const octets =
      kind.toLowerCase() === "b" ? decodeBase64(encoded) : latin1Octets(decodeHex(encoded.replaceAll("_", " ")));
    return decodeCharset(octets, charset.replace(/\*.*$/, ""));
  });
}

function decodeBase64(text: string): Uint8Array {
  const clean = text.replace(/[^A-Za-z0-9+/]/g, "");
  return latin1Octets(atob(clean.slice(0, clean.length - (clean.length % 4 === 1 ? 1 : 0))));
}

function decodeQuoted(body: Uint8Array): Uint8Array {
  const text = latin1(body)
    // Starts at the first space only, so that a long run of spaces takes linear time.
    .replace(/(?<![ \t])[ \t]+(?=\r?\n|$)/g, "")
    .replace(/=\r?\n/g, "");
  return latin1Octets(decodeHex(text));
}

function decodeHex(text: string): string {
  return text.replace(/=([\da-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** Decodes bytes; as UTF-8 if the runtime does not support the charset. */
export function decodeCharset(octets: Uint8Array, charset = "utf-8"): string {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return new TextDecoder().decode(octets);
  }
}

/** Header fields may be raw UTF-8 (RFC 6532). */
function utf8Or(text: string): string {
  if (!/[^\x00-\x7f]/.test(text)) return text;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(latin1Octets(text));
  } catch {
    return text;
  }
}
