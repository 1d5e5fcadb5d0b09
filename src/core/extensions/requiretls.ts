/** REQUIRETLS: verified TLS on every hop, or no delivery (RFC 8689). */
import { SMTPNotSupportedError } from "../../errors.ts";
import { type Extension, flag } from "./extension.ts";

export const requireTls: Extension = {
  keyword: "REQUIRETLS",
  rfc: "8689",
  mail: {
    options: ["requiretls"],
    of({ requiretls }, server) {
      const parameters = flag(requiretls, "REQUIRETLS", "requiretls");
      // RFC 8689 4.2.1: the requirement includes the first hop.
      if (server === undefined || server.tls?.verified === true) return parameters;
      const text = "the option requiretls needs TLS with a verified certificate on this connection";
      throw new SMTPNotSupportedError(text, { capability: "REQUIRETLS", delivery: "not-sent" });
    },
  },
};
