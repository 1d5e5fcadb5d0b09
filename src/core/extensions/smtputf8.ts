/** SMTPUTF8: non-ASCII addresses and header fields (RFC 6531). The plan declares it automatically if needed. */
import { type Extension, flag } from "./extension.ts";

export const smtpUtf8: Extension = {
  keyword: "SMTPUTF8",
  rfc: "6531",
  mail: { options: ["smtputf8"], of: ({ smtputf8 }) => flag(smtputf8, "SMTPUTF8", "smtputf8") },
};
