/** Tests two claims of EHLO, PIPELINING and CHUNKING, without sending a message. */
import type { SMTP } from "../../index.ts";
import { isLost } from "../exit-codes.ts";
import { fault } from "./explain.ts";
import type { TestReport } from "./report.ts";
import type { ProbeSession } from "./session.ts";

/** RSET may stand anywhere in a group, NOOP at its end (RFC 2920 3.1). */
const GROUP = ["RSET", "RSET", "NOOP"];

/** Seconds to wait for each reply of a group. */
const PATIENCE = 5;

/** Tests both claims, CHUNKING first: a server that loses commands leaves the session unusable. */
export async function testClaims(session: ProbeSession): Promise<void> {
  const { findings, report, smtp, timeout } = session;
  if (!smtp.connected) return;
  report.chunking = await session.say("BDAT", () => testChunking(smtp));
  if (report.chunking.works === false) {
    const text = `the server offers CHUNKING and does not know it: ${report.chunking.detail}`;
    findings.push(fault("chunking-unknown", text, "--chunking off, or the option chunking: false"));
  }
  if (!smtp.connected) return;
  report.pipelining = await session.say("group", () => testPipelining(smtp, Math.min(PATIENCE, timeout)));
  if (report.pipelining.works !== false) return;
  const text = `the server offers PIPELINING and does not keep to it: ${report.pipelining.detail}`;
  findings.push(fault("pipelining-broken", text, "--pipelining off, or the option pipelining: false"));
}

/** Sends an empty last chunk without a transaction; a server that knows BDAT refuses it with 503 (RFC 3030 2). */
async function testChunking(smtp: SMTP): Promise<TestReport> {
  if (!smtp.has_extn("chunking")) return { claimed: false, detail: "not offered" };
  const { code, message } = await smtp.docmd("BDAT", "0 LAST");
  const [text] = message.split("\n", 1);
  if (code !== 500 && code !== 502 && code !== 504) return { claimed: true, works: true, detail: "BDAT is understood" };
  return { claimed: true, works: false, detail: `BDAT is answered with ${code} ${text}` };
}

/** Sends a group of commands in one write and counts the replies. */
async function testPipelining(smtp: SMTP, patience: number): Promise<TestReport> {
  if (!smtp.has_extn("pipelining")) return { claimed: false, detail: "not offered" };
  smtp.timeout = patience;
  await smtp.send(GROUP.map((command) => `${command}\r\n`).join(""));
  for (const [replies, command] of GROUP.entries()) {
    try {
      const { code } = await smtp.getreply();
      if (code < 500) continue;
      return { claimed: true, works: false, detail: `${command} in a group is answered with ${code}` };
    } catch (error) {
      if (!isLost(error)) throw error;
      const detail = `${GROUP.length} commands in one write get ${replies} ${replies === 1 ? "reply" : "replies"}`;
      return { claimed: true, works: false, detail };
    }
  }
  return { claimed: true, works: true, detail: `${GROUP.length} commands in one write get ${GROUP.length} replies` };
}
