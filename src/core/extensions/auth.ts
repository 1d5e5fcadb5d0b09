/** AUTH: the offered mechanisms, and the parameter of MAIL with the original submitter (RFC 4954 5). */
import { words } from "../features.ts";
import { encodeXtext } from "../xtext.ts";
import { type Extension, someText } from "./extension.ts";

export const auth: Extension = {
  keyword: "AUTH",
  rfc: "4954",
  // RFC 4422 3.1: ignores words that are no names of mechanisms.
  offer: (parameters) => ({
    auth: { mechanisms: words(parameters.toUpperCase()).filter((word) => /^[A-Z\d_-]{1,20}$/.test(word)) },
  }),
  mail: {
    options: ["auth"],
    of: ({ auth: identity = "<>" }) => [
      `AUTH=${identity === "<>" ? identity : encodeXtext(someText(identity, "auth"), "auth")}`,
    ],
  },
};
