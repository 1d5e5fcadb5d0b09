/**
 * The messages that a real server has stored, as the client sent them. Servers put trace fields before a message and,
 * in a Maildir, write LF for CRLF: both are undone here.
 */
import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Server } from "./servers.ts";

/** The name of the first field of each message of the tests; the server adds everything before it. */
export const markerField = "X-Marker";

/** A message in a mailbox, with CRLF line ends. */
export type StoredMessage = {
  /** The whole file. */
  raw: Uint8Array;
  /**
   * The server's fields at the beginning: Return-Path, Delivered-To, Received, …; the whole file without a marker
   * field.
   */
  trace: string;
  /** The client's part: from the marker field on. */
  message: Uint8Array;
  /** The recipient, from the trace or, in a folder with a Maildir for each user, from the name of the Maildir. */
  recipient: string;
};

/** The markers in each file: files in a Maildir do not change, and the tests of all runtimes store thousands. */
const markersOf = new Map<string, ReadonlySet<string>>();

/** The octets that hold a marker: after the server's trace, or in a report's copy of the header. Messages may be large. */
const HEAD = 32 * 1024;

/** The messages whose head, including the trace, contains `marker`, which is a UUID: one for each recipient. */
export async function storedMessages(server: Server, marker: string): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  for (const file of await mailFiles(server.maildir)) {
    const markers = markersOf.get(file) ?? (await markersIn(file));
    if (markers.has(marker)) found.push(takeApart(server, file, await readFile(file)));
  }
  return found;
}

/** Reads the markers of a file, and remembers them once the file is a second old. */
async function markersIn(file: string): Promise<ReadonlySet<string>> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD), 0, HEAD, 0);
    const head = buffer.toString("latin1", 0, bytesRead);
    const markers = new Set(head.match(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g));
    if (Date.now() - (await handle.stat()).mtimeMs > 1000) markersOf.set(file, markers);
    return markers;
  } finally {
    await handle.close();
  }
}

/**
 * Waits until `count` messages with the marker are stored, since a server replies 250 before it delivers.
 * @throws Error if they are not stored after ten seconds, or if there are more.
 */
export async function awaitMessages(server: Server, marker: string, count: number): Promise<StoredMessage[]> {
  const deadline = Date.now() + 10_000;
  for (let wait = 10; ; wait = Math.min(2 * wait, 250)) {
    const found = await storedMessages(server, marker);
    if (found.length === count) return found;
    if (found.length > count || Date.now() > deadline) {
      throw new Error(`${server.name} has ${found.length} messages with ${marker}, not ${count}`);
    }
    await delay(wait); // no event reports on all three runtimes that another process wrote a file
  }
}

/** Waits for the one message with the marker. */
export async function awaitMessage(server: Server, marker: string): Promise<StoredMessage> {
  const [message] = await awaitMessages(server, marker, 1);
  if (message === undefined) throw new Error("unreachable: one message was waited for");
  return message;
}

/** The finished messages of a Maildir, or of all Maildirs in subfolders; `tmp` has those that are being written. */
async function mailFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const perFolder = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory() || entry.name === "tmp") return [];
    if (entry.name !== "new" && entry.name !== "cur") return mailFiles(path);
    return (await readdir(path)).map((file) => join(path, file));
  });
  return (await Promise.all(perFolder)).flat();
}

function takeApart(server: Server, file: string, stored: Buffer): StoredMessage {
  // No lone LF can have come over the wire, so each one in the file stands for CRLF.
  const raw =
    server.lineEnd === "lf" ? Buffer.from(stored.toString("latin1").replaceAll("\n", "\r\n"), "latin1") : stored;
  const field = raw.indexOf(`\r\n${markerField}:`);
  const start = field < 0 ? raw.length : field + 2;
  const trace = raw.subarray(0, start).toString("utf8");
  const named = /^(?:Delivered-To|Envelope-to): *<?(.*?)>?\r$/im.exec(trace)?.[1];
  return { raw, trace, message: raw.subarray(start), recipient: named ?? file.split("/").at(-3) ?? "" };
}
