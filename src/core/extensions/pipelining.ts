/** PIPELINING: commands in groups (RFC 2920). The transaction sends the envelope in one write. */
import type { Extension } from "./extension.ts";

export const pipelining: Extension = { keyword: "PIPELINING", rfc: "2920" };
