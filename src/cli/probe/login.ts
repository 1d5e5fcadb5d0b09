/** The login, if one was requested and the server's certificate is trusted. */
import { logIn } from "../credentials.ts";
import { explainLogin, fault } from "./explain.ts";
import type { ProbeSession } from "./session.ts";

/** Logs in, and records the result. */
export async function logInTo(session: ProbeSession): Promise<void> {
  const { findings, report, settings, smtp } = session;
  const { credentials, connection } = settings;
  if (credentials === undefined || report.mechanisms.length === 0) return;
  const who = credentials.kind === "mechanism" ? {} : { user: credentials.user };
  if (report.tls?.trusted === false) {
    const text = "the login was not tried, since the certificate is not trusted";
    report.login = { ...who, succeeded: false, text };
    findings.push({ ...fault("login-not-tried", text, "--insecure does it all the same"), severity: "warning" });
    return;
  }
  session.mechanism = undefined;
  const by = (): { mechanism?: string } => (session.mechanism === undefined ? {} : { mechanism: session.mechanism });
  try {
    const { message } = await session.say("AUTH", () => logIn(smtp, credentials, connection.endpoint));
    report.login = { ...who, ...by(), succeeded: true, text: message };
  } catch (error) {
    settings.signal.throwIfAborted();
    const finding = explainLogin(
      error,
      report.mechanisms.map(({ name }) => name),
    );
    report.login = { ...who, ...by(), succeeded: false, text: finding.text };
    findings.push(finding);
  }
}
