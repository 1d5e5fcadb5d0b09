/** STARTTLS, and the description of a TLS session and its certificate. */
import { TlsError } from "../../index.ts";
import { causeOf } from "../exit-codes.ts";
import { certificateFindings, describeChain } from "./certificates.ts";
import { explainTls, fault, messageOf } from "./explain.ts";
import { askForDemands, sayHello } from "./hello.ts";
import type { CertificateReport, Finding } from "./report.ts";
import type { ProbeSession } from "./session.ts";

/** Upgrades to TLS if that is offered; false if the session is over. */
export async function startTls(session: ProbeSession): Promise<boolean> {
  const { findings, report, smtp } = session;
  if (!smtp.has_extn("starttls")) return noteMissing(session);
  try {
    await session.sayAround("STARTTLS", () => smtp.starttls());
  } catch (error) {
    session.settings.signal.throwIfAborted();
    const tls = causeOf(error, TlsError);
    const failed = fault("starttls-refused", `STARTTLS is offered, and fails: ${messageOf(error)}`);
    findings.push(tls === undefined ? failed : explainTls(tls, session.failure(error, "starttls")));
    return false;
  }
  noteTls(session, "starttls");
  if (!(await sayHello(session, "tls"))) return false;
  if (report.demands.tlsBeforeMail === true) await askForDemands(session);
  return true;
}

/** Records the TLS session and the faults of the certificate. */
export function noteTls(session: ProbeSession, by: "implicit" | "starttls"): void {
  const info = session.smtp.peer?.tls;
  if (info === undefined) return;
  const { certificate, cipher, group, protocol, verificationError } = info;
  const chain = describeChain(info.chain ?? (certificate === undefined ? [] : [certificate]), Date.now());
  const findings = judgeCertificate(session, chain, verificationError);
  session.findings.push(...findings);
  session.report.tls = {
    by,
    ...(protocol === undefined ? {} : { protocol }),
    ...(cipher === undefined ? {} : { cipher }),
    ...(group === undefined ? {} : { group }),
    trusted: findings.every(({ severity }) => severity !== "error"),
    chain,
  };
}

function noteMissing({ findings, settings, smtp }: ProbeSession): boolean {
  const { tls, tlsAsked } = settings.connection;
  const text = "the server does not offer STARTTLS";
  if (tls === "required" && tlsAsked) findings.push(fault("starttls-missing", text));
  else if (smtp.peer?.loopback === false) {
    findings.push({ code: "starttls-missing", severity: "warning", text: `${text}: all is sent in clear` });
  }
  return true;
}

function judgeCertificate(
  { name, settings }: ProbeSession,
  chain: readonly CertificateReport[],
  refusal: Error | undefined,
): Finding[] {
  const { fingerprint256 = [], rejectUnauthorized } = settings.connection.context;
  const pins = [fingerprint256].flat().map((pin) => pin.replaceAll(":", "").toUpperCase());
  const own = chain[0]?.fingerprint256 ?? "";
  if (pins.length > 0 && !pins.includes(own.replaceAll(":", ""))) {
    return [
      fault("certificate-fingerprint", `the certificate has the fingerprint ${own}, which is not the one wanted`),
    ];
  }
  const findings = certificateFindings(chain, refusal instanceof TlsError ? refusal : undefined, name);
  // The faults are reported even without verification.
  return rejectUnauthorized === false ? findings.map((one) => ({ ...one, severity: "warning" })) : findings;
}
