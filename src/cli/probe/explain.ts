/** Turns the error of a session into a finding: the fault in one sentence, and how to fix it. */
import {
  SMTPException,
  SMTPNotSupportedError,
  SMTPResponseException,
  SMTPTimeoutError,
  TlsError,
} from "../../index.ts";
import { ProxyError } from "../../proxy/index.ts";
import { causeOf } from "../exit-codes.ts";
import { reasonOf } from "../files.ts";
import type { Finding } from "./report.ts";

/** The state of a session that failed. */
export type Failure = {
  readonly error: unknown;
  /** The step that it failed in. */
  readonly step: string;
  readonly port: number | undefined;
  /** How the session uses TLS. */
  readonly tls: "implicit" | "starttls" | "none";
  /** Whether the host's name has been resolved. */
  readonly hasAddresses: boolean;
  /** The first line that the server has sent, if any. */
  readonly firstLine: string | undefined;
};

/** The finding for a session that failed before the greeting. */
export function explainConnecting(failure: Failure): Finding {
  const { error, port, firstLine, hasAddresses } = failure;
  const proxy = causeOf(error, ProxyError);
  if (proxy !== undefined) return fault("proxy-failed", `the proxy does not lead there: ${proxy.message}`);
  const tls = causeOf(error, TlsError);
  if (tls !== undefined) return explainTls(tls, failure);
  if (error instanceof SMTPTimeoutError) return explainSilence(error, failure);
  if (!hasAddresses) {
    return fault("no-such-host", `the host has no address: ${reasonOf(rootOf(error))}`, "check the name");
  }
  if (firstLine !== undefined && !/^220[ -]/.test(firstLine)) {
    return fault(
      "not-smtp",
      `this is no SMTP server: it says ${JSON.stringify(firstLine.slice(0, 80))}`,
      "check the port",
    );
  }
  if (error instanceof SMTPResponseException && error.smtp_code < 0) {
    const fix =
      port === 25
        ? "many networks block port 25: try 587 or 465"
        : "check host and port, and whether a firewall is in between";
    return fault("no-answer", `nothing answers: ${reasonOf(rootOf(error))}`, fix);
  }
  return fault("closed-before-greeting", `the server closes the connection before its greeting: ${messageOf(error)}`);
}

/** The finding for TLS that failed. */
export function explainTls(error: TlsError, { port, tls }: Failure): Finding {
  switch (error.failure) {
    case "not-tls": {
      const how = port === undefined ? "the server" : `port ${port}`;
      if (tls === "starttls") return fault("starttls-broken", `the server agrees to STARTTLS, and goes on in clear`);
      return fault(
        "clear-port",
        `${how} speaks in clear first, and not TLS`,
        "leave out --tls, and use smtp:// with --starttls required",
      );
    }
    case "version":
      return fault("tls-version", error.message, "have TLS 1.2 or newer set up at the server");
    case "weak-key":
      return fault(
        "tls-weak-key",
        error.message,
        'have a stronger key set up at the server; until then: --ciphers "DEFAULT@SECLEVEL=0"',
      );
    case "closed":
      return fault(
        "tls-closed",
        "the server closes the connection during the TLS handshake",
        "try --groups X25519, or --min-tls 1.2 with --ciphers",
      );
    default:
      return fault("tls-failed", error.message);
  }
}

/** The finding for a session that ended early. */
export function explainEnd({ error, step }: Failure): Finding {
  if (error instanceof SMTPTimeoutError) return fault("no-reply", `there is no reply to ${step}: ${error.message}`);
  return fault("connection-lost", `the session ends at ${step}: ${messageOf(error)}`);
}

/** The finding for a login that failed. */
export function explainLogin(error: unknown, mechanisms: readonly string[]): Finding {
  if (error instanceof SMTPNotSupportedError) {
    const fix = /clear|encrypt|TLS/i.test(error.message)
      ? "use TLS; or, if the network is trusted: --allow-insecure-auth"
      : undefined;
    return fault("login-impossible", error.message, fix);
  }
  if (error instanceof SMTPResponseException) {
    const offered =
      mechanisms.length === 0 ? undefined : `check user and password; offered are ${mechanisms.join(", ")}`;
    return fault("login-refused", `the login is refused: ${messageOf(error)}`, offered);
  }
  return fault("login-failed", `the login fails: ${messageOf(error)}`);
}

/** An error among the findings. */
export function fault(code: string, text: string, fix?: string): Finding {
  return { code, severity: "error", text, ...(fix === undefined ? {} : { fix }) };
}

function explainSilence({ phase, message }: SMTPTimeoutError, { tls }: Failure): Finding {
  if (phase === "connect")
    return fault(
      "no-answer",
      `nothing answers: ${message}`,
      "check host and port, and whether a firewall is in between",
    );
  if (phase === "tls")
    return fault("tls-silent", `the server does not answer the TLS handshake: ${message}`, "leave out --tls");
  const fix = tls === "none" ? "if it speaks TLS at once: --tls" : undefined;
  return fault("no-greeting", `the server is silent: ${message}`, fix);
}

/** The text of an error. */
export function messageOf(error: unknown): string {
  return error instanceof SMTPException || error instanceof Error ? error.message : String(error);
}

function rootOf(error: unknown): unknown {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return root;
}
