/**
 * Commands that servers announce, and may support without that: VRFY, EXPN and HELP (RFC 5321 4.1.1.6 to 4.1.1.8). VRFY
 * and EXPN with non-ASCII arguments carry SMTPUTF8 (RFC 6531 3.7.4.2).
 */
import type { Extension } from "./extension.ts";

export const vrfy: Extension = { keyword: "VRFY", rfc: "5321" };
export const expn: Extension = { keyword: "EXPN", rfc: "5321" };
export const help: Extension = { keyword: "HELP", rfc: "5321" };
