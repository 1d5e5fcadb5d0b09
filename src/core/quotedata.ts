/** Python's `quotedata`: encodes a whole text for DATA. Sending encodes automatically, over chunks. */

/** Makes every line end (CRLF, LF, CR) a CRLF and doubles a dot at the start of a line (RFC 5321 4.5.2). */
export function quotedata(data: string): string {
  return data.replace(/\r\n?|\n/g, "\r\n").replace(/(^|\n)\./g, "$1..");
}
