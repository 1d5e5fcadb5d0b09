/** Reads a message for people: its header, texts and attachments. Lenient: it is for looking at. */
import {
  decodeCharset,
  decodedBody,
  decodeWords,
  fieldOf,
  innerParts,
  type MimePart,
  parameterized,
  readPart,
} from "../../../core/mime.ts";

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
  const root = readPart(content);
  reader.part(root, 0);
  const headers = root.fields.map(([name, text]) => [name, decodeWords(text)] as const);
  const { text, html, attachments } = reader;
  return { headers, text, html, attachments };
}

/** Collects the parts of a message. */
class MailReader {
  text: string | undefined;
  html: string | undefined;
  readonly attachments: Attachment[] = [];
  #parts = 0;

  part(part: MimePart, depth: number): void {
    this.#parts += 1;
    if (this.#parts > MOST_PARTS) return;
    const inner = depth < DEEPEST ? innerParts(part) : undefined;
    if (inner === undefined) this.#leaf(part);
    else for (const one of inner) this.part(one, depth + 1);
  }

  #leaf(part: MimePart): void {
    const { value: type, parameters } = parameterized(fieldOf(part, "content-type") ?? "text/plain");
    const disposition = parameterized(fieldOf(part, "content-disposition") ?? "");
    const name = disposition.parameters.get("filename") ?? parameters.get("name");
    const content = decodedBody(part);
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
    const contentId = /^<?([^<>]*)>?$/.exec(fieldOf(part, "content-id")?.trim() ?? "")?.[1];
    const shown = name === undefined ? `part ${this.#parts}` : decodeWords(name);
    this.attachments.push({ name: shown, type, content, contentId: contentId === "" ? undefined : contentId });
  }
}
