/** EHLO, and the server's requirements before a message. */
import { fault } from "./explain.ts";
import { offerOf } from "./offers.ts";
import type { ProbeSession } from "./session.ts";

/** Sends EHLO, or HELO if the server does not know EHLO; false if it refuses both. */
export async function sayHello(session: ProbeSession, over: "clear" | "tls"): Promise<boolean> {
  const { findings, report, smtp } = session;
  const verb = report.protocol === "lmtp" ? "LHLO" : "EHLO";
  const again = report.offers.length > 0;
  const { code, message } = await session.say(again ? `${verb} over TLS` : verb, () => smtp.ehlo());
  if (smtp.does_esmtp) {
    report.offers = [...report.offers, offerOf(smtp, over, verb)];
    return true;
  }
  const refused = `the server refuses ${verb}: ${code} ${message}`;
  if (verb === "LHLO" || !smtp.connected) {
    const fix = verb === "LHLO" ? "leave out --lmtp, if it is an SMTP server" : undefined;
    findings.push(fault("hello-refused", refused, fix));
    return false;
  }
  const helo = await session.say("HELO", () => smtp.helo());
  if (helo.code < 200 || helo.code > 299) {
    const fix = /lhlo|lmtp/i.test(message) ? "it is an LMTP server: --lmtp" : "try another name: --helo NAME";
    findings.push(fault("hello-refused", refused, fix));
    return false;
  }
  report.offers = [...report.offers, offerOf(smtp, over, "HELO")];
  const text = `the server knows no EHLO (${code}), and so no extensions`;
  findings.push({ code: "no-esmtp", severity: "warning", text });
  return true;
}

/** Finds out whether MAIL requires TLS or a login: sends MAIL with the empty sender, and cancels it with RSET. */
export async function askForDemands(session: ProbeSession): Promise<void> {
  const { report, smtp } = session;
  const { code, message } = await session.say("MAIL", () => smtp.docmd("MAIL", "FROM:<>"));
  const secure = smtp.peer?.tls !== undefined;
  const refused = code === 530 || code === 538;
  const wantsTls = refused && !secure && /tls|encrypt|secur/i.test(message);
  report.demands = {
    ...report.demands,
    ...(secure ? {} : { tlsBeforeMail: wantsTls }),
    ...(wantsTls ? {} : { authBeforeMail: refused }),
  };
  if (smtp.connected) await session.say("RSET", () => smtp.rset());
}
