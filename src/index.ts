/**
 * Python's smtplib for Node, Deno and Bun: an SMTP and LMTP client under the names that Python's users know.
 *
 * @example
 * ```ts
 * import { SMTP } from "smtplib";
 *
 * const smtp = await SMTP.connect("mail.example.com", 587);
 * try {
 *   await smtp.starttls();
 *   await smtp.login("user", "password");
 *   await smtp.sendmail("a@example.com", ["b@example.net"], "Subject: Hello\n\nHi!\n");
 * } finally {
 *   await smtp.quit();
 * }
 * ```
 *
 * @module
 */
export type { ByteStream, ConnectOptions, Endpoint, PeerInfo, TlsInfo, TlsOptions, Transport } from "./byte-stream.ts";
export type { ConnectionInfo, DeliveryInfo, DiagnosticsChannels } from "./client/channels.ts";
export type { Body } from "./client/content.ts";
export type { AuthAnswer, AuthObject } from "./client/exchanges.ts";
export type { LogFields, Logger } from "./client/logger.ts";
export type { Delivery } from "./client/outcome.ts";
export type { Pipelining } from "./client/session.ts";
export { quoteaddr } from "./core/address.ts";
export type { MailOptions, RcptOptions } from "./core/extensions/extension.ts";
export type { Features } from "./core/features.ts";
export type { Options } from "./core/plan.ts";
export { quotedata } from "./core/quotedata.ts";
export type { Refused, Reply } from "./core/reply.ts";
export {
  type AuthenticationDetails,
  type DeliveryOutcome,
  type ExceptionDetails,
  type ResponseDetails,
  SMTPAuthenticationError,
  SMTPConnectError,
  SMTPDataError,
  SMTPException,
  SMTPHeloError,
  SMTPNotSupportedError,
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
  type TimeoutPhase,
  TlsError,
  type TlsFailure,
} from "./errors.ts";
export type { DeliveryRequest } from "./facade/delivery.ts";
export { LMTP, LMTP_PORT } from "./facade/lmtp.ts";
export type { AuthOptions, LoginOptions } from "./facade/login-options.ts";
export type { Message } from "./facade/message.ts";
export type { CallOptions, SMTPOptions } from "./facade/options.ts";
export { type Flavour, SMTP, SMTP_PORT, type SMTPClass } from "./facade/smtp.ts";
export { SMTP_SSL, SMTP_SSL_PORT } from "./facade/smtp-ssl.ts";
export type { PoolAuth, PoolOptions } from "./pool/options.ts";
export { SMTPPool } from "./pool/pool.ts";
export type { Rate } from "./pool/rate-limit.ts";
export type { PoolStats } from "./pool/stats.ts";
export type { Mechanism, MechanismContext } from "./sasl/mechanism.ts";
