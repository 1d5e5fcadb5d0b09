/** Binds an authentication to its TLS session (RFC 5056), so that a man in the middle cannot relay it. */
import type { TlsInfo } from "../byte-stream.ts";
import { signatureHash } from "./certificate.ts";

/** The supported kinds of channel binding: those of RFC 9266 and RFC 5929. */
export type ChannelBindingType = "tls-exporter" | "tls-server-end-point";

/** A channel binding of one TLS session. */
export type ChannelBinding = {
  readonly type: ChannelBindingType;
  /** The bytes that both ends know. */
  data(): Promise<Uint8Array>;
};

/**
 * The binding of a TLS session; undefined without TLS, or if the runtime exposes too little of the session. Without a
 * requested kind, returns the strongest available one.
 *
 * `tls-exporter` requires TLS 1.3: before it, keying material is unique to a session only with an extension, and no
 * runtime reports whether it was negotiated (RFC 9266 4.2). `tls-server-end-point` requires the server's certificate,
 * with a signature that has one hash (RFC 5929 4.1).
 */
export function channelBinding(tls: TlsInfo | undefined, wanted?: ChannelBindingType): ChannelBinding | undefined {
  const bindings = [exported(tls), endPoint(tls)];
  return bindings.find((binding) => binding !== undefined && (wanted === undefined || binding.type === wanted));
}

function exported(tls: TlsInfo | undefined): ChannelBinding | undefined {
  const { exporter, protocol } = tls ?? {};
  if (exporter === undefined || protocol !== "TLSv1.3") return undefined;
  return { type: "tls-exporter", data: async () => exporter("EXPORTER-Channel-Binding", 32) };
}

function endPoint(tls: TlsInfo | undefined): ChannelBinding | undefined {
  const { certificate } = tls ?? {};
  const hash = certificate && signatureHash(certificate);
  if (certificate === undefined || hash === undefined) return undefined;
  return {
    type: "tls-server-end-point",
    data: async () => new Uint8Array(await crypto.subtle.digest(hash, Uint8Array.from(certificate))),
  };
}
