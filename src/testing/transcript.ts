/**
 * Transcripts as text: a line for each line that was said, "S: " before the server's and "C: " before the client's.
 * "CONNECT host:port" begins a session, "TLS" stands where it turned to TLS, "END" where the server ended it.
 * "S> " and "C> " are pieces without a line end; octets that are no text are "\xNN", a backslash is doubled.
 * "# 12.345 ms" tells the time of what follows, "# " and anything else is a note.
 */

/** What happened, in order. */
export type Entry =
  | { readonly does: "connect"; readonly endpoint: string }
  | { readonly does: "client" | "server"; readonly text: string; readonly ended: boolean }
  | { readonly does: "tls" | "end" }
  | { readonly does: "time"; readonly at: number }
  | { readonly does: "note"; readonly text: string };

/** What stands for what was left out, and for what may be anything when a transcript is replayed. */
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
 * @throws SyntaxError for a line that is none of a transcript
 */
export function parseTranscript(text: string): Entry[][] {
  return parseNotedTranscript(text).map((session) => session.filter(({ does }) => does !== "time" && does !== "note"));
}

/**
 * The sessions of a transcript; empty lines are left out. Notes before a session's first line belong to it.
 *
 * @throws SyntaxError for a line that is none of a transcript
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

/** Octets as a transcript shows them. */
export function escapeOctets(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return text
      .replaceAll("\\", "\\\\")
      .replace(/[\x00-\x1f\x7f-\x9f]| $/g, (c) =>
        new TextEncoder().encode(c).reduce((all, octet) => all + hex(octet), ""),
      );
  } catch {
    // No UTF-8: each octet for itself.
    const shown = (octet: number): string => (octet === 0x5c ? "\\\\" : String.fromCharCode(octet));
    return Array.from(bytes, (octet) => (octet < 0x21 || octet > 0x7e ? hex(octet) : shown(octet))).join("");
  }
}

/** The octets that a transcript shows so. */
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
