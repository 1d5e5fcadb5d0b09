/** REQUIRETLS: verified TLS on every hop, or no delivery (RFC 8689). */
import type { Extension } from "./extension.ts";

export const requireTls: Extension = {
  keyword: "REQUIRETLS",
  mailOptions: ["requiretls"],
  mail: () => ["REQUIRETLS"],
};
