/** STARTTLS: TLS on the same connection (RFC 3207), by `starttls()`. */
import type { Extension } from "./extension.ts";

export const startTls: Extension = { keyword: "STARTTLS", rfc: "3207" };
