/** The first stage: the connection, implicit TLS if requested, and the greeting. */
import { explainConnecting, fault } from "./explain.ts";
import { racingTransport } from "./racing-transport.ts";
import type { ProbeSession } from "./session.ts";
import { Steps } from "./steps.ts";
import { noteTls } from "./tls.ts";

/** Seconds without a greeting after which TLS is tried on another connection. */
const PATIENCE = 3;

/** Connects; false if there is no session; a finding then explains why. */
export async function openSession(session: ProbeSession): Promise<boolean> {
  const { findings, report, settings, smtp } = session;
  const { endpoint, tls } = settings.connection;
  const [host, port] = "path" in endpoint ? [endpoint.path, 0] : [endpoint.host, endpoint.port];
  const connecting = session.sayAround("greeting", () => smtp.connect(host, port));
  try {
    if (tls !== "implicit" && (await speaksTlsAtOnce(session, connecting))) {
      const text = `port ${port} speaks TLS at once, and is silent in clear`;
      findings.push(fault("tls-at-once", text, "use --tls, or smtps://"));
      return false;
    }
    const { code, message } = await connecting;
    report.greeting = { code, text: message };
    if (tls === "implicit") noteTls(session, "implicit");
    if (code === 220) return true;
    const fix = code < 500 ? "try later" : "ask its operator, or come from another address";
    findings.push(fault("greeting-refused", `the server refuses connections from here: ${code} ${message}`, fix));
    if (smtp.connected) await session.say("QUIT", () => smtp.quit());
  } catch (error) {
    settings.signal.throwIfAborted();
    findings.push(explainConnecting(session.failure(error)));
  }
  return false;
}

/** A server that sends nothing or closes may expect a ClientHello: a second connection finds out. */
async function speaksTlsAtOnce(session: ProbeSession, connecting: Promise<unknown>): Promise<boolean> {
  const outcome = connecting.then(
    () => "greeted" as const,
    () => "failed" as const,
  );
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<"silent">((resolve) => {
    timer = setTimeout(() => resolve("silent"), Math.min(PATIENCE, session.timeout / 2) * 1000);
  });
  const first = await Promise.race([outcome, silence]);
  clearTimeout(timer);
  if (first === "greeted") return false;
  const answered = session.report.addresses.some((one) => one.outcome === "answered");
  const silent = (answered || session.settings.connection.transport !== undefined) && session.firstLine === undefined;
  if (first === "failed") return silent && (await completesHandshake(session));
  const trial = completesHandshake(session);
  // A greeting that is only late arrives first, unless the port expects TLS.
  return await Promise.race([trial, outcome.then((how) => (how === "greeted" ? false : trial))]);
}

async function completesHandshake(session: ProbeSession): Promise<boolean> {
  const { connection, signal: stop } = session.settings;
  const { endpoint, sourceAddress, transport } = connection;
  if ("path" in endpoint) return false;
  const signal = AbortSignal.any([stop, AbortSignal.timeout(session.timeout * 1000)]);
  try {
    const stream = await (transport ?? racingTransport(new Steps(), () => {}))(endpoint, { signal, sourceAddress });
    const drop = (): void => stream.abort(signal.reason);
    signal.addEventListener("abort", drop);
    await stream.startTls({ ...session.context, servername: session.name });
    signal.removeEventListener("abort", drop);
    stream.abort();
    // The session without TLS cannot continue.
    session.smtp.close();
    return true;
  } catch {
    return false;
  }
}
