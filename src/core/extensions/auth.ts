/** The AUTH parameter of MAIL: who submitted a message first (RFC 4954 5). */
import { encodeXtext } from "../xtext.ts";
import { type Extension, someText } from "./extension.ts";

export const auth: Extension = {
  keyword: "AUTH",
  mailOptions: ["auth"],
  mail: ({ auth: identity = "<>" }) => [
    `AUTH=${identity === "<>" ? identity : encodeXtext(someText(identity, "auth"), "auth")}`,
  ],
};
