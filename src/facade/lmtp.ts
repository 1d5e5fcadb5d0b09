/** Python's `smtplib.LMTP`. */
import { type Flavour, SMTP } from "./smtp.ts";

/** Python's `LMTP_PORT`. */
export const LMTP_PORT = 2003;

/**
 * The Local Mail Transfer Protocol (RFC 2033): LHLO, and one reply for each recipient after the data, so that a message
 * may be delivered to only some of them. A host that starts with "/" is the path of a Unix socket. Port 2003.
 */
export class LMTP extends SMTP {
  protected static override readonly flavour: Flavour = { protocol: "lmtp", port: LMTP_PORT, tls: "starttls" };
}
