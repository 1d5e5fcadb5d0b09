/** nodemailer's transports try to connect once: for tests in which a connection fails. */
import { smtplib } from "../../src/nodemailer/npm.ts";

/** The options of a pool that does not try again. */
export const TRIED_ONCE: object = { ...(knows({ reconnectFor: 0 }) && { reconnectFor: 0 }) };

function knows(options: object): boolean {
  try {
    smtplib({ host: "mail.example.com", ...options });
    return true;
  } catch {
    return false;
  }
}
