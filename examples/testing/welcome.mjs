/** The code to be tested: it greets new members, once the mail server lets it. */
import { SMTP, SMTPRecipientsRefused } from "smtplib";

/**
 * Sends the welcome, and says whether the member can be reached.
 * @param {string} address whom to greet
 * @param {import("smtplib").SMTPOptions} [options] how to connect: the tests' way in
 */
export async function welcome(address, options) {
  const smtp = await SMTP.connect("mail.example.com", 587, options);
  try {
    await smtp.starttls();
    await smtp.login("club", "open sesame");
    await smtp.sendmail("club@example.com", address, "Subject: Welcome\n\nGood to have you!\n");
    return true;
  } catch (error) {
    if (error instanceof SMTPRecipientsRefused) return false;
    throw error;
  } finally {
    await smtp.quit();
  }
}
