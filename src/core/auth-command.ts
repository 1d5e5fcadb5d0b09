/** The lines of an AUTH exchange (RFC 4954 4). Not in `command.ts`, because only a login needs them and base64. */
import { encodeBase64 } from "./base64.ts";
import { checkArgument, decodeText, latin1, latin1Octets, quoted, utf8 } from "./bytes.ts";
import { Command, MASK } from "./command.ts";
import { SecretCommand } from "./secret-command.ts";

/** AUTH with or without an initial response; an empty one is "=". */
export function authCommand(mechanism: string, initialResponse?: Uint8Array): Command {
  const line = `AUTH ${checkArgument(mechanism, "mechanism")}`;
  if (initialResponse === undefined) return new Command("AUTH", line);
  const sent = initialResponse.length === 0 ? "=" : encodeBase64(initialResponse);
  return new SecretCommand("AUTH", `${line} ${MASK}`, [sent, ...echoes(initialResponse)]);
}

/** A response to a challenge. */
export function authResponse(response: Uint8Array): Command {
  const sent = encodeBase64(response);
  return sent === "" ? new Command("", "") : new SecretCommand("", MASK, [sent, ...echoes(response)]);
}

/** The line that cancels an exchange. */
export function authCancel(): Command {
  return new Command("", "*");
}

/** The length of a command's line in bytes, with CRLF (RFC 5321 4.5.3.1.4 allows 512). */
export function lineLength(command: Command): number {
  return utf8(command.wire).length;
}

/**
 * The texts of a response that a server may echo: its fields, of which PLAIN and XOAUTH2 have several, and the token or
 * proof in it, each in all forms that an error or a log may contain.
 */
function echoes(response: Uint8Array): readonly string[] {
  const texts = decodeText(response).split(/[\0\x01]/);
  const cores = texts.flatMap((text) => /(?:^auth=\w+ |,p=)(.+)$/.exec(text)?.slice(1) ?? []);
  return [...new Set([...texts, ...cores].flatMap(formsOf))];
}

/**
 * A text unchanged, in base64, and quoted. A non-ASCII text also as its UTF-8 bytes read as Latin-1, which `decodeText`
 * returns if the rest of a reply is not UTF-8, and as a server with Latin-1 passwords writes it.
 */
function formsOf(text: string): readonly string[] {
  const octets = utf8(text);
  const forms = [text, encodeBase64(octets), quoted(text).slice(1, -1)];
  if (octets.length === text.length) return forms;
  const misread = latin1(octets);
  forms.push(misread, quoted(misread).slice(1, -1));
  if (!/^[\0-\xff]*$/.test(text)) return forms;
  const converted = latin1Octets(text);
  return [...forms, decodeText(converted), encodeBase64(converted)];
}
