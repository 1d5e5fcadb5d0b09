/** The values that reports have in fields and in texts: addresses, status codes, actions, replies. */
import { decodeWords } from "../core/mime.ts";
import { mailboxIn } from "./mailbox-in.ts";
import type { ReportedRecipient } from "./parse-report.ts";
import { oneLine } from "./report-parts.ts";

type Action = ReportedRecipient["action"];

/** The address of "rfc822; user@example.com"; some leave out the type, or write a name, brackets or a comment. */
export function addressOf(field: string): string | undefined {
  const [, type = "", rest = field] = TYPED.exec(field) ?? [];
  const text = oneLine(rest);
  // A text that is no mailbox may be the command of a pipe.
  const address = mailboxIn(text)?.path ?? text.replace(/^<([^<>]*)>$/, "$1").trim();
  return (/^utf-8$/i.test(type) ? unescaped(address) : address) || undefined;
}

/** A type, such as "smtp", and what it is the type of. */
const TYPED = /^\s*([A-Za-z][\w.-]*)\s*;(.*)$/s;

/** Replaces `\x{…}` by its character (RFC 6533 3), unless that is a control character or half of a surrogate pair. */
function unescaped(address: string): string {
  return address.replace(/\\x\{([0-9A-Fa-f]{2,6})\}/g, (whole, digits: string) => {
    const code = Number.parseInt(digits, 16);
    return code > 0x10ffff || /[\p{Cc}\p{Cs}]/u.test(String.fromCodePoint(code)) ? whole : String.fromCodePoint(code);
  });
}

/** The addresses of a list with commas. A quoted string, which may have commas, ends with the text if it is open. */
export function addressesIn(list: string): string[] {
  const entries = list.match(/(?:"(?:[^"\\]|\\.)*\\?(?:"|$)|[^",]+)+/gs) ?? [];
  return entries.flatMap((entry) => addressOf(entry) ?? []);
}

/** The text of a Diagnostic-Code, without its type. */
export function diagnosticOf(field: string): string | undefined {
  const [, , rest = field] = TYPED.exec(field) ?? [];
  return oneLine(decodeWords(rest)) || undefined;
}

/** The reply that Exchange has in a field of its own: `<mx.example.net #5.1.1 smtp;550 5.1.1 no such user>`. */
export function supplementOf(field: string): string | undefined {
  const [, reply] = /^\s*<[^\s<>]+ #\S+ (.*)>\s*$/s.exec(field) ?? [];
  return reply === undefined ? undefined : diagnosticOf(reply);
}

/** The status code (RFC 3463) in a text. Four numbers with dots are an IP address. */
export function statusIn(text: string): string | undefined {
  return /(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\d|\.\d)/.exec(text)?.[0];
}

/** The status code of a reply in a text: behind the reply's code, else anywhere, else made of the reply's code. */
export function repliedStatus(text: string): string | undefined {
  const [, behind] = /(?<![\d.])[45]\d\d[ -]#?([45]\.\d{1,3}\.\d{1,3})(?!\d|\.\d)/.exec(text) ?? [];
  // No code is a port or a part of an IP address.
  const [, first] = /(?:^|(?<!port)[\s'"(])([45])\d\d(?=[\s:-]|$)/.exec(text) ?? [];
  return behind ?? statusIn(text) ?? (first === undefined ? undefined : `${first}.0.0`);
}

/** How Action may begin, with what follows from it. */
const ACTIONS: readonly (readonly [begin: RegExp, action: Action])[] = [
  [/^(?:fail|undeliver|expire|bounce)/, "failed"],
  [/^(?:delay|defer)/, "delayed"],
  [/^deliver/, "delivered"],
  [/^relay/, "relayed"],
  [/^expan/, "expanded"],
];

/** The action of a field, or else of a status code. */
export function actionOf(field: string, status: string | undefined): Action {
  const said = field.replace(/^\s*(?:\([^()]*\)\s*)?"?/, "").toLowerCase();
  const found = ACTIONS.find(([begin]) => begin.test(said))?.[1];
  if (found !== undefined) return found;
  if (status?.startsWith("2")) return "delivered";
  return status?.startsWith("4") ? "delayed" : "failed";
}
