/** Formats a time in UTC for a header field (RFC 5322 3.3). */
// biome-ignore lint/style/noRestrictedGlobals: only the type; the caller passes the time, and no clock is read
export function mailDate(time: Date): string {
  return time.toUTCString().replace("GMT", "+0000");
}
