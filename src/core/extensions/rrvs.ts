/** RRVS: no delivery to a mailbox whose owner has changed since a given time (RFC 7293). */
import { wrongType } from "../bytes.ts";
import { type Extension, oneOf, type RcptOptions, timestamp } from "./extension.ts";

export const rrvs: Extension = {
  keyword: "RRVS",
  rfc: "7293",
  rcpt: { options: ["rrvs"], of: rcptParameters },
};

function rcptParameters({ rrvs: wish }: RcptOptions): readonly string[] {
  if (typeof wish !== "object" || wish === null) throw wrongType("rrvs", "an object with since", wish);
  const since = timestamp(wish.since, "rrvs.since");
  if (wish.unsupported === undefined) return [`RRVS=${since}`];
  const action = oneOf(wish.unsupported, ["continue", "reject"], "rrvs.unsupported");
  return [`RRVS=${since};${action === "continue" ? "C" : "R"}`];
}
