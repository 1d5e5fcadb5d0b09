/** How much of a message is written at a time. */

/** A message in memory of at most this many bytes is one write; more goes in pieces of about that size. */
export const PIECE = 65_536;
