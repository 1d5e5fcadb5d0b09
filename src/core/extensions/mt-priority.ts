/** MT-PRIORITY: a message's priority among others (RFC 6710). */
import { type Extension, wholeNumber } from "./extension.ts";

export const mtPriority: Extension = {
  keyword: "MT-PRIORITY",
  mailOptions: ["mtPriority"],
  mail: (options) => [`MT-PRIORITY=${wholeNumber(options.mtPriority, -9, 9, "mtPriority")}`],
};
