/** REQUIRETLS: verified TLS on every hop, or no delivery (RFC 8689). */
import { type Extension, flag } from "./extension.ts";

export const requireTls: Extension = {
  keyword: "REQUIRETLS",
  mailOptions: ["requiretls"],
  mail: ({ requiretls }) => flag(requiretls, "REQUIRETLS", "requiretls"),
};
