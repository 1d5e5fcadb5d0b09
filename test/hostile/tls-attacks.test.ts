/** Known attacks on TLS: other protocols behind the same certificate, changed certificates, resumption. */
import { describe, expect, it } from "vitest";
import { SMTP, SMTP_SSL, SMTPException, type SMTPOptions, SMTPPool } from "../../src/index.ts";
import { type Certificates, certificates, fingerprint256, type Pair } from "../support/certificates.ts";
import {
  type Act,
  type Conversation,
  converse,
  ehlo,
  raw,
  server,
  startScriptedServer,
  startTls,
} from "../support/scripted-server.ts";
import { reasonOf } from "../transports/bytes.ts";
import { runningOn } from "../transports/contract.ts";
import attacks from "./attacks/tls.json";
import { watchForLeaks } from "./scenario.ts";

const made: Certificates = await certificates();
const AUTH = { user: "tim", password: "secret" };

/** A friendly server over TLS, from the first byte on or by STARTTLS. */
function friendly(pair: Pair, secure: boolean): Act {
  const answers = { EHLO: ehlo("AUTH PLAIN"), AUTH: "235 ok" };
  return secure ? [startTls(pair), server(answers)] : byStartTls(pair, converse(answers));
}

function byStartTls(pair: Pair, inTls: Act): Act {
  return server({ EHLO: ehlo("STARTTLS"), STARTTLS: ["220 ready", startTls(pair), inTls] });
}

function inTlsOf({ lines }: Conversation): string[] {
  return lines.slice(lines.indexOf("(TLS)") + 1);
}

describe("[tls: other protocols]", () => {
  watchForLeaks();

  for (const { name, greeting, answer } of attacks.otherProtocols) {
    const speaking: Act = [raw(greeting), converse({ "*": raw(answer), EHLO: raw(answer), HELO: raw(answer) })];

    it(`a server of ${name} behind the same certificate gets no login, from the first octet on`, async () => {
      const answering = await startScriptedServer([startTls(made.good), speaking]);
      const options: SMTPOptions = { timeout: 0.5, timeouts: { quit: 0.2 }, context: { ca: made.ca } };
      const smtp = new SMTP_SSL(answering.host, answering.port, options);
      const error = await reasonOf(smtp.login(AUTH.user, AUTH.password));
      smtp.close();
      await answering.finish();
      expect(error).toBeInstanceOf(SMTPException);
      expect(inTlsOf(answering.first).join("\n")).not.toMatch(/AUTH|MAIL/);
    });

    it(`a server of ${name} behind the same certificate gets no login, by STARTTLS`, async () => {
      const answering = await startScriptedServer(byStartTls(made.good, speaking));
      const smtp = new SMTP(answering.host, answering.port, { timeout: 0.5, context: { ca: made.ca } });
      const error = await reasonOf(smtp.starttls().then(() => smtp.login(AUTH.user, AUTH.password)));
      smtp.close();
      await answering.finish();
      expect(error).toBeInstanceOf(SMTPException);
      expect(inTlsOf(answering.first).join("\n")).not.toMatch(/AUTH|MAIL/);
    });
  }
});

/** With a `ca`, Deno verifies by its node:tls, which reports an expired certificate as one of an unknown issuer. */
const named = (failure: string): string => (failure === "expired" && runningOn("deno") ? "issuer" : failure);

function pairNamed(name: string): Pair {
  const pair = Object.entries(made).find(([other]) => other === name)?.[1];
  if (pair === undefined || typeof pair === "string") throw new Error(`no certificate: ${name}`);
  return pair;
}

describe("[tls: changed certificates]", () => {
  watchForLeaks();

  for (const { to, failure, pinned } of attacks.changes) {
    for (const secure of [true, false]) {
      const how = `${secure ? "from the first octet on" : "by STARTTLS"}${pinned === true ? ", pinned" : ""}`;
      it(`a pool verifies the next connection's certificate, ${to} now, ${how}`, async () => {
        const answering = await startScriptedServer(friendly(made.good, secure), friendly(pairNamed(to), secure));
        const pin = pinned === true ? { fingerprint256: fingerprint256(made.good.cert) } : {};
        const context = { ca: made.ca, servername: "localhost", ...pin };
        const { host, port } = answering;
        const pool = new SMTPPool({ host, port, secure, auth: AUTH, context, maxMessages: 1, timeout: 5 });
        const send = (): Promise<unknown> => pool.sendmail("a@client.test", "b@lab.test", "x");
        await send();
        const outcome = await send().catch((error: unknown) => error);
        await pool.close();
        await answering.finish();
        const [, second] = answering.conversations;
        if (failure === undefined) return expect(second?.taken).toBe(1);
        expect(outcome).toMatchObject({ temporary: false, cause: { failure: named(failure) } });
        expect(answering.conversations.length).toBe(2);
        expect(second?.lines.join("\n")).not.toMatch(/AUTH|MAIL/);
      });
    }
  }

  it("pools share no connection: one in clear is not used where TLS is demanded", async () => {
    const answering = await startScriptedServer(friendly(made.good, false));
    const { host, port } = answering;
    const options = { host, port, timeout: 5, context: { ca: made.ca } };
    const clear = new SMTPPool({ ...options, starttls: "never" });
    const demanding = new SMTPPool({ ...options, auth: AUTH });
    for (const pool of [clear, demanding]) await pool.sendmail("a@client.test", "b@lab.test", "x");
    for (const pool of [clear, demanding]) await pool.close();
    await answering.finish();
    expect(answering.conversations.map(({ lines }) => lines.includes("(TLS)"))).toEqual([false, true]);
  });
});

describe("[tls: attacks]", () => {
  it("each have a source", () => {
    const { otherProtocols, changes, resumptions, renegotiation, earlyData, pools } = attacks;
    const all = [...otherProtocols, ...changes, ...resumptions, renegotiation, earlyData, pools].flatMap(
      ({ sources }) => sources,
    );
    expect(all.filter((source) => !(source in attacks.sources))).toEqual([]);
  });
});
