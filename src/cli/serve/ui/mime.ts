/** Parses a message for display (RFC 2045, 2046, 2047, 2231): its header, texts and attachments. Tolerates errors. */

/** A file in a message. */
export type Attachment = {
  readonly name: string;
  readonly type: string;
  readonly content: Uint8Array;
  /** Its name in the HTML, after "cid:". */
  readonly contentId: string | undefined;
};

/** A parsed message. */
export type ReadMail = {
  /** All fields of the header, decoded, in order. */
  readonly headers: readonly (readonly [name: string, text: string])[];
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly attachments: readonly Attachment[];
};

/** The greatest depth and number of parts. */
const DEEPEST = 20;
const MOST_PARTS = 500;

/** Parses a message. Never throws: invalid parts are shown as they are. */
export function readMail(content: Uint8Array): ReadMail {
  const reader = new MailReader();
  const root = splitHeader(content);
  reader.part(root, 0);
  const headers = root.fields.map(([name, text]) => [name, decodeWords(text)] as const);
  const { text, html, attachments } = reader;
  return { headers, text, html, attachments };
}

type Part = { readonly fields: readonly (readonly [string, string])[]; readonly body: Uint8Array };

/** Collects the parts of a message. */
class MailReader {
  text: string | undefined;
  html: string | undefined;
  readonly attachments: Attachment[] = [];
  #parts = 0;

  part(part: Part, depth: number): void {
    this.#parts += 1;
    if (this.#parts > MOST_PARTS) return;
    const { value: type, parameters } = parameterized(field(part, "content-type") ?? "text/plain");
    const boundary = parameters.get("boundary");
    if (type.startsWith("multipart/") && boundary !== undefined && depth < DEEPEST) {
      for (const inner of partsOf(part.body, boundary)) this.part(splitHeader(inner), depth + 1);
      return;
    }
    this.#leaf(part, type, parameters);
  }

  #leaf(part: Part, type: string, parameters: ReadonlyMap<string, string>): void {
    const disposition = parameterized(field(part, "content-disposition") ?? "");
    const name = disposition.parameters.get("filename") ?? parameters.get("name");
    const content = decodeTransfer(part.body, field(part, "content-transfer-encoding") ?? "");
    if (disposition.value !== "attachment" && name === undefined) {
      const text = (): string => decodeCharset(content, parameters.get("charset"));
      if (type === "text/plain" && this.text === undefined) {
        this.text = text();
        return;
      }
      if (type === "text/html" && this.html === undefined) {
        this.html = text();
        return;
      }
    }
    const contentId = /^<?([^<>]*)>?$/.exec(field(part, "content-id")?.trim() ?? "")?.[1];
    const shown = name === undefined ? `part ${this.#parts}` : decodeWords(name);
    this.attachments.push({ name: shown, type, content, contentId: contentId === "" ? undefined : contentId });
  }
}

function splitHeader(content: Uint8Array): Part {
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

function field({ fields }: Part, wanted: string): string | undefined {
  return fields.find(([name]) => name.toLowerCase() === wanted)?.[1];
}

function partsOf(body: Uint8Array, boundary: string): Uint8Array[] {
  const text = latin1(body);
  const escaped = boundary.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  const lines = [...text.matchAll(new RegExp(`(?:^|\\r?\\n)--${escaped}(--)?[ \\t]*(?=\\r?\\n|$)`, "g"))];
  return lines.flatMap((line, index) => {
    if (line[1] !== undefined) return [];
    const from = line.index + line[0].length;
    const begin = text.startsWith("\r\n", from) ? from + 2 : from + 1;
    return [body.subarray(begin, lines[index + 1]?.index ?? text.length)];
  });
}

/** A value and its parameters (RFC 2045 5.1); parameters in pieces or with a charset are joined (RFC 2231). */
function parameterized(text: string): { readonly value: string; readonly parameters: ReadonlyMap<string, string> } {
  const [, value = ""] = /^\s*([^;]*)/.exec(text) ?? [];
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, bare = ""] of text.matchAll(
    // A quoted string that does not end goes to the end.
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
  return decodeCharset(fromLatin1(octets), charset);
}

/** Encoded words (RFC 2047); those side by side belong together. */
function decodeWords(text: string): string {
  const word = /=\?([^?\s]+)\?([bq])\?([^?\s]*)\?=(?:[ \t]+(?==\?[^?\s]+\?[bq]\?[^?\s]*\?=))?/gi;
  return text.replace(word, (_, charset: string, kind: string, encoded: string) => {
    const octets =
      kind.toLowerCase() === "b" ? decodeBase64(encoded) : fromLatin1(decodeHex(encoded.replaceAll("_", " ")));
    return decodeCharset(octets, charset.replace(/\*.*$/, ""));
  });
}

function decodeTransfer(body: Uint8Array, encoding: string): Uint8Array {
  switch (encoding.trim().toLowerCase()) {
    case "base64":
      return decodeBase64(latin1(body));
    case "quoted-printable":
      return decodeQuoted(body);
    default:
      return body;
  }
}

function decodeBase64(text: string): Uint8Array {
  const clean = text.replace(/[^A-Za-z0-9+/]/g, "");
  return fromLatin1(atob(clean.slice(0, clean.length - (clean.length % 4 === 1 ? 1 : 0))));
}

function decodeQuoted(body: Uint8Array): Uint8Array {
  const text = latin1(body)
    // Starts at the first space only, so that a long run of spaces takes linear time.
    .replace(/(?<![ \t])[ \t]+(?=\r?\n|$)/g, "")
    .replace(/=\r?\n/g, "");
  return fromLatin1(decodeHex(text));
}

function decodeHex(text: string): string {
  return text.replace(/=([\da-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

function decodeCharset(octets: Uint8Array, charset = "utf-8"): string {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return new TextDecoder().decode(octets);
  }
}

/** Header fields may be raw UTF-8 (RFC 6532). */
function utf8Or(text: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(fromLatin1(text));
  } catch {
    return text;
  }
}

function latin1(octets: Uint8Array): string {
  let text = "";
  for (let at = 0; at < octets.length; at += 8_192) text += String.fromCharCode(...octets.subarray(at, at + 8_192));
  return text;
}

function fromLatin1(text: string): Uint8Array {
  const octets = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) octets[at] = text.charCodeAt(at) & 0xff;
  return octets;
}
