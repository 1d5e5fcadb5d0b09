/** The events between a client and a server, as the client sees them: the input of the judge. */

/** An event on a connection. */
export type WireEvent =
  /** One write of the client. */
  | { readonly kind: "write"; readonly bytes: Uint8Array; readonly at?: number | undefined }
  /** Bytes that the client has received. */
  | { readonly kind: "read"; readonly bytes: Uint8Array; readonly at?: number | undefined }
  /** The client has acted on everything that it has received so far. */
  | { readonly kind: "settled" }
  /** TLS is up; `verified`: the server's certificate was checked. */
  | { readonly kind: "tls" }
  /** The client closed or dropped the connection, or the server did. */
  | { readonly kind: "closed" | "dropped" | "lost" }
  /** A call for one command returned a reply with this code. */
  | { readonly kind: "credited"; readonly verb: string; readonly code: number }
  /** The bytes from here on are the caller's (`putcmd`, `send`): the client is not responsible for them. */
  | { readonly kind: "manual" }
  /** The caller chose a mechanism itself, or permits passwords without TLS. */
  | { readonly kind: "chosen-auth" | "clear-text-allowed" };

/** Circumstances that the wire does not show. */
export type Circumstances = {
  readonly protocol: "smtp" | "lmtp";
  /** The server runs on this machine, or the caller permits passwords without TLS. */
  readonly clearTextAllowed: boolean;
  /** The connection began with TLS. */
  readonly implicitTls?: boolean | undefined;
  /** The caller permits whole transactions in one flight. */
  readonly eager?: boolean | undefined;
  /** The caller permits bytes over 127 without 8BITMIME. */
  readonly eightBitAllowed?: boolean | undefined;
};

/** A violation of a rule, with the RFC section that it breaks. */
export type Violation = { readonly rule: string; readonly detail: string };

/** Records a violation. */
export type Fail = (rule: string, detail: string) => void;

/** The server's offer: the keyword of each extension, and its parameters, in upper case. */
export type Features = ReadonlyMap<string, string>;

/** Bytes as text, one character a byte. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  // The number of arguments of a call is limited; spreading them takes ten times as long.
  for (let at = 0; at < bytes.length; at += 8192) {
    text += Reflect.apply(String.fromCharCode, undefined, bytes.subarray(at, at + 8192));
  }
  return text;
}
