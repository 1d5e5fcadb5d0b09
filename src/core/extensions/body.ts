/** 8BITMIME and BINARYMIME: what octets a body holds (RFC 6152, RFC 3030). */
import { SMTPNotSupportedError } from "../../errors.ts";
import { type Extension, type MailOptions, oneOf } from "./extension.ts";

export const eightBitMime: Extension = { keyword: "8BITMIME", mailOptions: ["body"], mail: mailParameters };

function mailParameters({ body = "7BIT" }: MailOptions): readonly string[] {
  const kind = oneOf(body, ["7BIT", "8BITMIME", "BINARYMIME"], "body");
  if (kind !== "BINARYMIME") return [`BODY=${kind}`];
  // RFC 3030 3: BINARYMIME goes with BDAT only, and this client sends DATA.
  throw new SMTPNotSupportedError("the option body: BINARYMIME needs BDAT, which this client does not send", {
    capability: "BINARYMIME",
    delivery: "not-sent",
  });
}
