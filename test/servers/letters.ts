/** Messages for the tests against real servers, and what each of them is once a server has it. */
import { markerField } from "./mailbox.ts";

/** A message that can be told from all others. */
export type Letter = {
  /** Unique; also a valid local part. */
  marker: string;
  /** What is handed to the client. */
  content: Uint8Array<ArrayBuffer>;
};

/** A message with the given body; a string becomes UTF-8. */
export function letter(body: string | Uint8Array = "Hello.\r\n"): Letter {
  const marker = crypto.randomUUID();
  const head = `${markerField}: ${marker}\r\nFrom: <sender@client.test>\r\nSubject: test\r\n\r\n`;
  return { marker, content: new Uint8Array(Buffer.concat([Buffer.from(head), Buffer.from(body)])) };
}

/** How a stored message differs from what had to arrive, or undefined if it does not. */
export function difference(content: Uint8Array, stored: Uint8Array): string | undefined {
  const sent = onTheWire(content);
  if (sent.equals(stored)) return undefined;
  const at = sent.findIndex((octet, index) => octet !== stored[index]);
  const excerpt = (bytes: Uint8Array): string => JSON.stringify(Buffer.from(bytes).toString("latin1", at, at + 40));
  return at < 0
    ? `${stored.length - sent.length} octets too many: ${JSON.stringify(Buffer.from(stored).toString("latin1", sent.length))}`
    : `octet ${at} of ${sent.length}: sent ${excerpt(sent)}, stored ${excerpt(stored)}`;
}

/** What a server must store: the same octets, but that CRLF, a bare CR and a bare LF each end a line, the last one too. */
function onTheWire(content: Uint8Array): Buffer {
  const lines = Buffer.from(content)
    .toString("latin1")
    .split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(""), "latin1");
}

/** Bodies that a client can get wrong. */
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
