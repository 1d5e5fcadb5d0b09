/** SIZE: the client declares a message's size, the server its limit (RFC 1870). */
import { checkSize } from "../plan.ts";
import { type Extension, numberIn, wholeNumber } from "./extension.ts";

export const size: Extension = {
  keyword: "SIZE",
  rfc: "1870",
  // RFC 1870 4: no number, and 0, mean that there is no fixed limit.
  offer: (parameters) => ({ size: { limit: numberIn(parameters, 20) || undefined } }),
  mail: {
    options: ["size"],
    of(options, server) {
      const octets = wholeNumber(options.size, 0, Number.MAX_SAFE_INTEGER, "size");
      if (server !== undefined) checkSize(octets, server.features["size"]);
      return [`SIZE=${octets}`];
    },
  },
};
