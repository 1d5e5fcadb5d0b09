/** The reply that stands in dead letters and reports for recipients to whom no server gave one. */
import { field, replyIn, textOf } from "./error-fields.ts";
import type { StoredReply } from "./stored-reply.ts";
import { isFinal } from "./verdict.ts";

/** The enhanced status code for a server that lacks an extension (RFC 3463 3.4 and 3.7, RFC 6531, RFC 8689). */
const STATUS: Readonly<Record<string, string>> = {
  SIZE: "5.3.4",
  SMTPUTF8: "5.6.7",
  "8BITMIME": "5.6.1",
  BINARYMIME: "5.6.1",
  REQUIRETLS: "5.7.30",
};

/** System not capable of selected features. */
const LACKING = "5.3.3";

/**
 * The reply for an error by which the message was given up at once; `last`, or that its time is over, for any other.
 * @param last - the last reply that refused the message as a whole
 */
export function failureReply(error: unknown, last: StoredReply | undefined): StoredReply {
  if (error === undefined || replyIn(error) !== undefined || !isFinal(error)) return last ?? EXPIRED;
  const capability = field(error, "capability", "string");
  const status = capability === undefined ? "5.0.0" : (STATUS[capability] ?? LACKING);
  return { code: 554, text: `${status} ${textOf(error) ?? ""}` };
}

const EXPIRED: StoredReply = { code: 451, text: "4.4.7 delivery time expired" };
