/** Connects to a server as a client would, and records its behaviour. Sends no message. */
import { testClaims } from "./claims.ts";
import { explainEnd, fault } from "./explain.ts";
import { askForDemands, sayHello } from "./hello.ts";
import { logInTo } from "./login.ts";
import { mechanismsIn, offerFindings } from "./offers.ts";
import { openSession } from "./open.ts";
import type { Draft, ProbeReport } from "./report.ts";
import { ProbeSession, type ProbeSettings } from "./session.ts";
import { startTls } from "./tls.ts";
import { judge } from "./verdict.ts";

export type { ProbeSettings } from "./session.ts";

/** The groups of a ClientHello that fits into one packet. */
const SMALL_GROUPS = "X25519";

/**
 * Probes a server.
 * @throws the reason of the signal; nothing because of the server
 */
export async function probe(settings: ProbeSettings): Promise<ProbeReport> {
  const first = await probeOnce(settings);
  if (!mayBeClientHello(first, settings)) return judge(first);
  // Some middleboxes drop a ClientHello that is longer than one packet, as post-quantum groups make it.
  const { connection } = settings;
  const context = { ...connection.context, groups: SMALL_GROUPS };
  const second = await probeOnce({ ...settings, connection: { ...connection, context } });
  if (second.tls === undefined) return judge(first);
  const text = `the server drops a ClientHello that offers all groups, and takes one that offers ${SMALL_GROUPS} alone`;
  const hello = fault("tls-client-hello", text, `try --groups ${SMALL_GROUPS}`);
  return judge({ ...second, findings: [hello, ...second.findings] });
}

function mayBeClientHello({ findings }: Draft, { connection }: ProbeSettings): boolean {
  // Deno cannot choose the groups.
  if (connection.context.groups !== undefined || "Deno" in globalThis) return false;
  return findings.some(({ code }) => code === "tls-closed" || code === "tls-failed");
}

/** Runs all stages of one session. */
async function probeOnce(settings: ProbeSettings): Promise<Draft> {
  const session = new ProbeSession(settings);
  try {
    if (await openSession(session)) await converse(session);
  } catch (error) {
    settings.signal.throwIfAborted();
    session.findings.push(explainEnd(session.failure(error)));
  } finally {
    session.smtp.close();
  }
  return session.draft;
}

async function converse(session: ProbeSession): Promise<void> {
  const { report, settings, smtp } = session;
  const { tls } = settings.connection;
  if (!(await sayHello(session, tls === "implicit" ? "tls" : "clear"))) return;
  await askForDemands(session);
  if (tls !== "implicit" && tls !== "never" && !(await startTls(session))) return;
  report.mechanisms = mechanismsIn(report.offers);
  session.findings.push(...offerFindings(session));
  await logInTo(session);
  await testClaims(session);
  if (smtp.connected) await session.say("QUIT", () => smtp.quit());
}
