/** MT-PRIORITY: a message's priority among others (RFC 6710). */
import { type Extension, wholeNumber } from "./extension.ts";

export const mtPriority: Extension = {
  keyword: "MT-PRIORITY",
  rfc: "6710",
  // RFC 6710 4.1: the server maps a level that the profile lacks to one that it has.
  offer: (parameters) => ({ mtPriority: { profile: profileIn(parameters) } }),
  mail: {
    options: ["mtPriority"],
    of: (options) => [`MT-PRIORITY=${wholeNumber(options.mtPriority, -9, 9, "mtPriority")}`],
  },
};

/** RFC 6710 3: the name of one profile. */
function profileIn(parameters: string): string | undefined {
  return /^[A-Z\d][A-Z\d._-]*$/i.test(parameters) ? parameters.toUpperCase() : undefined;
}
