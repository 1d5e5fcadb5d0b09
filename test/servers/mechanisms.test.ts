/** Each SASL mechanism with a real server that has it. The table of docs/extensions.md lists them. */
import { createSecretKey } from "node:crypto";
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { type Reply, type SMTP, SMTPPool, type TlsOptions } from "../../src/index.ts";
import {
  anonymous,
  cramMd5,
  external,
  login,
  type Mechanism,
  type MechanismContext,
  oauthbearer,
  plain,
  scramSha1,
  scramSha1Plus,
  scramSha256,
  scramSha256Plus,
  scramSha512,
  scramSha512Plus,
  xoauth2,
} from "../../src/sasl/index.ts";
import { proof } from "../extensions/proof.ts";
import { failureOf } from "./failure.ts";
import { describeServer, type Server } from "./servers.ts";
import { session } from "./smtp-suite.ts";

const sender = "sender@client.test";
const members = "members@lab.test";

type Maker = (credentials: { user: string; password: string }) => Mechanism;

/** Lets `enter` authenticate a session over TLS, which may then send to a recipient for members only. */
function becomesMember(server: Server, enter: (smtp: SMTP) => Promise<Reply>, tls: TlsOptions = {}): Promise<void> {
  return session(server, async (smtp) => {
    await smtp.starttls({ ca: server.ca, ...tls });
    expect(await failureOf(smtp.sendmail(sender, members, "Subject: x\n\n"))).toMatchObject({
      recipients: { [members]: { code: 530 } },
    });
    expect(await enter(smtp)).toMatchObject({ code: 235 });
    expect(await smtp.sendmail(sender, members, "Subject: x\n\n")).toEqual({});
  });
}

/** The server accepts the password, and refuses a wrong one; the error does not show that. */
async function password(server: Server, make: Maker): Promise<void> {
  const { user, password } = server;
  await becomesMember(server, async (smtp) => {
    const wrong = make({ user, password: "wrong-secret" });
    const refused = await failureOf(smtp.auth(wrong.name, wrong));
    expect(refused).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535, temporary: false });
    expect(JSON.stringify(refused) + String(refused)).not.toContain("wrong-secret");
    const right = make({ user, password });
    return smtp.auth(right.name, right);
  });
}

/** A mechanism with a password that also binds to the server's certificate. */
const bound =
  (make: (credentials: Parameters<typeof scramSha1Plus>[0]) => Mechanism): Maker =>
  (credentials) =>
    make({ ...credentials, channelBinding: "tls-server-end-point" });

/** The server accepts the token, and refuses others; the error has the reason in fields. */
async function token(server: Server, make: typeof xoauth2): Promise<void> {
  const { user } = server;
  await becomesMember(server, async (smtp) => {
    for (const bad of [
      await signed(user, "expired"),
      await signed(user, "fresh", "another-key"),
      "nonsense",
      "x".repeat(2_000),
    ]) {
      const mechanism = make({ user, token: bad });
      const refused = await failureOf(smtp.auth(mechanism.name, mechanism));
      expect(refused).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535, temporary: false });
      expect(refused).toHaveProperty("serverError.status", expect.stringMatching(/^(401|400|invalid_token)$/));
      expect(JSON.stringify(refused) + String(refused)).not.toContain(bad);
    }
    const mechanism = make({ user, token: () => signed(user) });
    return smtp.auth(mechanism.name, mechanism);
  });
}

/** A token that is valid for an hour, or expired an hour ago. */
function signed(user: string, lasts: "fresh" | "expired" = "fresh", key = "lab-oauth-key"): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ sub: user, aud: "lab" })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt(now - 7200)
    .setNotBefore(now - 7200)
    .setExpirationTime(lasts === "fresh" ? now + 3600 : now - 3600)
    .sign(createSecretKey(key, "utf8"));
}

describeServer("postfix", (server) => {
  describe("with Dovecot's SASL", () => {
    proof("SCRAM-SHA-256", "Dovecot", "takes a password", () => password(server, scramSha256));
    proof("SCRAM-SHA-1", "Dovecot", "takes a password", () => password(server, scramSha1));
    proof("CRAM-MD5", "Dovecot", "takes a password", () => password(server, cramMd5));
    proof("PLAIN", "Dovecot", "takes a password", () => password(server, plain));
    proof("LOGIN", "Dovecot", "takes a password", () => password(server, login));
    proof("OAUTHBEARER", "Dovecot", "takes a token, and tells why it does not", () => token(server, oauthbearer));
    proof("XOAUTH2", "Dovecot", "takes a token, and tells why it does not", () => token(server, xoauth2));
  });
});

describeServer("postfix", ({ host, port, ca, user }) => {
  it("has the connections of a pool log in by one token, and by a fresh one after the first has expired", async () => {
    const given: string[] = [];
    const token = async (): Promise<string> => {
      given.push(await signed(user, given.length === 0 ? "expired" : "fresh"));
      return given.at(-1) ?? "";
    };
    const pool = new SMTPPool({ host, port, context: { ca }, auth: { user, token }, maxConnections: 3 });
    try {
      const sent = Array.from({ length: 9 }, () => pool.sendmail(sender, members, "Subject: x\n\n"));
      expect(await Promise.all(sent)).toEqual(sent.map(() => ({})));
    } finally {
      await pool.close();
    }
    expect(given.length).toBeGreaterThanOrEqual(2);
    expect(given.length).toBeLessThanOrEqual(6);
  });
});

describeServer("postfix-cyrus", (server) => {
  describe("with Cyrus SASL", () => {
    proof("SCRAM-SHA-512", "Cyrus SASL", "takes a password", () => password(server, scramSha512));
    proof("SCRAM-SHA-256", "Cyrus SASL", "takes a password", () => password(server, scramSha256));
    proof("SCRAM-SHA-1", "Cyrus SASL", "takes a password", () => password(server, scramSha1));
    proof("CRAM-MD5", "Cyrus SASL", "takes a password", () => password(server, cramMd5));
    proof("ANONYMOUS", "Cyrus SASL", "takes whom it does not know", () =>
      session(server, async (smtp) => {
        expect(await smtp.auth("ANONYMOUS", anonymous({ trace: "trace@client.test" }))).toMatchObject({ code: 235 });
      }),
    );

    it("is asked by login() for the strongest first", async () => {
      const sent: string[] = [];
      const logger = { debug: (line: string) => void sent.push(line), info() {}, warn() {}, error() {} };
      const enter = (smtp: SMTP): Promise<Reply> => smtp.login(server.user, server.password);
      await session(server, async (smtp) => expect(await enter(smtp)).toMatchObject({ code: 235 }), { logger });
      expect(sent.filter((line) => line.includes("AUTH SCRAM"))).toEqual([
        expect.stringContaining("SCRAM-SHA-512 ***"),
      ]);
    });
  });
});

describeServer("cyrus", (server) => {
  proof("SCRAM-SHA-512-PLUS", "Cyrus SASL", "is bound to the session", () => password(server, bound(scramSha512Plus)));
  proof("SCRAM-SHA-256-PLUS", "Cyrus SASL", "is bound to the session", () => password(server, bound(scramSha256Plus)));
  proof("SCRAM-SHA-1-PLUS", "Cyrus SASL", "is bound to the session", () => password(server, bound(scramSha1Plus)));

  it("finds out that the offer of channel binding was taken away", async () => {
    await session(server, async (smtp) => {
      await smtp.starttls({ ca: server.ca });
      const { start, ...mechanism } = scramSha256(server);
      const offered = ["SCRAM-SHA-256"];
      const robbed = { ...mechanism, start: (context: MechanismContext) => start({ ...context, offered }) };
      const error = await failureOf(smtp.auth("SCRAM-SHA-256", robbed));
      expect(error).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535 });
      expect(await smtp.auth("SCRAM-SHA-256", scramSha256(server))).toMatchObject({ code: 235 });
    });
  });
});

describeServer("exim", (server) => {
  const { clientCert: cert, clientKey: key, user } = server;

  proof("CRAM-MD5", "Exim", "takes a password", () => password(server, cramMd5));
  proof("PLAIN", "Exim", "takes a password", () => password(server, plain));
  proof("LOGIN", "Exim", "takes a password", () => password(server, login));
  proof("EXTERNAL", "Exim", "takes whom the certificate names", async () => {
    await becomesMember(server, (smtp) => smtp.auth("EXTERNAL", external()), { cert, key });
    await becomesMember(server, (smtp) => smtp.auth("EXTERNAL", external({ authzid: user })), { cert, key });
  });
  proof("EXTERNAL", "Exim", "refuses who would be somebody else", () =>
    session(server, async (smtp) => {
      await smtp.starttls({ ca: server.ca, cert, key });
      const refused = await failureOf(smtp.auth("EXTERNAL", external({ authzid: "somebody" })));
      expect(refused).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535 });
    }),
  );
});

describeServer("aiosmtpd", (server) => {
  proof("PLAIN", "aiosmtpd", "takes a password", () => password(server, plain));
  proof("LOGIN", "aiosmtpd", "takes a password", () => password(server, login));
});

/** Accounts of common.sh: a password that SASLprep would change, and one that it prohibits. */
const UNPREPARED = [
  { user: "superscript", password: "ge²heim" },
  { user: "rtl", password: "\u05e1\u05d5\u05d31" },
];

for (const name of ["exim", "postfix"] as const) {
  describeServer(name, (server) => {
    it.each(UNPREPARED)(
      "takes the password of $user as it is, by each mechanism and by login()",
      async (credentials) => {
        for (const make of [plain, login, cramMd5]) {
          await becomesMember(server, (smtp) => smtp.auth(make(credentials).name, make(credentials)));
        }
        await becomesMember(server, (smtp) => smtp.login(credentials.user, credentials.password));
      },
    );
  });
}

describeServer("postfix", (server) => {
  it("names the refused password, whatever Dovecot says of the mechanisms after it", async () => {
    await session(server, async (smtp) => {
      await smtp.starttls({ ca: server.ca });
      const error = await failureOf(smtp.login(server.user, "wrong-secret"));
      expect(error).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535, temporary: false });
    });
  });
});
