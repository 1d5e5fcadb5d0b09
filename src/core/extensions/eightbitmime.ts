/** 8BITMIME: bytes over 127 in a body (RFC 6152). The plan declares them automatically. */
import { type Extension, oneOf } from "./extension.ts";

export const eightBitMime: Extension = {
  keyword: "8BITMIME",
  rfc: "6152",
  mail: {
    options: ["body"],
    asked: ({ body }) => body !== "BINARYMIME",
    of: ({ body = "7BIT" }) => [`BODY=${oneOf(body, ["7BIT", "8BITMIME", "BINARYMIME"], "body")}`],
  },
};
