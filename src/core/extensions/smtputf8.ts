/** SMTPUTF8: addresses and header fields beyond ASCII (RFC 6531). */
import type { Extension } from "./extension.ts";

export const smtpUtf8: Extension = {
  keyword: "SMTPUTF8",
  mailOptions: ["smtputf8"],
  mail: () => ["SMTPUTF8"],
};
