/** TLS from the first octet on. Only who asks for it loads this, before the connection is made. */
import type { TlsOptions } from "../byte-stream.ts";
import { TlsError } from "../errors.ts";
import { explain, type Upgrade, within } from "./open.ts";

/** The upgrade of a stream that was just opened; one that fails ends the stream. */
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
