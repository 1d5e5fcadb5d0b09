/** SIZE: the client declares a message's size, the server its limit (RFC 1870). */
import { SMTPNotSupportedError } from "../../errors.ts";
import { type Extension, numberIn, wholeNumber } from "./extension.ts";

export const size: Extension = {
  keyword: "SIZE",
  rfc: "1870",
  offer: (parameters) => ({ size: { limit: limitIn(parameters) } }),
  mail: {
    options: ["size"],
    of(options, server) {
      const octets = wholeNumber(options.size, 0, Number.MAX_SAFE_INTEGER, "size");
      if (server !== undefined) checkSize(octets, server.features["size"]);
      return [`SIZE=${octets}`];
    },
  },
};

/**
 * Refuses a message larger than the limit in the server's SIZE parameters, before MAIL.
 * @throws {SMTPNotSupportedError}
 */
export function checkSize(octets: number, parameters = ""): void {
  const limit = limitIn(parameters);
  if (limit === undefined || octets <= limit) return;
  throw new SMTPNotSupportedError(`the message has ${octets} octets, and the server takes ${limit} at most (SIZE)`, {
    capability: "SIZE",
    delivery: "not-sent",
  });
}

/** RFC 1870 4: one number of at most 20 digits; if it is missing or 0, there is no fixed limit. */
function limitIn(parameters: string): number | undefined {
  return numberIn(parameters, 20) || undefined;
}
