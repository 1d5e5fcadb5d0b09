/**
 * Transcripts as text: a line for each line of the dialogue, with "S: " for the server and "C: " for the client.
 * "CONNECT host:port" begins a session, "TLS" marks the upgrade to TLS, "END" the end by the server.
 * "S> " and "C> " are pieces without a line end; bytes that are not text are "\xNN", a backslash is doubled.
 * "# 12.345 ms" is the time of what follows, "# " and anything else is a note.
 */

/** The entries, in order. */
export type Entry =
  | { readonly does: "connect"; readonly endpoint: string }
  | { readonly does: "client" | "server"; readonly text: string; readonly ended: boolean }
  | { readonly does: "tls" | "end" }
  | { readonly does: "time"; readonly at: number }
  | { readonly does: "note"; readonly text: string };

/** Stands for text that was left out; in a replay, it matches anything. */
export const MASK = "***";

/** The lines of a transcript. */
export function formatEntry(entry: Entry): string {
  switch (entry.does) {
    case "connect":
      return `CONNECT ${entry.endpoint}`;
    case "tls":
      return "TLS";
    case "end":
      return "END";
    case "time":
      return `# ${entry.at.toFixed(3)} ms`;
    case "note":
      return `# ${entry.text}`;
    default:
      return `${entry.does === "client" ? "C" : "S"}${entry.ended ? ":" : ">"} ${entry.text}`.trimEnd();
  }
}

/**
 * The sessions of a transcript without its times and notes.
 *
 * @throws SyntaxError for an invalid line
 */
export function parseTranscript(text: string): Entry[][] {
  return parseNotedTranscript(text).map((session) => session.filter(({ does }) => does !== "time" && does !== "note"));
}

/**
 * The sessions of a transcript; empty lines are left out. Notes before a session's first line belong to it.
 *
 * @throws SyntaxError for an invalid line
 */
export function parseNotedTranscript(text: string): Entry[][] {
  const sessions: Entry[][] = [];
  let notes: Entry[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === "") continue;
    const entry = parseEntry(line);
    if (entry?.does === "time" || entry?.does === "note") {
      notes.push(entry);
      continue;
    }
    if (entry?.does === "connect") sessions.push([]);
    const session = sessions.at(-1);
    if (entry === undefined || session === undefined) {
      throw new SyntaxError(`line ${index + 1} is none of a transcript: ${JSON.stringify(line)}`);
    }
    session.push(...notes, entry);
    notes = [];
  }
  sessions.at(-1)?.push(...notes);
  return sessions;
}

function parseEntry(line: string): Entry | undefined {
  if (line.startsWith("#")) return parseNote(line);
  if (line === "TLS") return { does: "tls" };
  if (line === "END") return { does: "end" };
  const [, endpoint] = /^CONNECT (.+)$/.exec(line) ?? [];
  if (endpoint !== undefined) return { does: "connect", endpoint };
  const [, side, sign, text = ""] = /^([CS])([:>])(?: (.*))?$/.exec(line) ?? [];
  return side === undefined ? undefined : { does: side === "C" ? "client" : "server", text, ended: sign === ":" };
}

function parseNote(line: string): Entry {
  const [, time] = /^# (\d+(?:\.\d+)?) ms$/.exec(line) ?? [];
  return time === undefined ? { does: "note", text: line.slice(1).trim() } : { does: "time", at: Number(time) };
}

/** Encodes bytes for a transcript. */
export function escapeOctets(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return text
      .replaceAll("\\", "\\\\")
      .replace(/[\x00-\x1f\x7f-\x9f]| $/g, (c) =>
        new TextEncoder().encode(c).reduce((all, octet) => all + hex(octet), ""),
      );
  } catch {
    // Not UTF-8: each byte is escaped.
    const shown = (octet: number): string => (octet === 0x5c ? "\\\\" : String.fromCharCode(octet));
    return Array.from(bytes, (octet) => (octet < 0x21 || octet > 0x7e ? hex(octet) : shown(octet))).join("");
  }
}

/** Decodes the bytes of a transcript. */
export function unescapeOctets(text: string): Uint8Array {
  const octets: number[] = [];
  const encoder = new TextEncoder();
  for (const [part, code] of text.matchAll(/\\x([0-9a-f]{2})|\\\\|[^\\]+|\\/g)) {
    if (code !== undefined) octets.push(Number.parseInt(code, 16));
    else octets.push(...encoder.encode(part === "\\\\" ? "\\" : part));
  }
  return Uint8Array.from(octets);
}

function hex(octet: number): string {
  return `\\x${octet.toString(16).padStart(2, "0")}`;
}
