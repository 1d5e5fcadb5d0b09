/** The verdict of a probe: one sentence, and the exit code. */
import { EXIT, type ExitCode } from "../exit-codes.ts";
import type { Draft, Finding, ProbeReport, Verdict } from "./report.ts";

const EXIT_CODES: Readonly<Record<Verdict["outcome"], ExitCode>> = {
  good: EXIT.ok,
  faulty: EXIT.protocol,
  unusable: EXIT.unavailable,
  later: EXIT.temporary,
  "login-refused": EXIT.login,
};

/** The report with its verdict. */
export function judge(draft: Draft): ProbeReport {
  const [first] = draft.findings.filter(({ severity }) => severity === "error");
  const verdict = first === undefined ? good(draft) : { outcome: outcomeOf(draft, first), ...sentenceOf(first) };
  return { ...draft, verdict, exitCode: EXIT_CODES[verdict.outcome] };
}

function outcomeOf({ greeting, offers }: Draft, { code }: Finding): Verdict["outcome"] {
  if (greeting !== undefined && greeting.code >= 400 && greeting.code < 500) return "later";
  if (code === "login-refused") return "login-refused";
  if (["tls-at-once", "clear-port", "not-smtp"].includes(code) || code.startsWith("tls-")) return "faulty";
  return offers.length === 0 && greeting?.code !== 220 ? "unusable" : "faulty";
}

function sentenceOf({ text, fix }: Finding): { text: string; fix?: string } {
  return { text, ...(fix === undefined ? {} : { fix }) };
}

function good({ login, mechanisms, server, tls }: Draft): Verdict {
  const security =
    tls === undefined ? "in clear" : `over ${tls.protocol ?? "TLS"}${tls.by === "starttls" ? " by STARTTLS" : ""}`;
  const usable = mechanisms.filter(({ supported }) => supported).map(({ name }) => name);
  const offered = usable.length === 0 ? "without a login" : `with a login by ${usable.join(", ")}`;
  const loggedIn = login?.succeeded === true ? `logged in by ${login.mechanism}` : offered;
  return { outcome: "good", text: `${server} takes mail ${security}, ${loggedIn}` };
}
