/** Messages for the tests of reports. */

/** A message with CRLF from a text that is indented like the test. */
export function mail(text: string): string {
  return text.replace(/^\n/, "").replace(/^ {4}/gm, "").replaceAll("\n", "\r\n");
}

/** A report with these fields in its status part, and further parts after it. */
export function report(fields: string, { type = "message/delivery-status", header = "", more = "" } = {}): string {
  return [
    ...(header === "" ? [] : [header]),
    "From: MAILER-DAEMON@mx.example.net",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
    "",
    "--b",
    "Content-Type: text/plain",
    "",
    "This is a report.",
    "--b",
    `Content-Type: ${type}`,
    "",
    fields,
    `${more}--b--`,
    "",
  ].join("\n");
}
