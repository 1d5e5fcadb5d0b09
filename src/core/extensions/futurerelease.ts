/** FUTURERELEASE: the server holds a message until a given time (RFC 4865). */
import { words } from "../features.ts";
import type { Server } from "../plan.ts";
import { beyond, type Extension, type MailOptions, numberIn, type Offer, timestamp, wholeNumber } from "./extension.ts";

export const futureRelease: Extension = {
  keyword: "FUTURERELEASE",
  rfc: "4865",
  offer: (parameters) => ({ futureRelease: offerIn(parameters) }),
  mail: { options: ["holdFor", "holdUntil"], of: mailParameters },
};

function mailParameters({ holdFor, holdUntil }: MailOptions, server: Server | undefined): readonly string[] {
  if (holdFor !== undefined && holdUntil !== undefined) {
    throw new RangeError("of the options holdFor and holdUntil only one can be given");
  }
  const { longest = MOST_SECONDS, latest } = offerIn(server?.features["futurerelease"] ?? "");
  if (holdUntil !== undefined) {
    const until = timestamp(holdUntil, "holdUntil");
    // In this format, the order of texts is the order of times.
    if (latest !== undefined && until > latest)
      throw beyond("FUTURERELEASE", `holdUntil of at latest ${latest}, not ${until}`);
    return [`HOLDUNTIL=${until}`];
  }
  const seconds = wholeNumber(holdFor, 1, MOST_SECONDS, "holdFor");
  if (seconds > longest) throw beyond("FUTURERELEASE", `holdFor of at most ${longest}, not ${seconds}`);
  return [`HOLDFOR=${seconds}`];
}

/** RFC 4865 9: an interval has at most nine digits. */
const MOST_SECONDS = 999_999_999;

/** A time in the format of RFC 3339, in UTC; drops a fraction of a second. */
const MOMENT =
  /^(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60))(?:\.\d+)?Z$/i;

/** RFC 4865 4: the longest interval in seconds, then the latest time, in UTC, and no more. */
function offerIn(parameters: string): NonNullable<Offer["futureRelease"]> {
  const [interval, moment = "", ...more] = words(parameters);
  if (more.length > 0) return { longest: undefined, latest: undefined };
  const [, whole] = MOMENT.exec(moment) ?? [];
  return { longest: numberIn(interval, 9), latest: whole === undefined ? undefined : `${whole.toUpperCase()}Z` };
}
