/** ESMTP parameters in Python's form. */
import { checkParameter } from "./command.ts";
import { notOffered, offers } from "./features.ts";
import type { EsmtpParameters } from "./plan.ts";

/**
 * Parameters as Python accepts them: sent unchanged, or all dropped if the server does not support ESMTP.
 * @throws {TypeError} or {RangeError} naming the argument, if one is no ESMTP parameter
 */
export function listedParameters(list: readonly string[], argument: string): EsmtpParameters {
  const copy = list.map((parameter) => checkParameter(parameter, argument));
  const utf8 = copy.some((parameter) => parameter.toUpperCase() === "SMTPUTF8");
  return ({ esmtp, features }) => {
    if (utf8 && !offers(features, "SMTPUTF8")) throw notOffered("SMTPUTF8", "the option SMTPUTF8");
    return esmtp ? copy : [];
  };
}
