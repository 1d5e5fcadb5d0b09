/**
 * Plans a message: combines its needs with the server's extensions into the commands of the envelope, or a refusal
 * before the first of them is sent. Pure: the same needs and features result in the same plan.
 */

import { SMTPNotSupportedError } from "../errors.ts";
import { quoted } from "./bytes.ts";
import { mailLine, rcptLine } from "./command.ts";
import type { MailOptions } from "./extensions/extension.ts";
import { checkSize } from "./extensions/size.ts";
import { type Features, notOffered } from "./features.ts";
import { HiddenEndError } from "./hidden-end.ts";
import type { Path } from "./mailbox.ts";

/** ESMTP parameters: strings as in Python, each sent unchanged, or typed options. */
export type Options<T = MailOptions> = readonly string[] | T;

/** The server's capabilities: whether it accepted EHLO, its extensions, and the TLS at the time of EHLO. */
export type Server = {
  readonly esmtp: boolean;
  /** The text of the reply to EHLO or LHLO, whatever its code. */
  readonly ehlo?: string;
  readonly features: Features;
  readonly tls?: { readonly verified: boolean } | undefined;
};

/** Returns the parameters of a command for a server after EHLO; may throw a refusal. */
export type EsmtpParameters = (server: Server) => readonly string[];

/** A recipient and its ESMTP parameters. */
export type Recipient = {
  /** The address as the caller passed it: the key in `Refused`. */
  readonly given: string;
  /** The address in RCPT. */
  readonly mailbox: Path;
  readonly parameters: EsmtpParameters;
};

/** No parameters. */
export const noParameters: EsmtpParameters = () => [];

/** The needs of the content; undefined: not known before it is read. */
export type ContentNeeds = {
  /** The size as text, with CRLF line ends. */
  readonly octets?: number | undefined;
  /** The unchanged bytes, as sent with BINARYMIME. */
  readonly bytes?: { readonly length: number } | undefined;
  readonly eightBit?: boolean | undefined;
  /** True if a line begins with NUL and a dot. */
  readonly hiddenEnd?: boolean | undefined;
};

/** The needs of an envelope. */
export type EnvelopeNeeds = {
  readonly sender: Path;
  readonly recipients: readonly Recipient[];
  readonly parameters: EsmtpParameters;
  /** True if header fields are raw UTF-8, and not ASCII. */
  readonly utf8Headers: boolean;
};

/** The policy for bytes over 127 if the server lacks 8BITMIME. */
export type EightBitPolicy = "refuse" | "send";

/** The caller's options for sending. */
export type SendingPolicy = {
  readonly eightBit: EightBitPolicy;
  /** True: BDAT if the server offers it; false: never; undefined: if the content gains by it. */
  readonly chunking?: boolean | undefined;
  /** True if small messages are sent in one flight, which requires BDAT. */
  readonly eager?: boolean | undefined;
};

/** The envelope, ready to be sent. */
export type Plan = {
  /** The line of MAIL, without CRLF. */
  readonly mail: string;
  /** The line of each RCPT, without CRLF. */
  readonly recipients: readonly string[];
  /** The command that sends the content. */
  readonly verb: "DATA" | "BDAT";
  /** "text": line ends become CRLF; "binary": each byte is sent unchanged, by BODY=BINARYMIME (RFC 3030 3). */
  readonly content: "text" | "binary";
  /** True if a byte over 127 in the content must end the attempt (RFC 5321 2.4). */
  readonly sevenBitOnly: boolean;
};

/**
 * Plans a message.
 * @throws {SMTPNotSupportedError} if the server lacks an extension that the message or an option needs
 * @throws {TypeError} for unknown or wrongly typed options
 * @throws {RangeError} for values that cannot be part of a command, and content that servers may misread as ended
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
 * Plans a message with plain paths (`isPlainPath`), unchanged, and without parameters: the common case. The plan is
 * that of `planMessage()`.
 * @throws the errors of `planMessage()`
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
    checkSize(octets, size);
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
 * The mailbox in the form for this server. The domain becomes A-labels, which all servers accept, including later ones;
 * only a local part needs SMTPUTF8 (RFC 6531 3.2).
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

/** Whether bytes over 127 must not be sent (RFC 5321 2.4). */
export function isSevenBitOnly(server: Server, policy: EightBitPolicy): boolean {
  return policy === "refuse" && server.features["8bitmime"] === undefined;
}

/** The error for a byte over 127 if the server accepts seven bits only. */
export function eightBitRefused(): SMTPNotSupportedError {
  const advice = ': encode it as base64 or quoted-printable, or set the option eightBit to "send"';
  return notOffered("8BITMIME", "a message with octets over 127", advice);
}

/** Binary content may contain the end of DATA, so it needs BDAT (RFC 3030 3). */
function checkChunking({ features }: Server, { chunking }: SendingPolicy): void {
  if (features["chunking"] === undefined) throw notOffered("CHUNKING", "BODY=BINARYMIME");
  if (chunking !== false) return;
  throw new SMTPNotSupportedError(
    "BODY=BINARYMIME needs BDAT, which the option chunking excludes or the server did not know",
    { capability: "CHUNKING", delivery: "not-sent" },
  );
}

/** The size in bytes up to which DATA takes no longer than BDAT. */
const SMALL = 65_536;

/**
 * Whether to send the content by BDAT. For a small message it saves no time, and fails if a server, or a proxy before
 * it, offers CHUNKING without knowing BDAT.
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
