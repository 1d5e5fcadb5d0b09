/** The messages of SCRAM (RFC 5802 7), parsed strictly: a server that deviates from them must not get a proof. */
import { decodeBase64 } from "../core/base64.ts";
import { decodeText } from "../core/bytes.ts";
import { SMTPException } from "../errors.ts";
import type { ServerError } from "./mechanism.ts";

/** The server's first message. */
export type ServerFirst = {
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
};

/** The server's last message: its signature, or the reason why there is none. */
export type ServerFinal = { readonly signature: Uint8Array } | { readonly error: string };

/** RFC 7677 4 requires at least 4,096; the maximum keeps a hostile server from using up CPU time (RFC 5802 9). */
const ITERATIONS = { least: 4096, most: 1_000_000 };

/** `saslname`: a comma or an equals sign would end the attribute. */
export function escapeName(name: string): string {
  return name.replaceAll("=", "=3D").replaceAll(",", "=2C");
}

/**
 * Reads the server's first message.
 * @param ownNonce - the client's part, with which the longer nonce must begin
 * @throws {SMTPException} if it is invalid, or requires something that a client must not do
 */
export function readServerFirst(message: Uint8Array, ownNonce: string): ServerFirst {
  const text = textOf(message);
  if (/(?:^|,)m=/.test(text))
    throw new SMTPException("SCRAM: the server demands an extension (m=) that is unknown here");
  const parts = /^r=([\x21-\x2b\x2d-\x7e]+),s=([^,]+),i=(\d{1,15})(?:,[A-Za-z]=[^,]+)*$/.exec(text);
  const [, nonce = "", encodedSalt = "", count = ""] = parts ?? [];
  const salt = decodeBase64(encodedSalt);
  if (parts === null || salt === undefined || count.startsWith("0")) throw malformed("first");
  if (!nonce.startsWith(ownNonce) || nonce.length === ownNonce.length) {
    throw new SMTPException("SCRAM: the server's nonce does not continue ours: this is not an answer to our message");
  }
  const iterations = Number(count);
  if (iterations < ITERATIONS.least || iterations > ITERATIONS.most) {
    const range = `${ITERATIONS.least} to ${ITERATIONS.most}`;
    throw new SMTPException(`SCRAM: the server asks for ${iterations} iterations, and ${range} are allowed`);
  }
  return { nonce, salt, iterations };
}

/**
 * Reads the server's last message.
 * @throws {SMTPException} if it is invalid
 */
export function readServerFinal(message: Uint8Array): ServerFinal {
  const text = textOf(message);
  const [, name, value = ""] = /^([ev])=([^,]+)(?:,[A-Za-z]=[^,]+)*$/.exec(text) ?? [];
  if (name === "e") return { error: value };
  const signature = name === "v" ? decodeBase64(value) : undefined;
  if (signature === undefined) throw malformed("last");
  return { signature };
}

/** The reason of a refusal in the server's last message, if it has one. */
export function explainServerFinal(message: Uint8Array): ServerError | undefined {
  const [, status] = /^e=([^,]+)/.exec(decodeText(message)) ?? [];
  return status === undefined ? undefined : { status };
}

function textOf(message: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(message);
  } catch {
    throw new SMTPException("SCRAM: the server's message is not UTF-8");
  }
}

function malformed(which: "first" | "last"): SMTPException {
  return new SMTPException(`SCRAM: the server's ${which} message is malformed`);
}
