/** A time in UTC, as header fields have it (RFC 5322 3.3). */
// biome-ignore lint/style/noRestrictedGlobals: only the type, for a time that the caller chose; no clock is read
export function mailDate(time: Date): string {
  return time.toUTCString().replace("GMT", "+0000");
}
