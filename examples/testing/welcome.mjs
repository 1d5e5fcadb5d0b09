/** The code under test: it greets new members, if the mail server permits it. */
import { SMTP, SMTPRecipientsRefused } from "smtplib";

/**
 * Sends the welcome message, and returns whether the member can be reached.
 * @param {string} address whom to greet
 * @param {import("smtplib").SMTPOptions} [options] how to connect, for the tests
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
