/** SMTPUTF8: addresses and header fields beyond ASCII (RFC 6531). */
import { type Extension, flag } from "./extension.ts";

export const smtpUtf8: Extension = {
  keyword: "SMTPUTF8",
  mailOptions: ["smtputf8"],
  mail: ({ smtputf8 }) => flag(smtputf8, "SMTPUTF8", "smtputf8"),
};
