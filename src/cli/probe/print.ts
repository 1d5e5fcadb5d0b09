/** The report of a probe as text. */
import { type Output, type Style, styled } from "../surroundings.ts";
import { printableLine as printable } from "../text.ts";
import type { CertificateReport, Finding, OfferReport, ProbeReport } from "./report.ts";

/** The report as `probe` prints it. */
export function printedReport(report: ProbeReport, output: Output): string {
  const sections = [
    section("addresses", addressLines(report)),
    section("greeting", greetingLines(report)),
    ...report.offers.map((offer) => section(offer.over === "clear" ? "in clear" : "over TLS", offerLines(offer))),
    section("TLS", tlsLines(report)),
    section("certificate", certificateLines(report)),
    section("logins", loginLines(report)),
    section("demands", demandLines(report)),
    section("tests", testLines(report)),
    section("times", timeLines(report)),
    section("notes", findingLines(report, output)),
  ];
  const body = sections.flatMap(({ title, lines }) =>
    lines.map((line, index) => `${styled(output, "bold", (index === 0 ? title : "").padEnd(13))}${line}`),
  );
  return `${[styled(output, "bold", report.server), ...body, "", verdictLine(report, output)].join("\n")}\n`;
}

type Section = { readonly title: string; readonly lines: readonly string[] };

function section(title: string, lines: readonly string[]): Section {
  return { title, lines };
}

function addressLines({ addresses }: ProbeReport): string[] {
  const words = { answered: "answered in", failed: "failed after", "given-up": "given up", "not-tried": "not tried" };
  return addresses.map(({ address, outcome, milliseconds, error }) => {
    const time = milliseconds === undefined ? "" : ` ${shownTime(milliseconds)}`;
    return `${address}  ${words[outcome]}${time}${error === undefined ? "" : `: ${printable(error)}`}`;
  });
}

function greetingLines({ greeting }: ProbeReport): string[] {
  return greeting === undefined ? [] : `${greeting.code} ${greeting.text}`.split("\n").map(printable);
}

function offerLines({ command, name, extensions }: OfferReport): string[] {
  const shown = extensions.map(({ keyword, parameters }) => printable(`${keyword} ${parameters}`.trim()));
  const width = Math.min(34, Math.max(0, ...shown.map((text) => text.length)));
  const rows = extensions.map(({ meaning, rfc }, index) => {
    const text = rfc === "" ? meaning : `${meaning} (${rfc})`;
    return `${(shown[index] ?? "").padEnd(width)}  ${text}`;
  });
  return [`${printable(name)} answers ${command}${rows.length === 0 ? ", and offers nothing" : ""}`, ...rows];
}

function tlsLines({ tls }: ProbeReport): string[] {
  if (tls === undefined) return [];
  const kind = [tls.protocol, tls.cipher, tls.group].filter((part) => part !== undefined).join(", ");
  return [`${kind} ${tls.by === "starttls" ? "by STARTTLS" : "from the first byte on"}`];
}

function certificateLines({ tls }: ProbeReport): string[] {
  if (tls === undefined) return [];
  return tls.chain.map((certificate, index) => (index === 0 ? ownLine(certificate) : issuerLine(certificate)));
}

function ownLine({ names, issuer, daysLeft, key, validUntil }: CertificateReport): string {
  const shown = names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
  const expired = Date.parse(validUntil) < Date.now();
  const time = expired ? `expired on ${validUntil.slice(0, 10)}` : `${daysLeft} days left`;
  return `${printable(shown || "no name")}: issued by ${printable(issuer)}, ${time}, ${key}`;
}

function issuerLine({ subject, issuer, daysLeft }: CertificateReport): string {
  const by = subject === issuer ? "an authority" : `issued by ${printable(issuer)}`;
  return `${printable(subject)}: ${by}, ${daysLeft} days left`;
}

function loginLines({ mechanisms, login }: ProbeReport): string[] {
  const width = Math.max(0, ...mechanisms.map(({ name }) => name.length));
  const rows = mechanisms.map(({ name, meaning, rfc, supported, offeredOver }) => {
    const where = offeredOver.length === 1 && offeredOver[0] === "clear" ? ", in clear only" : "";
    const known = supported ? "" : ", not known to this client";
    return `${printable(name).padEnd(width)}  ${meaning}${rfc === "" ? "" : ` (${rfc})`}${where}${known}`;
  });
  if (login === undefined) return rows;
  const by = login.mechanism === undefined ? "" : ` by ${printable(login.mechanism)}`;
  return [...rows, login.succeeded ? `logged in${by}: ${printable(login.text)}` : printable(login.text)];
}

function demandLines({ demands }: ProbeReport): string[] {
  const { tlsBeforeAuth, tlsBeforeMail, authBeforeMail } = demands;
  const told = (what: string, value: boolean | undefined): string[] =>
    value === undefined ? [] : [`${what}: ${value ? "yes" : "no"}`];
  const lines = [
    ...told("TLS before a login", tlsBeforeAuth),
    ...told("TLS before MAIL", tlsBeforeMail),
    ...told("login before MAIL", authBeforeMail),
  ];
  return lines.length === 0 ? [] : [lines.join("; ")];
}

function testLines({ pipelining, chunking }: ProbeReport): string[] {
  const tested = { PIPELINING: pipelining, CHUNKING: chunking };
  return Object.entries(tested).flatMap(([name, test]) =>
    test?.claimed === true ? [`${name}: ${printable(test.detail)}`] : [],
  );
}

function timeLines({ steps }: ProbeReport): string[] {
  const shown = steps.map(({ step, milliseconds }) => `${step} ${shownTime(milliseconds)}`);
  return shown.length === 0 ? [] : [shown.join(", ")];
}

function findingLines({ findings }: ProbeReport, output: Output): string[] {
  const styles: Readonly<Record<Finding["severity"], Style>> = { error: "red", warning: "yellow", note: "cyan" };
  return findings.map(({ severity, text, fix }) => {
    const more = fix === undefined ? "" : ` (${printable(fix)})`;
    return `${styled(output, styles[severity], severity)}: ${printable(text)}${more}`;
  });
}

function verdictLine({ verdict }: ProbeReport, output: Output): string {
  const { outcome, text, fix } = verdict;
  const mark = outcome === "good" ? styled(output, "green", "OK") : styled(output, "red", "FAULT");
  return `${mark}: ${printable(text)}${fix === undefined ? "" : `\n  -> ${printable(fix)}`}`;
}

function shownTime(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}
