/**
 * Reads a message's header for `send_message` (RFC 5322): the sender, the recipients, and the message without its Bcc
 * fields. All other bytes stay unchanged.
 */
import { excerpt } from "./address.ts";
import { scanAddresses } from "./address-list.ts";
import { checkArgument, concat } from "./bytes.ts";
import type { Mailbox } from "./mailbox.ts";

/** A message whose header was read. Addresses are parsed, and may be refused, only on demand. */
export type ReadMessage = {
  /**
   * The message to send: without the `Bcc` and `Resent-Bcc` fields of its header, and without an mbox `From ` line at
   * its start. The same array if nothing was removed.
   */
  readonly message: Uint8Array;
  /**
   * True if a header field that is sent has bytes over 127 and is UTF-8: RFC 6532 allows it only with SMTPUTF8. A field
   * in any other charset needs no more than 8BITMIME.
   */
  readonly utf8Headers: boolean;
  /** True if there is a `Resent-Date`, so that the `Resent-` block has the sender and the recipients. */
  readonly resent: boolean;
  /**
   * The address of `Sender`, else the first one of `From`; of the `Resent-` block if there is one. "" for `<>` alone,
   * undefined if no field has an address.
   * @throws {RangeError} if the field is ambiguous
   */
  sender(): string | undefined;
  /**
   * The addresses of all `To`, then `Bcc`, then `Cc` fields, or of the `Resent-` block; includes duplicates, but not
   * `<>`.
   * @throws {RangeError} if a field is ambiguous
   */
  recipients(): string[];
};

/**
 * Reads the header of a message. It ends at the first empty line, or before the first line that is no header field;
 * lines end in CRLF, LF or CR. As in Python, an mbox `From ` line and a line that begins with a colon do not end it.
 * The array is not changed.
 * @throws {RangeError} if there is more than one `Resent-Date`, since the order of the blocks is unknown; and if a
 * `Bcc` field would be sent, because it is in a place where only some programs read header fields
 */
export function readMessage(raw: Uint8Array): ReadMessage {
  const { fields, stray, kept, utf8Headers } = readHeader(raw);
  const resentDates = fields.filter((field) => field.name === "resent-date").length;
  if (resentDates > 1) throw new RangeError("message has more than one 'Resent-' header block");
  refuseStray(stray, ["bcc", "resent-bcc"]);
  const resent = resentDates === 1;
  const prefix = resent ? "resent-" : "";
  const mailboxes = (name: string): Mailbox[] => {
    refuseStray(stray, [prefix + name, "resent-date"]);
    return fields.filter((field) => field.name === prefix + name).flatMap((field) => readAddresses(raw, field));
  };
  return {
    message: kept.length === 1 && kept[0]?.length === raw.length ? raw : concat(kept),
    utf8Headers,
    resent,
    sender: () => (mailboxes("sender")[0] ?? mailboxes("from")[0])?.path,
    recipients: () =>
      ["to", "bcc", "cc"]
        .flatMap(mailboxes)
        .map(({ path }) => path)
        .filter((path) => path !== ""),
  };
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const COLON = 58;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A header field: its name in lower case, and the start and end of its body. */
type Field = { readonly name: string; readonly from: number; readonly to: number };

/** The length of the longest relevant name. */
const LONGEST_NAME = "resent-sender".length;

/** The parsed header. */
type Header = {
  readonly fields: readonly Field[];
  /** The names, in lower case, of lines that only a lenient reader takes for fields. */
  readonly stray: ReadonlySet<string>;
  /** The parts of the message to send. */
  readonly kept: readonly Uint8Array[];
  readonly utf8Headers: boolean;
};

function readHeader(raw: Uint8Array): Header {
  const fields: Field[] = [];
  const stray = new Set<string>();
  const kept: Uint8Array[] = [];
  let utf8Headers = false;
  let keptFrom = 0;
  let lastKept: number | undefined;
  let at = 0;
  while (at < raw.length && !isLineEnd(raw[at])) {
    const field = fieldAt(raw, at);
    if (field === undefined && !isSkipped(raw, at)) break;
    const end = endOfField(raw, at);
    const isMbox = at === 0 && field === undefined && startsWith(raw, at, "From ");
    if (isMbox || field?.name === "bcc" || field?.name === "resent-bcc") {
      if (at > keptFrom) lastKept = raw[at - 1];
      kept.push(raw.subarray(keptFrom, at));
      // A CR before the gap and an LF after it must not become one line end: the empty line would be lost.
      keptFrom = lastKept === CR && raw[end.next] === LF ? end.next - 1 : end.next;
    } else {
      utf8Headers ||= field !== undefined && end.eightBit && isUtf8(raw.subarray(at, end.next));
    }
    if (field !== undefined) fields.push({ ...field, to: end.next });
    else addStray(stray, raw, at, end.next);
    at = end.next;
  }
  addStray(stray, raw, at, raw.length);
  kept.push(raw.subarray(keptFrom));
  return { fields, stray, kept, utf8Headers };
}

/** Whether a line is no field, but does not end the header: Python skips such lines, and so do some receivers. */
function isSkipped(raw: Uint8Array, at: number): boolean {
  if (raw[at] === COLON || startsWith(raw, at, "From ") || startsWith(raw, at, ">From ")) return true;
  return at === 0 && isBlank(raw[at]);
}

/** Adds the names of possible fields, from a line to the next empty one. */
function addStray(stray: Set<string>, raw: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to && !isLineEnd(raw[at]); ) {
    const { name, next } = strayLine(raw, at);
    if (name !== "") stray.add(name);
    at = next;
  }
}

/** Reads a line that is no field, leniently: before a colon, only bytes of a name count. */
function strayLine(raw: Uint8Array, from: number): { name: string; next: number } {
  let name = "";
  let at = from;
  let inName = true;
  for (; at < raw.length && !isLineEnd(raw[at]); at++) {
    if (raw[at] === COLON) inName = false;
    if (inName && isNameOctet(raw[at]) && name.length <= LONGEST_NAME) name += String.fromCharCode(raw[at] ?? 0);
  }
  const next = at + (raw[at] === CR && raw[at + 1] === LF ? 2 : 1);
  return { name: inName ? "" : name.toLowerCase(), next };
}

/** Whether such a line belongs to the header, and so names a recipient, depends on the program that reads it. */
function refuseStray(stray: ReadonlySet<string>, names: readonly string[]): void {
  const name = names.find((one) => stray.has(one));
  if (name === undefined) return;
  throw new RangeError(
    `the header of the message cannot be read without guessing: it has a line "${name}:" that only some programs take ` +
      "for a header field. Is it malformed, or behind a line that is no field, or is the empty line missing before it?",
  );
}

/** The field whose line begins at `at`. White space before the colon is obsolete, but legal (RFC 5322 4.5). */
function fieldAt(raw: Uint8Array, at: number): Field | undefined {
  let end = at;
  while (isNameOctet(raw[end])) end++;
  let colon = end;
  while (isBlank(raw[colon])) colon++;
  if (end === at || raw[colon] !== COLON) return undefined;
  const name = end - at > LONGEST_NAME ? "" : String.fromCharCode(...raw.subarray(at, end)).toLowerCase();
  return { name, from: colon + 1, to: colon + 1 };
}

/** The end of the field at `at`, including its continuation lines (RFC 5322 2.2.3). */
function endOfField(raw: Uint8Array, at: number): { next: number; eightBit: boolean } {
  let eightBit = false;
  let next = at;
  do {
    while (next < raw.length && !isLineEnd(raw[next])) {
      if ((raw[next] ?? 0) > 127) eightBit = true;
      next++;
    }
    next += raw[next] === CR && raw[next + 1] === LF ? 2 : 1;
  } while (isBlank(raw[next]));
  return { next: Math.min(next, raw.length), eightBit };
}

function startsWith(raw: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) if (raw[at + index] !== text.charCodeAt(index)) return false;
  return true;
}

function isUtf8(octets: Uint8Array): boolean {
  try {
    strictDecoder.decode(octets);
    return true;
  } catch {
    return false;
  }
}

function isLineEnd(octet: number | undefined): boolean {
  return octet === LF || octet === CR;
}

function isBlank(octet: number | undefined): boolean {
  return octet === SPACE || octet === TAB;
}

function isNameOctet(octet: number | undefined): boolean {
  return octet !== undefined && octet > SPACE && octet < 127 && octet !== COLON;
}

const ENCODED_WORD = /=\?[^?\s]+\?[bq]\?[^?\s]*\?=/i;

function readAddresses(raw: Uint8Array, field: Field): readonly Mailbox[] {
  const text = decoder.decode(raw.subarray(field.from, field.to)).replace(/[\r\n]+/g, "");
  const fail = (reason: string): never => {
    throw new RangeError(
      `the header field ${field.name} cannot be read without guessing, it has ${reason}: ${excerpt(text)}`,
    );
  };
  const mailboxes = scanAddresses(text, /from$|sender$/.test(field.name) ? "senders" : "many", fail);
  for (const { path, localPart } of mailboxes) {
    checkArgument(path, `an address of the header field ${field.name}`);
    if (path.includes("\ufffd")) fail("an address that is not UTF-8");
    if (localPart.startsWith("=?") || ENCODED_WORD.test(localPart)) {
      fail("an encoded word where an address should be");
    }
  }
  return mailboxes;
}
