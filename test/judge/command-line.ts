/** The form of one command, whatever came before it: RFC 5321 4.1.1, and the extensions that add commands. */
import type { Fail } from "./transcript.ts";

/** One label of a domain (RFC 5321 4.1.2). */
const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
/** A domain, or an address literal in brackets. */
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[!-Z^-~]+\\])$`);
/** A local part: atoms with dots, or a quoted string. Atoms beyond ASCII are RFC 6531's. */
const LOCAL = `(?:[^\\x00-\\x20\\x7f<>()[\\]\\\\,;:@"]+|"(?:\\\\[ -~]|[^\\x00-\\x1f\\x7f"\\\\])*")`;
/** A mailbox; users of this machine have no domain. */
const MAILBOX = new RegExp(`^${LOCAL}(?:@[^\\x00-\\x20\\x7f<>()\\\\,;@"]+)?$`);
const BASE64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?";
const RESPONSE = new RegExp(`^(?:\\*|${BASE64})$`);

/** Command -> the form of the whole line, and its rule. */
const FORMS: Readonly<Record<string, readonly [form: RegExp, rule: string]>> = {
  EHLO: [/^\S+ \S+$/, "RFC 5321 4.1.1.1: EHLO has a name"],
  HELO: [/^\S+ \S+$/, "RFC 5321 4.1.1.1: EHLO has a name"],
  LHLO: [/^\S+ \S+$/, "RFC 5321 4.1.1.1: EHLO has a name"],
  MAIL: [/^MAIL FROM:<.*>/is, "RFC 5321 4.1.1.2: MAIL FROM:<path>"],
  RCPT: [/^RCPT TO:<.+>/is, "RFC 5321 4.1.1.3: RCPT TO:<path>"],
  DATA: [/^DATA$/i, "RFC 5321 4.1.1: no argument"],
  RSET: [/^RSET$/i, "RFC 5321 4.1.1: no argument"],
  QUIT: [/^QUIT$/i, "RFC 5321 4.1.1: no argument"],
  STARTTLS: [/^STARTTLS$/i, "RFC 3207 4: STARTTLS has no parameters"],
  NOOP: [/^NOOP( .+)?$/is, "RFC 5321 4.1.1.9: NOOP [string]"],
  HELP: [/^HELP( .+)?$/is, "RFC 5321 4.1.1.8: HELP [string]"],
  VRFY: [/^VRFY .+$/is, "RFC 5321 4.1.1.6: VRFY string"],
  EXPN: [/^EXPN .+$/is, "RFC 5321 4.1.1.7: EXPN string"],
  BDAT: [/^BDAT \d+( LAST)?$/i, "RFC 3030 2: BDAT chunk-size [LAST]"],
  AUTH: [new RegExp(`^AUTH [A-Z0-9_-]{1,20}( (=|(?=.)${BASE64}))?$`, "i"), "RFC 4954 4: AUTH mechanism [base64]"],
};

/** Checks any line of the client; `challenged`: it answers a challenge. Returns the line without its end. */
export function checkLine(wire: string, challenged: boolean, fail: Fail): string {
  if (!wire.endsWith("\r\n")) fail("RFC 5321 2.3.8: a line ends in CRLF", JSON.stringify(wire.slice(-20)));
  const line = wire.replace(/\r?\n$/, "");
  if (/[\x00-\x1f\x7f]/.test(line)) fail("RFC 5321 4.1.2: no control character in a command", shown(line));
  if (line.length > 12_286) fail("RFC 4954 4: a line has 12,288 octets at most", `${line.length}`);
  if (challenged && !RESPONSE.test(line)) fail("RFC 4954 4: a response is base64 or *", "");
  return line;
}

/** Checks the form of a command, and returns its verb in capitals. */
export function checkForm(line: string, fail: Fail): string {
  const [word = ""] = line.split(/[ :]/, 1);
  const verb = word.toUpperCase();
  const form = FORMS[verb];
  if (form === undefined) fail("RFC 5321 4.1.1: there is no such command", shown(line));
  else if (!form[0].test(line)) fail(form[1], shown(line));
  else if (/^[EHL][HEL]LO$/.test(verb) && !HOST.test(line.slice(5))) {
    fail("RFC 5321 4.1.2: a host's name has labels of letters, digits and hyphens, or is an address", line);
  }
  return verb;
}

/** Parses MAIL or RCPT; an invalid path is undefined. */
export function pathOf(line: string, fail: Fail): { path: string | undefined; parameters: string } {
  const [, path, parameters = ""] = /^[^:]*:<((?:"(?:\\.|[^"\\])*"|[^<>"])*)>(.*)$/s.exec(line) ?? [];
  if (path === undefined) {
    // A line without any angle brackets violates the form of the command.
    if (/^[^:]*:<.*>/s.test(line)) fail("RFC 5321 4.1.2: one path in angle brackets", line);
    return { path, parameters: "" };
  }
  if (path.startsWith("@")) fail("RFC 5321 4.1.1.3: no source route", line);
  else if (path !== "" && !MAILBOX.test(path)) fail("RFC 5321 4.1.2: a path is a mailbox", line);
  return { path, parameters };
}

/** The mechanism and the initial response of AUTH. */
export function authOf(line: string): { mechanism: string; initial: string | undefined } {
  const [, mechanism = "", initial] = line.split(" ");
  return { mechanism: mechanism.toUpperCase(), initial };
}

/** The beginning of a line for a report, without the secrets of AUTH. */
function shown(line: string): string {
  return /^AUTH /i.test(line) ? authOf(line).mechanism : line.slice(0, 200);
}
