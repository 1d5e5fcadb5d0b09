/** Messages for the tests with real servers, and their stored form. */
import { markerField } from "./mailbox.ts";

/** A message with a unique marker. */
export type Letter = {
  /** Unique; also a valid local part. */
  marker: string;
  /** The bytes that the client gets. */
  content: Uint8Array<ArrayBuffer>;
};

/** A message with the given body; a string becomes UTF-8. */
export function letter(body: string | Uint8Array = "Hello.\r\n"): Letter {
  const marker = crypto.randomUUID();
  const head = `${markerField}: ${marker}\r\nFrom: <sender@client.test>\r\nSubject: test\r\n\r\n`;
  return { marker, content: new Uint8Array(Buffer.concat([Buffer.from(head), Buffer.from(body)])) };
}

/** The difference between a stored message and the expected one; undefined if there is none. */
export function difference(content: Uint8Array, stored: Uint8Array): string | undefined {
  const sent = onTheWire(content);
  if (sent.equals(stored)) return undefined;
  const at = sent.findIndex((octet, index) => octet !== stored[index]);
  const excerpt = (bytes: Uint8Array): string => JSON.stringify(Buffer.from(bytes).toString("latin1", at, at + 40));
  return at < 0
    ? `${stored.length - sent.length} octets too many: ${JSON.stringify(Buffer.from(stored).toString("latin1", sent.length))}`
    : `octet ${at} of ${sent.length}: sent ${excerpt(sent)}, stored ${excerpt(stored)}`;
}

/**
 * The bytes that a server must store: the same, except that CRLF, a lone CR and a lone LF each end a line, as the end
 * does.
 */
function onTheWire(content: Uint8Array): Buffer {
  const lines = Buffer.from(content)
    .toString("latin1")
    .split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(""), "latin1");
}

/** Bodies that clients may send incorrectly. */
export const bodies: Readonly<Record<string, string | Uint8Array>> = {
  "an empty body": "",
  "dots at line starts": ".\r\n..\r\n.a\r\n...\r\na.\r\n.\r\n",
  "bare LF": "one\ntwo\n\n.\nthree\n",
  "bare CR": "one\rtwo\r\r.\rthree\r",
  "line ends of all kinds in a row": "one\r\r\ntwo\n\r\nthree\n\r.\r\r\n",
  "what smuggling would look like": "a\n.\nMAIL FROM:<x@client.test>\r\n.\nb\n.\r\nc\r.\rd\r\n.\re\r\n",
  "no line end at the end": "the last line has none",
  "a lone dot at the end": "text\r\n.",
  "a bare CR at the end": "text\r",
  "lines as long as RFC 5321 allows": `${"x".repeat(998)}\r\n${`.${"y".repeat(997)}`}\r\n`,
  "8-bit text": "Grüße, 世界, 🚀\r\n",
  "all octets but NUL": Uint8Array.from({ length: 255 }, (_, i) => i + 1),
  "1 MB with dots at line starts": Array.from({ length: 16_000 }, (_, i) => `.${i} ${"z".repeat(56)}\r\n`).join(""),
};
