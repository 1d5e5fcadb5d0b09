/** The offers of EHLO, and the findings about them. */
import { offerOf as readOffer } from "../../core/index.ts";
import type { SMTP } from "../../index.ts";
import { meaningOf, shownOctets } from "../extensions.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { fault } from "./explain.ts";
import type { Finding, MechanismReport, OfferReport } from "./report.ts";
import type { ProbeSession } from "./session.ts";

/** The size of a message that every server has to accept (RFC 5321 4.5.3.1.7), in bytes. */
const LEAST_SIZE = 65_536;

/** The offer in the server's last reply to EHLO. */
export function offerOf(smtp: SMTP, over: "clear" | "tls", command: OfferReport["command"]): OfferReport {
  const [name = ""] = ((command === "HELO" ? smtp.helo_resp : smtp.ehlo_resp) ?? "").split("\n");
  const extensions = Object.entries(smtp.esmtp_features).map(([lower, parameters]) => {
    const keyword = lower.toUpperCase();
    return { keyword, parameters, ...meaningOf(keyword, parameters) };
  });
  return { over, command, name, extensions };
}

/** The mechanisms of all offers. */
export function mechanismsIn(offers: readonly OfferReport[]): MechanismReport[] {
  const found = new Map<string, ("clear" | "tls")[]>();
  for (const { extensions, over } of offers) {
    for (const name of mechanismNames(extensions)) found.set(name, [...(found.get(name) ?? []), over]);
  }
  return Array.from(found, ([name, offeredOver]) => {
    const row = Object.hasOwn(MECHANISMS, name) ? MECHANISMS[name] : undefined;
    const { meaning = "unknown", rfc = "", showsSecret = null, supported = false } = row ?? {};
    return { name, offeredOver, meaning, rfc, showsSecret, supported };
  });
}

/** The findings about all offers, once they are known; also records what follows from them. */
export function offerFindings({ report, settings, smtp }: ProbeSession): Finding[] {
  const { mechanisms, offers } = report;
  const limit = sizeLimitIn(offers);
  if (limit !== undefined) report.sizeLimit = limit;
  const findings: Finding[] = [];
  if (limit !== undefined && limit < LEAST_SIZE) {
    const text = `the server takes no message of more than ${shownOctets(limit)}, where RFC 5321 asks for 65,536 octets`;
    findings.push(fault("size-too-small", text, "raise the limit at the server"));
  }
  const overClear = mechanisms.filter(({ offeredOver }) => offeredOver.includes("clear"));
  const overTls = mechanisms.filter(({ offeredOver }) => offeredOver.includes("tls"));
  const bothSeen = ["clear", "tls"].every((kind) => offers.some(({ over }) => over === kind));
  if (bothSeen && mechanisms.length > 0) report.demands = { ...report.demands, tlsBeforeAuth: overClear.length === 0 };
  if (bothSeen && overTls.length > 0 && overClear.length === 0) {
    findings.push({ code: "auth-after-tls", severity: "note", text: "a login is offered over TLS only" });
  }
  if (settings.credentials !== undefined && mechanisms.length === 0) findings.push(noLogin(offers));
  if (mechanisms.length > 0 && !mechanisms.some(({ supported }) => supported)) {
    const names = mechanisms.map(({ name }) => name).join(", ");
    findings.push(fault("no-common-mechanism", `the server offers logins by ${names}, none of which this client has`));
  }
  const shown = overClear.filter(({ showsSecret }) => showsSecret === true).map(({ name }) => name);
  if (shown.length > 0 && smtp.peer?.loopback === false) {
    const text = `the server lets passwords be sent in clear, by ${shown.join(", ")}`;
    findings.push({ code: "password-in-clear", severity: "warning", text, fix: "offer AUTH after STARTTLS only" });
  }
  return findings;
}

function noLogin(offers: readonly OfferReport[]): Finding {
  const last = offers.at(-1);
  const afterTls = last?.over === "clear" && last.extensions.some(({ keyword }) => keyword === "STARTTLS");
  if (!afterTls) return fault("auth-missing", "the server offers no login", "try port 587 or 465");
  return fault("auth-after-tls", "the server offers no login in clear, and has STARTTLS", "leave out --starttls never");
}

function mechanismNames(extensions: OfferReport["extensions"]): readonly string[] {
  const auth = extensions.find(({ keyword }) => keyword === "AUTH");
  return auth === undefined ? [] : (readOffer({ auth: auth.parameters }).auth?.mechanisms ?? []);
}

function sizeLimitIn(offers: readonly OfferReport[]): number | undefined {
  const size = offers.at(-1)?.extensions.find(({ keyword }) => keyword === "SIZE");
  return size === undefined ? undefined : readOffer({ size: size.parameters }).size?.limit;
}
