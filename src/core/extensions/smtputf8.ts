/** SMTPUTF8: addresses and header fields beyond ASCII (RFC 6531). The plan declares it by itself where it is needed. */
import { type Extension, flag } from "./extension.ts";

export const smtpUtf8: Extension = {
  keyword: "SMTPUTF8",
  rfc: "6531",
  mail: { options: ["smtputf8"], of: ({ smtputf8 }) => flag(smtputf8, "SMTPUTF8", "smtputf8") },
};
