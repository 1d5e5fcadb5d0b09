/** The heads of CONNECT and its answer (RFC 9110 9.3.6, RFC 9112): text to bytes, bytes to a status; no I/O. */
import { encodeBase64 } from "../core/base64.ts";
import { decodeText, utf8 } from "../core/bytes.ts";
import type { Parsed } from "./handshake.ts";
import { ProxyError } from "./proxy-error.ts";
import type { Credentials } from "./socks5.ts";
import { authority, type Target } from "./target.ts";

/** The longest head of an answer, in bytes. */
export const LONGEST_HEAD = 16_384;

/** CONNECT, with Basic authentication if there are credentials (RFC 7617). */
export function connectRequest(target: Target, credentials: Credentials | undefined): Uint8Array {
  const to = authority(target.host, target.port);
  const lines = [`CONNECT ${to} HTTP/1.1`, `Host: ${to}`];
  if (credentials !== undefined) {
    const token = encodeBase64(utf8(`${credentials.user}:${credentials.password}`));
    lines.push(`Proxy-Authorization: Basic ${token}`);
  }
  return utf8(`${lines.join("\r\n")}\r\n\r\n`);
}

/**
 * Parses the head of an answer: true once the tunnel is open, false for an interim answer (1yz), which another follows.
 * After a 2yz the tunnel begins right after the head, whatever length that announces (RFC 9110 9.3.6).
 *
 * @throws ProxyError for a refusal, and for an answer that is not HTTP
 */
export function parseConnectReply(bytes: Uint8Array): Parsed<boolean> {
  const length = lengthOfHead(bytes);
  const text = decodeText(bytes.subarray(0, length ?? LONGEST_HEAD));
  // Detected early: after the start of an SMTP greeting, both sides would wait for each other.
  if (!"HTTP/1.".startsWith(text.slice(0, 7)))
    throw new ProxyError(`does not speak HTTP: it said "${shortened(text)}"`, { permanent: true });
  if (length === undefined) {
    if (bytes.length >= LONGEST_HEAD)
      throw new ProxyError(`said more than ${LONGEST_HEAD} octets before its answer ended`);
    return undefined;
  }
  const [, digits, reason = ""] = /^HTTP\/1\.\d (\d{3})(?: ([^\r\n]*))?\r?\n/.exec(text) ?? [];
  if (digits === undefined) throw new ProxyError(`gave no status: it said "${shortened(text)}"`, { permanent: true });
  const code = Number(digits);
  if (code >= 200 && code <= 299) return { value: true, length };
  if (code >= 100 && code <= 199 && code !== 101) return { value: false, length };
  const asked = code === 407 ? /^proxy-authenticate: *([^\r\n]*)/im.exec(text)?.[1] : undefined;
  const wanted = asked === undefined ? "" : `; it asks for: ${shortened(asked)}`;
  throw new ProxyError(`refused to connect: ${code} ${shortened(reason)}${wanted}`, {
    code,
    permanent: isLastingStatus(code),
  });
}

/** The client's fault, except for a timeout and too many requests (RFC 9110 15.5, RFC 6585 4). */
function isLastingStatus(code: number): boolean {
  return code >= 400 && code <= 499 && code !== 408 && code !== 429;
}

/** Lines end in CRLF, or in LF alone (RFC 9112 2.2); the head ends with an empty one. */
function lengthOfHead(bytes: Uint8Array): number | undefined {
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
    const next = bytes[at + 1] === 13 ? at + 2 : at + 1;
    if (bytes[next] === 10) return next + 1;
  }
  return undefined;
}

function shortened(text: string): string {
  return text.trimEnd().slice(0, 200);
}
