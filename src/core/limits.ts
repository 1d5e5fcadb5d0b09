/** The maximum and minimum amounts that a session accepts from a server. */

/** Maximum bytes of a reply line, of a reply, and of the reply to EHLO. */
export type Limits = { readonly line: number; readonly reply: number; readonly ehlo: number };

/** These limits, and the minimum bytes of a message that the server accepts per second. */
export type SessionLimits = Limits & { readonly minRate: number };

/** RFC 5321 4.5.3.1.5 requires 512 bytes a line; servers exceed that, but not by this much. The rate is Postfix's. */
export const DEFAULT_LIMITS: SessionLimits = { line: 8192, reply: 65_536, ehlo: 262_144, minRate: 500 };
