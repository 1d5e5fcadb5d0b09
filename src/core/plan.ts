/**
 * What a message needs, held against what the server offers: the envelope's commands, or a refusal before the
 * first of them is sent. Pure: the same needs and features give the same plan.
 */

import { SMTPNotSupportedError } from "../errors.ts";
import { quoted } from "./bytes.ts";
import { mailLine, rcptLine } from "./command.ts";
import type { MailOptions } from "./extensions/extension.ts";
import { checkSize } from "./extensions/size.ts";
import { type Features, notOffered } from "./features.ts";
import { HiddenEndError } from "./hidden-end.ts";
import type { Path } from "./mailbox.ts";

/** EsmtpParameters as Python takes them, each one string and written as given, or typed. */
export type Options<T = MailOptions> = readonly string[] | T;

/** What the server said of itself: whether it took EHLO, and what it offered; and the TLS that it said so under. */
export type Server = {
  readonly esmtp: boolean;
  /** The text of the answer to EHLO or LHLO, whatever its code. */
  readonly ehlo?: string;
  readonly features: Features;
  readonly tls?: { readonly verified: boolean } | undefined;
};

/** The parameters of a command on a server that has introduced itself; may refuse. */
export type EsmtpParameters = (server: Server) => readonly string[];

/** A recipient and what is asked for it. */
export type Recipient = {
  /** The address as the caller gave it: the key in `Refused`. */
  readonly given: string;
  /** The address as MAIL and RCPT have it. */
  readonly mailbox: Path;
  readonly parameters: EsmtpParameters;
};

/** No parameters. */
export const noParameters: EsmtpParameters = () => [];

/** What the content demands; undefined: not known before it is read. */
export type ContentNeeds = {
  /** After line-end normalisation, as text goes. */
  readonly octets?: number | undefined;
  /** As it is: what goes under BINARYMIME. */
  readonly bytes?: { readonly length: number } | undefined;
  readonly eightBit?: boolean | undefined;
  /** A line begins with NUL and a dot. */
  readonly hiddenEnd?: boolean | undefined;
};

/** What an envelope demands. */
export type EnvelopeNeeds = {
  readonly sender: Path;
  readonly recipients: readonly Recipient[];
  readonly parameters: EsmtpParameters;
  /** Header fields are raw UTF-8, and not ASCII. */
  readonly utf8Headers: boolean;
};

/** What to do with octets over 127 that the server did not agree to take. */
export type EightBitPolicy = "refuse" | "send";

/** What the caller permits, beside the message itself. */
export type SendingPolicy = {
  readonly eightBit: EightBitPolicy;
  /** True: BDAT wherever it is offered; false: never; undefined: for what gains by it. */
  readonly chunking?: boolean | undefined;
  /** True if small messages go in one flight, which BDAT alone makes possible. */
  readonly eager?: boolean | undefined;
};

/** The envelope, ready to be sent. */
export type Plan = {
  /** The line of MAIL, without its end. */
  readonly mail: string;
  /** The line of each RCPT, without its end. */
  readonly recipients: readonly string[];
  /** What carries the content. */
  readonly verb: "DATA" | "BDAT";
  /** "text": line ends become CRLF; "binary": each octet goes as it is, declared by BODY=BINARYMIME (RFC 3030 3). */
  readonly content: "text" | "binary";
  /** True if an octet over 127 in the content must end the attempt (RFC 5321 2.4). */
  readonly sevenBitOnly: boolean;
};

/**
 * Plans a message.
 * @throws {SMTPNotSupportedError} if the server lacks what the message needs, or what was asked for
 * @throws {TypeError} for unknown or wrongly typed options
 * @throws {RangeError} for values that cannot stand in a command, and a content that some servers would see the end of
 */
export function planMessage(
  { sender, recipients, parameters: options, utf8Headers }: EnvelopeNeeds,
  content: ContentNeeds,
  server: Server,
  policy: SendingPolicy,
): Plan {
  const { features } = server;
  const asked = options(server);
  const binary = asked.some(isBinary);
  if (binary) checkChunking(server, policy);
  const needsUtf8 = utf8Headers || !hasAsciiForm(sender) || !recipients.every(({ mailbox }) => hasAsciiForm(mailbox));
  const utf8 = needsUtf8 && features["smtputf8"] !== undefined;
  const parameters = messageParameters(content, server, asked, binary, utf8);
  const sevenBitOnly = !binary && isSevenBitOnly(server, policy.eightBit);
  checkContent(content, sevenBitOnly, binary);
  if (policy.eightBit === "refuse" && utf8Headers && !utf8)
    throw notOffered("SMTPUTF8", "a message with UTF-8 header fields");
  return {
    verb: binary || gainsByChunks(content, server, policy) ? "BDAT" : "DATA",
    content: binary ? "binary" : "text",
    mail: mailLine(asServerTakesIt(sender, server), parameters),
    recipients: recipients.map((r) => rcptLine(asServerTakesIt(r.mailbox, server), r.parameters(server))),
    sevenBitOnly,
  };
}

/**
 * Plans a message whose addresses, all plain paths (`isPlainPath`), go as they are, without parameters: nearly every one.
 * The plan is that of `planMessage()`.
 * @throws as `planMessage()` does
 */
export function planPlain(
  from: string,
  to: readonly string[],
  content: ContentNeeds,
  server: Server,
  policy: SendingPolicy,
): Plan {
  const { octets, eightBit } = content;
  const { features } = server;
  const sevenBitOnly = isSevenBitOnly(server, policy.eightBit);
  const size = features["size"];
  let mail = `MAIL FROM:<${from}>`;
  if (octets !== undefined && size !== undefined) {
    if (size !== "") checkSize(octets, size);
    mail += ` SIZE=${octets}`;
  }
  checkContent(content, sevenBitOnly, false);
  if (eightBit !== false && features["8bitmime"] !== undefined) mail += " BODY=8BITMIME";
  const recipients: string[] = [];
  for (const path of to) recipients.push(`RCPT TO:<${path}>`);
  return {
    verb: gainsByChunks(content, server, policy) ? "BDAT" : "DATA",
    content: "text",
    mail,
    recipients,
    sevenBitOnly,
  };
}

function checkContent({ eightBit, hiddenEnd }: ContentNeeds, sevenBitOnly: boolean, binary: boolean): void {
  if (sevenBitOnly && eightBit) throw eightBitRefused();
  if (!binary && hiddenEnd) throw new HiddenEndError();
}

/**
 * The mailbox as it goes to this server. A domain goes as A-labels, which all servers take, the next ones too; only a local
 * part needs SMTPUTF8 (RFC 6531 3.2).
 */
export function asServerTakesIt(mailbox: Path, server: Server): Path {
  if (mailbox.ascii) return mailbox;
  const ascii = mailbox.toAscii?.();
  if (ascii !== undefined) return ascii;
  if (server.features["smtputf8"] !== undefined) return mailbox;
  throw notOffered("SMTPUTF8", `the address ${quoted(mailbox.path)}`);
}

function hasAsciiForm(mailbox: Path): boolean {
  return mailbox.ascii || mailbox.toAscii?.() !== undefined;
}

/** Whether an octet over 127 must not be sent (RFC 5321 2.4). */
export function isSevenBitOnly(server: Server, policy: EightBitPolicy): boolean {
  return policy === "refuse" && server.features["8bitmime"] === undefined;
}

/** An octet over 127 for a server that takes seven bits only. */
export function eightBitRefused(): SMTPNotSupportedError {
  const advice = ': encode it as base64 or quoted-printable, or set the option eightBit to "send"';
  return notOffered("8BITMIME", "a message with octets over 127", advice);
}

/** What ends DATA may stand in any octets: they need BDAT (RFC 3030 3). */
function checkChunking({ features }: Server, { chunking }: SendingPolicy): void {
  if (features["chunking"] === undefined) throw notOffered("CHUNKING", "BODY=BINARYMIME");
  if (chunking !== false) return;
  throw new SMTPNotSupportedError(
    "BODY=BINARYMIME needs BDAT, which the option chunking excludes or the server did not know",
    { capability: "CHUNKING", delivery: "not-sent" },
  );
}

/** The octets of a message that takes no longer by DATA. */
const SMALL = 65_536;

/**
 * Whether BDAT carries the content. For a small message it saves nothing, and fails where a server or something before it
 * offers CHUNKING without knowing BDAT.
 */
function gainsByChunks({ octets }: ContentNeeds, { features }: Server, { chunking, eager }: SendingPolicy): boolean {
  if (features["chunking"] === undefined || chunking === false) return false;
  if (chunking === true || octets === undefined || octets > SMALL) return true;
  return eager === true && features["pipelining"] !== undefined;
}

function isBinary(parameter: string): boolean {
  return /^body=binarymime$/i.test(parameter);
}

function messageParameters(
  { octets, bytes, eightBit }: ContentNeeds,
  server: Server,
  asked: readonly string[],
  binary: boolean,
  utf8: boolean,
): readonly string[] {
  const limit = server.features["size"];
  const size = binary ? bytes?.length : octets;
  const parameters = [...asked];
  if (size !== undefined) {
    checkSize(size, limit);
    if (limit !== undefined && !names(asked, "SIZE")) parameters.unshift(`SIZE=${size}`);
  }
  if (utf8 && !names(asked, "SMTPUTF8")) parameters.push("SMTPUTF8");
  const eightBitMime = (utf8 || eightBit !== false) && server.features["8bitmime"] !== undefined;
  if (eightBitMime && !names(asked, "BODY")) parameters.push("BODY=8BITMIME");
  return parameters;
}

/** Whether one of these parameters has this name. */
function names(asked: readonly string[], name: string): boolean {
  return asked.some((parameter) => parameter.split("=", 1)[0]?.toUpperCase() === name);
}
