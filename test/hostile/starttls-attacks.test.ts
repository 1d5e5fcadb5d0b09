/**
 * Known attacks on STARTTLS: with TLS required, no login and no message is sent in clear text (SECURITY.md, rule 3).
 */
import { createMessage } from "@upyo/core";
import { createTransport } from "nodemailer";
import { describe, expect, it } from "vitest";
import { SMTP, SMTPException, type SMTPOptions, SMTPPool, type Transport } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { defaultTransport } from "../../src/runtime.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { certificates } from "../support/certificates.ts";
import {
  type Act,
  callback,
  close,
  converse,
  raw,
  type ScriptedServer,
  startScriptedServer,
  startTls,
} from "../support/scripted-server.ts";
import attacks from "./attacks/starttls.json";
import { watchForLeaks } from "./scenario.ts";

/** An attack: the server's bytes before TLS, and within TLS if the session gets there. Other replies are friendly. */
type Row = {
  readonly id: string;
  readonly sources: readonly string[];
  /** "secure": the message is delivered over TLS. */
  readonly expect: string;
  readonly greeting?: string;
  /** Verb -> bytes. "behind": bytes that follow the 220 in a separate packet. */
  readonly clear: { readonly [verb: string]: string | undefined };
  /** The same within TLS; "first": bytes before any command. Empty: no reply, and a close. */
  readonly tls?: { readonly [verb: string]: string | undefined };
  /** True if TLS follows the reply to STARTTLS. */
  readonly upgrades?: boolean;
  readonly certificate?: string;
};

const ROWS: readonly Row[] = attacks.rows;
const made = await certificates();
const USER = "tim-the-user";
const PASSWORD = "a-secret-of-tims";

const GOES_ON = "the same by a caller that goes on whatever happens";

/** A way to send that requires a login and TLS. */
type Way = (server: ScriptedServer, options: SMTPOptions & { readonly transport: Transport }) => Promise<unknown>;

const pooled = ({ host, port }: ScriptedServer, options: SMTPOptions) =>
  ({ host, port, auth: { user: USER, password: PASSWORD }, reconnectFor: 0, ...options }) as const;

const WAYS: Readonly<Record<string, Way>> = {
  "starttls(), login(), sendmail()": async ({ host, port }, options) => {
    const smtp = await SMTP.connect(host, port, options);
    try {
      await smtp.starttls();
      await smtp.login(USER, PASSWORD);
      return await smtp.sendmail("a@client.test", "b@lab.test", "x");
    } finally {
      smtp.close();
    }
  },
  [GOES_ON]: async ({ host, port }, options) => {
    const smtp = await SMTP.connect(host, port, { ...options, transport: elsewhere(options.transport) });
    try {
      const starting = await smtp.starttls().catch((error: unknown) => error);
      await smtp.login(USER, PASSWORD);
      if (starting instanceof Error) throw new Error("a login without TLS");
      return await smtp.sendmail("a@client.test", "b@lab.test", "x");
    } finally {
      smtp.close();
    }
  },
  "the pool": async (server, options) => {
    const pool = new SMTPPool(pooled(server, options));
    try {
      return await pool.sendmail("a@client.test", "b@lab.test", "x");
    } finally {
      await pool.close();
    }
  },
  nodemailer: async (server, options) => {
    const transport = createTransport(smtplib(pooled(server, options)));
    try {
      return await transport.sendMail({ from: "a@client.test", to: "b@lab.test", text: "x" });
    } finally {
      transport.close();
    }
  },
  Upyo: async (server, options) => {
    const transport = new SmtplibTransport(pooled(server, options));
    try {
      const message = createMessage({ from: "a@client.test", to: "b@lab.test", subject: "x", content: { text: "x" } });
      const receipt = await transport.send(message);
      if (!receipt.successful) throw receipt.error;
      return receipt;
    } finally {
      await transport.close();
    }
  },
};

/** A transport to a server that pretends to be remote. */
function elsewhere(transport: Transport): Transport {
  return async (endpoint, options) =>
    new Proxy(await transport(endpoint, options), {
      get(target, name) {
        if (name === "peer") return { ...target.peer, loopback: false };
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
}

function actOf({ greeting = "220 smtp.example.com ESMTP fake\r\n", clear, tls, upgrades, certificate }: Row): Act {
  const pair = Object.entries(made).find(([name]) => name === certificate)?.[1] ?? made.good;
  if (typeof pair === "string") throw new Error(`no certificate: ${certificate}`);
  const { behind, STARTTLS = "502 no\r\n", ...answers } = clear;
  const more = behind === undefined ? [] : [callback(() => new Promise((r) => setTimeout(r, 30))), raw(behind)];
  const { first = "", ...inTls } = tls ?? {};
  const secure = converse({ AUTH: "235 2.7.0 ok", ...said(inTls) });
  const upgrade = upgrades === true ? [startTls(pair), raw(first), secure] : [];
  return [raw(greeting), converse({ ...said(answers), STARTTLS: [raw(STARTTLS), ...more, ...upgrade] })];
}

function said(answers: Row["clear"]): Record<string, Act> {
  const acts = Object.entries(answers).map(([verb, text = ""]) => [verb, text === "" ? close : raw(text)]);
  return Object.fromEntries(acts);
}

/**
 * Expects no login and no envelope before TLS. A caller that continues without TLS may reveal the user name: SCRAM and
 * CRAM-MD5 protect the password.
 */
function expectNothingInClear({ conversations }: ScriptedServer, goesOn: boolean): void {
  for (const { lines } of conversations) {
    const at = lines.indexOf("(TLS)");
    const clear = lines.slice(0, at < 0 ? lines.length : at).join("\n");
    expect(clear).not.toMatch(/^(MAIL|RCPT|DATA|BDAT|AUTH (PLAIN|LOGIN|X?OAUTH))/m);
    if (!goesOn) expect(clear).not.toMatch(/^AUTH/m);
    const decoded = clear.match(/[\w+/]{4,}={0,2}/g)?.map((token) => Buffer.from(token, "base64").toString()) ?? [];
    for (const secret of goesOn ? [PASSWORD] : [USER, PASSWORD])
      expect([clear, ...decoded].join("\n")).not.toContain(secret);
  }
}

describe("[tls: attacks]", () => {
  watchForLeaks();

  for (const [name, way] of Object.entries(WAYS)) {
    describe(name, () => {
      it.each(ROWS.map((row) => [row.expect, row.id, row] as const))("%s: %s", async (_, __, row) => {
        const server = await startScriptedServer(actOf(row));
        let connections = 0;
        const transport: Transport = async (endpoint, options) => {
          connections++;
          return (await defaultTransport({ endpoint, options }))(endpoint, options);
        };
        const options = { timeout: 2, timeouts: { quit: 0.3 }, context: { ca: made.ca }, transport };
        const outcome = await way(server, options).then(
          () => "delivered",
          (error: unknown) => error,
        );
        await server.finish();
        expectNothingInClear(server, name === GOES_ON);
        const taken = server.conversations.reduce((sum, one) => sum + one.taken, 0);
        if (row.expect === "secure") {
          expect(outcome).toBe("delivered");
          expect(taken).toBe(1);
          return;
        }
        expect(outcome).toBeInstanceOf(Error);
        if (outcome instanceof SMTPException) expect(outcome.delivery).not.toBe("unknown");
        expect(String(outcome)).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
        expect(taken).toBe(0);
        // Counted at the transport: a client of another process may connect to the server's port.
        expect(connections).toBe(1);
      });
    });
  }

  it("each have a source", () => {
    const named = ROWS.flatMap(({ sources }) => sources.map((source) => source.split(":")[0] ?? ""));
    expect(named.filter((source) => !(source in attacks.sources))).toEqual([]);
  });
});
