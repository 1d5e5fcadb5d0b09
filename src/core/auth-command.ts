/** The lines of an AUTH exchange (RFC 4954 4). Apart from `command.ts`, because only a login needs them and base64. */
import { encodeBase64 } from "./base64.ts";
import { checkArgument, decodeText, latin1, latin1Octets, quoted, utf8 } from "./bytes.ts";
import { Command, MASK } from "./command.ts";
import { SecretCommand } from "./secret-command.ts";

/** AUTH with an initial response or without; an empty one is "=". */
export function authCommand(mechanism: string, initialResponse?: Uint8Array): Command {
  const line = `AUTH ${checkArgument(mechanism, "mechanism")}`;
  if (initialResponse === undefined) return new Command("AUTH", line);
  const sent = initialResponse.length === 0 ? "=" : encodeBase64(initialResponse);
  return new SecretCommand("AUTH", `${line} ${MASK}`, [sent, ...echoes(initialResponse)]);
}

/** A line that answers a challenge. */
export function authResponse(response: Uint8Array): Command {
  const sent = encodeBase64(response);
  return sent === "" ? new Command("", "") : new SecretCommand("", MASK, [sent, ...echoes(response)]);
}

/** The line that gives up an exchange. */
export function authCancel(): Command {
  return new Command("", "*");
}

/** How many octets a command's line has, its end included (RFC 5321 4.5.3.1.4 knows of 512). */
export function lineLength(command: Command): number {
  return utf8(command.wire).length;
}

/**
 * What a server may make of a response, and echo: each of its texts, of which PLAIN and XOAUTH2 have several, and the
 * token or proof in it, each in all forms that an error or a log may show.
 */
function echoes(response: Uint8Array): readonly string[] {
  const texts = decodeText(response).split(/[\0\x01]/);
  const cores = texts.flatMap((text) => /(?:^auth=\w+ |,p=)(.+)$/.exec(text)?.slice(1) ?? []);
  return [...new Set([...texts, ...cores].flatMap(formsOf))];
}

/**
 * A text as it is, in base64, and in quotes. Beyond ASCII also as the Latin-1 reading of its UTF-8, which `decodeText`
 * gives where the rest of a reply is not UTF-8, and as a server writes it that keeps its passwords in Latin-1.
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
