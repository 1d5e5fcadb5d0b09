/** Implicit TLS: upgrades a connection before SMTP begins. */
import type { TlsOptions } from "../byte-stream.ts";
import { TlsError } from "../errors.ts";
import { explain, type Upgrade, within } from "./open.ts";

/** Upgrades a newly opened stream; aborts the stream on failure. */
export function tlsUpgrade(tls: TlsOptions & { servername: string }): Upgrade {
  return async (stream, where, timeouts, signal) => {
    try {
      await within("tls", timeouts.tls, signal, () => stream.startTls(tls));
    } catch (error) {
      stream.abort(error);
      throw explain(error, signal, `TLS to ${where} could not be established`, advice(error));
    }
  };
}

function advice(error: unknown): string {
  if (!(error instanceof TlsError) || error.failure !== "not-tls") return "";
  return "; connect in clear and upgrade by STARTTLS, or use the TLS port";
}
