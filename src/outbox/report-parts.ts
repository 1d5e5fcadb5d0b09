/** The parts of a message that may be a report, and their texts. Whatever the message is, nothing here throws. */
import { isAscii } from "../core/a-label.ts";
import { asUtf8, latin1, latin1Octets, utf8 } from "../core/bytes.ts";
import {
  decodeCharset,
  decodedBody,
  fieldOf,
  innerParts,
  type MimePart,
  parameterized,
  readPart,
} from "../core/mime.ts";

/** A part with those in it; a message in it is not opened. */
export type ReportPart = {
  readonly part: MimePart;
  /** Its content type, in lower case. */
  readonly type: string;
  /** How many more levels may be opened. */
  readonly levels: number;
  readonly inner: readonly ReportPart[];
};

/** How deep parts may be nested: each level costs time in proportion to the whole message. */
const DEEPEST = 10;

/** How many levels a message in a part takes: its text is searched as well. */
const MESSAGE_LEVELS = 3;

/** The most parts of a multipart; reports have three or four. */
const MOST_PARTS = 100;

/** The most octets, or characters, of a message that are read: what reports say stands before what they return. */
const LONGEST = 2 ** 20;

/** Opens a whole message. */
export function openMessage(message: string | Uint8Array): ReportPart {
  const begin = message.slice(0, LONGEST);
  const octets = typeof begin === "string" ? utf8(begin) : begin;
  // Parts are cut at LF; a lone CR ends lines in some stored mail.
  return opened(headed(latin1Octets(latin1(octets).replace(/\r\n?/g, "\n"))), DEEPEST, "text/plain");
}

/** Opens the message in a part; undefined for any other part, and for one that is nested too deep. */
export function openEmbedded({ part, type, levels }: ReportPart): ReportPart | undefined {
  if (levels < MESSAGE_LEVELS || !/^message\/(?:rfc822|global)$/.test(type)) return undefined;
  return opened(headed(decodedBody(part)), levels - MESSAGE_LEVELS, "text/plain");
}

/** A message as a part. Blank lines in front of its header, and a byte order mark, are skipped. */
function headed(octets: Uint8Array): MimePart {
  const start = octets.findIndex((octet) => !SKIPPED.includes(octet));
  return readPart(octets.subarray(Math.max(start, 0)));
}

const SKIPPED = [0x0a, 0x0d, 0xef, 0xbb, 0xbf];

function opened(part: MimePart, levels: number, usual: string): ReportPart {
  const { value } = parameterized(fieldOf(part, "content-type") ?? "");
  const type = value || usual;
  const inside = type === "multipart/digest" ? "message/rfc822" : "text/plain";
  const inner = levels < 1 ? [] : (innerParts(part, MOST_PARTS) ?? []);
  return { part, type, levels, inner: inner.map((one) => opened(one, levels - 1, inside)) };
}

/** A part and all parts in it, outer parts first. */
export function partsIn(part: ReportPart): ReportPart[] {
  return [part, ...part.inner.flatMap(partsIn)];
}

/** The text of a part, with LF at the ends of its lines. */
export function textOf({ part }: ReportPart): string {
  const octets = decodedBody(part);
  const text = asUtf8(octets);
  const { parameters } = parameterized(fieldOf(part, "content-type") ?? "");
  // Non-ASCII text that is valid UTF-8 is UTF-8, whatever the part says: the message may have come as a string.
  const read =
    text === undefined || isAscii(text) ? decodeCharset(octets, parameters.get("charset") ?? "latin1") : text;
  return read.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
}

/** The human-readable text: a part, or the whole message. */
export function plainText(message: ReportPart): string {
  return textOf(partsIn(message).find(({ type }) => type === "text/plain") ?? message);
}

const RETURNED = /^(?:(?:message|text)\/rfc822(?:-headers?)?|message\/global(?:-headers)?)$/;

/** The Message-ID in the header of a message that is returned, whole or in part. */
export function returnedId(parts: readonly ReportPart[]): string | undefined {
  for (const { part, type } of parts) {
    const id = RETURNED.test(type) ? idIn(fieldOf(headed(decodedBody(part)), "message-id")) : undefined;
    if (id !== undefined) return id;
  }
  return undefined;
}

/** The Message-ID that the report's own header answers to. */
export function answeredId({ part }: ReportPart): string | undefined {
  return idIn(fieldOf(part, "in-reply-to")) ?? idsIn(fieldOf(part, "references") ?? "").at(-1);
}

/** The Message-ID in a field. Some programs leave out its angle brackets. */
export function idIn(field: string | undefined): string | undefined {
  const bare = field?.trim() ?? "";
  return idsIn(bare)[0] ?? (/^[^\s<>@]+@[^\s<>@]+$/.test(bare) ? `<${bare}>` : undefined);
}

function idsIn(field: string): string[] {
  return field.match(/<[^<>\s]+>/g) ?? [];
}

/** All values of a field with this name, which must be in lower case. */
export function fieldsOf({ fields }: MimePart, wanted: string): string[] {
  return fields.flatMap(([name, value]) => (name.toLowerCase() === wanted ? [value] : []));
}

/** A text in one line, without control characters. */
export function oneLine(text: string): string {
  return text.replace(/[\s\p{Cc}]+/gu, " ").trim();
}
