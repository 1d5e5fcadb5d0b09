/** Python's `smtplib.SMTP_SSL`. */
import { type Flavour, SMTP } from "./smtp.ts";

/** Python's `SMTP_SSL_PORT`. */
export const SMTP_SSL_PORT = 465;

/** SMTP over implicit TLS (RFC 8314 3.3): the handshake and the verification come before the greeting. Port 465. */
export class SMTP_SSL extends SMTP {
  protected static override readonly flavour: Flavour = { protocol: "smtp", port: SMTP_SSL_PORT, tls: "implicit" };
}
