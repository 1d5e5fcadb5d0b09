/** SIZE: the client declares a message's size, the server its limit (RFC 1870). */
import { type Extension, wholeNumber } from "./extension.ts";

export const size: Extension = {
  keyword: "SIZE",
  mailOptions: ["size"],
  mail: (options) => [`SIZE=${wholeNumber(options.size, 0, Number.MAX_SAFE_INTEGER, "size")}`],
};
