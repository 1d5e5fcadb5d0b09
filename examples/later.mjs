/**
 * Sends mail for later delivery (FUTURERELEASE, RFC 4865): the server holds it, and this program may end before.
 * node examples/later.mjs mail.example.com 587 2030-01-01T00:00:00Z
 */
import { SMTP, SMTPNotSupportedError } from "smtplib";
import { offerOf } from "smtplib/core";

const [host = "localhost", port = "587", when] = process.argv.slice(2);

const smtp = await SMTP.connect(host, Number(port));
try {
  await smtp.ehlo();
  const { longest, latest } = offerOf(smtp.esmtp_features).futureRelease ?? {};
  console.log(`the server holds mail for ${longest ?? "?"} s, until ${latest ?? "?"}`);
  const options = when === undefined ? { holdFor: 3600 } : { holdUntil: new Date(when) };
  await smtp.sendmail("ada@example.com", "charles@example.net", "Subject: Good morning\n\nHello!\n", options);
  console.log("the server has it");
} catch (error) {
  if (!(error instanceof SMTPNotSupportedError)) throw error;
  console.log(`nothing was sent: ${error.message}`);
} finally {
  await smtp.quit();
}
