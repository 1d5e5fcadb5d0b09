/**
 * What `send_message` needs of a message's header, and no more (RFC 5322): who sends it, who gets it, and the message
 * without its Bcc fields. Everything else stays as it is, octet by octet.
 */
import { excerpt } from "./address.ts";
import { scanAddresses } from "./address-list.ts";
import { checkArgument, concat } from "./bytes.ts";
import type { Mailbox } from "./mailbox.ts";

/** A message whose header was read. Addresses are parsed when they are asked for, so that nobody else stumbles over them. */
export type ReadMessage = {
  /**
   * The message as it goes out: without the `Bcc` and `Resent-Bcc` fields of its header, and without an mbox `From ` line.
   * The very array that was read if nothing had to go.
   */
  readonly message: Uint8Array;
  /** True if the header that goes out has octets over 127, which RFC 6532 allows under SMTPUTF8 only. */
  readonly utf8Headers: boolean;
  /**
   * The address of `Sender`, else the first one of `From`; those of the `Resent-` block if there is one. "" for `<>`,
   * undefined if no field has an address.
   * @throws {RangeError} if the field cannot be read without guessing
   */
  sender(): string | undefined;
  /**
   * The addresses of all `To`, then `Bcc`, then `Cc` fields, or those of the `Resent-` block; duplicates are kept.
   * @throws {RangeError} if a field cannot be read without guessing
   */
  recipients(): string[];
};

/**
 * Reads the header of a message. It ends at the first empty line, or before the first line that is no header field;
 * lines end in CRLF, LF or CR. The array is not changed.
 * @throws {RangeError} if there is more than one `Resent-Date`: nobody can tell which block the last one is
 */
export function readMessage(raw: Uint8Array): ReadMessage {
  const { fields, kept, utf8Headers } = readHeader(raw);
  const resentDates = fields.filter((field) => field.name === "resent-date").length;
  if (resentDates > 1) throw new RangeError("message has more than one 'Resent-' header block");
  const prefix = resentDates === 1 ? "resent-" : "";
  const mailboxes = (name: string): Mailbox[] =>
    fields.filter((field) => field.name === prefix + name).flatMap((field) => readAddresses(raw, field));
  return {
    message: kept.length === 1 && kept[0]?.length === raw.length ? raw : concat(kept),
    utf8Headers,
    sender: () => (mailboxes("sender")[0] ?? mailboxes("from")[0])?.path,
    recipients: () => ["to", "bcc", "cc"].flatMap(mailboxes).map(({ path }) => path),
  };
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const COLON = 58;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A header field: its name in lower case, and where its body begins and ends. */
type Field = { readonly name: string; readonly from: number; readonly to: number };

/** The longest name that matters; a longer one is no concern of ours. */
const LONGEST_NAME = "resent-sender".length;

function readHeader(raw: Uint8Array): { fields: Field[]; kept: Uint8Array[]; utf8Headers: boolean } {
  const fields: Field[] = [];
  const kept: Uint8Array[] = [];
  let utf8Headers = false;
  let keptFrom = 0;
  let lastKept: number | undefined;
  let at = 0;
  while (at < raw.length && !isLineEnd(raw[at])) {
    const field = fieldAt(raw, at);
    const isMbox = at === 0 && field === undefined && startsWithFrom(raw);
    if (field === undefined && !isMbox && !(at === 0 && isBlank(raw[0]))) break;
    const end = endOfField(raw, at);
    if (isMbox || field?.name === "bcc" || field?.name === "resent-bcc") {
      if (at > keptFrom) lastKept = raw[at - 1];
      kept.push(raw.subarray(keptFrom, at));
      // A CR before the gap and an LF behind it must not become one line end: the empty line would be lost.
      keptFrom = lastKept === CR && raw[end.next] === LF ? end.next - 1 : end.next;
    } else {
      utf8Headers ||= end.eightBit;
    }
    if (field !== undefined) fields.push({ ...field, to: end.next });
    at = end.next;
  }
  kept.push(raw.subarray(keptFrom));
  return { fields, kept, utf8Headers };
}

/** The field whose line begins at `at`. White space before the colon is obsolete, not illegal (RFC 5322 4.5). */
function fieldAt(raw: Uint8Array, at: number): Field | undefined {
  let end = at;
  while (isNameOctet(raw[end])) end++;
  let colon = end;
  while (isBlank(raw[colon])) colon++;
  if (end === at || raw[colon] !== COLON) return undefined;
  const name = end - at > LONGEST_NAME ? "" : String.fromCharCode(...raw.subarray(at, end)).toLowerCase();
  return { name, from: colon + 1, to: colon + 1 };
}

/** Where the field that begins at `at` ends, with the lines that continue it (RFC 5322 2.2.3). */
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

function startsWithFrom(raw: Uint8Array): boolean {
  return String.fromCharCode(...raw.subarray(0, 5)) === "From ";
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

function readAddresses(raw: Uint8Array, field: Field): readonly Mailbox[] {
  const text = decoder.decode(raw.subarray(field.from, field.to)).replace(/[\r\n]+/g, "");
  const fail = (reason: string): never => {
    throw new RangeError(
      `the header field ${field.name} cannot be read without guessing, it has ${reason}: ${excerpt(text)}`,
    );
  };
  const mailboxes = scanAddresses(text, "many", fail);
  for (const { path, localPart } of mailboxes) {
    checkArgument(path, `an address of the header field ${field.name}`);
    if (path === "" && !/from$|sender$/.test(field.name)) fail('"<>" for a recipient');
    if (path.includes("\ufffd")) fail("an address that is not UTF-8");
    if (localPart.startsWith("=?")) fail("an encoded word where an address should be");
  }
  return mailboxes;
}
