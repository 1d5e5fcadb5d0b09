/** smtplib, by its public API. */
import { SMTP, SMTP_SSL, SMTPPool } from "smtplib";
import { ALL_MODES, ALL_RUNTIMES } from "./index.mjs";

/** A subject with these options, on a sink with or without CHUNKING; a sink with CHUNKING gets all messages by BDAT. */
export function ours(name, options) {
  const { chunking } = options;
  return {
    name,
    chunking,
    runtimes: ALL_RUNTIMES,
    modes: ALL_MODES,
    prepare: (bytes) => bytes,
    open: (target) => (target.mode === "queued" ? openPool(target, options) : openSession(target, options)),
  };
}

async function openPool({ host, port, connections }, options) {
  const pool = new SMTPPool({ host, port, maxConnections: connections, local_hostname: "bench.example", ...options });
  return { send: (from, to, message) => pool.sendmail(from, to, message), close: () => pool.close() };
}

async function openSession({ host, port, tls, ca }, options) {
  const context = tls && { ca, servername: "localhost" };
  const connectable = tls === "implicit" ? SMTP_SSL : SMTP;
  const smtp = await connectable.connect(host, port, { local_hostname: "bench.example", context, ...options });
  if (tls === "starttls") await smtp.starttls();
  return {
    send: (from, to, message) => smtp.sendmail(from, to, message),
    sendStream: (from, to, chunks) => smtp.sendmail(from, to, chunks()),
    close: () => smtp.quit(),
  };
}
