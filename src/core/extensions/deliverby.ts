/** DELIVERBY: a time by which a message must be delivered (RFC 2852). */
import { wrongType } from "../bytes.ts";
import { type Extension, type MailOptions, oneOf, wholeNumber } from "./extension.ts";

export const deliverBy: Extension = { keyword: "DELIVERBY", mailOptions: ["by"], mail: mailParameters };

function mailParameters({ by }: MailOptions): readonly string[] {
  if (typeof by !== "object" || by === null) throw wrongType("by", "an object with seconds and mode", by);
  const mode = oneOf(by.mode, ["notify", "return"], "by.mode");
  // RFC 2852 4: by-time has at most nine digits; with mode R it must be positive.
  const seconds = wholeNumber(by.seconds, mode === "return" ? 1 : -999_999_999, 999_999_999, "by.seconds");
  return [`BY=${seconds};${mode === "return" ? "R" : "N"}${by.trace === true ? "T" : ""}`];
}
