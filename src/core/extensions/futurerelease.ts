/** FUTURERELEASE: the server holds a message back until a time (RFC 4865). */
import { type Extension, type MailOptions, wholeNumber } from "./extension.ts";

export const futureRelease: Extension = {
  keyword: "FUTURERELEASE",
  mailOptions: ["holdFor", "holdUntil"],
  mail: mailParameters,
};

function mailParameters({ holdFor, holdUntil }: MailOptions, offered: string): readonly string[] {
  if (holdFor !== undefined && holdUntil !== undefined) {
    throw new RangeError("of the options holdFor and holdUntil only one can be given");
  }
  if (holdUntil !== undefined) return [`HOLDUNTIL=${timestamp(holdUntil)}`];
  // RFC 4865 4: the first parameter of the keyword is the longest interval that the server takes.
  const longest = Number.parseInt(offered, 10);
  return [`HOLDFOR=${wholeNumber(holdFor, 1, Number.isNaN(longest) ? 999_999_999 : longest, "holdFor")}`];
}

function timestamp(date: unknown): string {
  if (!isDate(date)) throw new TypeError("the option holdUntil must be a Date");
  if (Number.isNaN(date.getTime())) throw new RangeError("the option holdUntil must be a valid Date");
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}

function isDate(value: unknown): value is { getTime(): number; toISOString(): string } {
  return Object.prototype.toString.call(value) === "[object Date]";
}
