/** DELIVERBY: a time by which a message must be delivered (RFC 2852). */
import { wrongType } from "../bytes.ts";
import type { Server } from "../plan.ts";
import { beyond, type Extension, type MailOptions, numberIn, oneOf, wholeNumber } from "./extension.ts";

export const deliverBy: Extension = {
  keyword: "DELIVERBY",
  rfc: "2852",
  offer: (parameters) => ({ deliverBy: { minimum: minimumIn(parameters) } }),
  mail: { options: ["by"], of: mailParameters },
};

function mailParameters({ by }: MailOptions, server: Server | undefined): readonly string[] {
  if (typeof by !== "object" || by === null) throw wrongType("by", "an object with seconds and mode", by);
  const mode = oneOf(by.mode, ["notify", "return"], "by.mode");
  // RFC 2852 4: by-time has at most nine digits; with mode R it must be positive.
  const seconds = wholeNumber(by.seconds, mode === "return" ? 1 : -999_999_999, 999_999_999, "by.seconds");
  const { trace = false } = by;
  if (typeof trace !== "boolean") throw wrongType("by.trace", "a boolean", trace);
  const least = minimumIn(server?.features["deliverby"] ?? "") ?? 0;
  if (mode === "return" && seconds < least)
    throw beyond("DELIVERBY", `by.seconds of at least ${least} with the mode "return", not ${seconds}`);
  return [`BY=${seconds};${mode === "return" ? "R" : "N"}${trace ? "T" : ""}`];
}

/** RFC 2852 3: min-by-time, for the mode "return" only; ignores unknown values after commas. */
function minimumIn(parameters: string): number | undefined {
  const [, minimum] = /^(\d+)(?:,[!-+\--~]+)*$/.exec(parameters) ?? [];
  return numberIn(minimum, 9);
}
