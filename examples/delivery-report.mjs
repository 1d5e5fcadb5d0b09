/**
 * Requests delivery reports (DSN, RFC 3461): mail servers send the sender a report for each recipient that has the
 * message, and for each that does not get it.
 * node examples/delivery-report.mjs mail.example.com 587
 */
import { SMTP, SMTPNotSupportedError } from "smtplib";
import { describeStatus } from "smtplib/core";

const [host = "localhost", port = "587"] = process.argv.slice(2);

const smtp = await SMTP.connect(host, Number(port));
try {
  const { accepted, refused } = await smtp.deliver({
    from: "ada@example.com",
    to: [
      { address: "charles@example.net", notify: ["SUCCESS", "FAILURE"], orcpt: "rfc822;charles@example.net" },
      { address: "refused@example.net", notify: ["FAILURE", "DELAY"] },
    ],
    body: "Subject: Note G\n\nThe table is on its way.\n",
    // A report identifies the message by it, and returns the header, but not the content.
    envid: "note-g/1843",
    ret: "HDRS",
  });
  for (const address of accepted) console.log(`on its way: ${address}`);
  for (const [address, { code, enhancedCode, message }] of Object.entries(refused)) {
    const reason = enhancedCode === undefined ? message : describeStatus(enhancedCode);
    console.log(`refused: ${address}: ${code} ${reason}`);
  }
} catch (error) {
  if (!(error instanceof SMTPNotSupportedError)) throw error;
  console.log(`nothing was sent: ${error.message}`);
} finally {
  await smtp.quit();
}
