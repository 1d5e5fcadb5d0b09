/** Mechanisms that only some of the real servers have: tokens with Dovecot, SCRAM-SHA-512 and ANONYMOUS with Cyrus SASL, EXTERNAL with Exim, channel binding with Cyrus SASL. */
import { createSecretKey } from "node:crypto";
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { SMTPAuthenticationError } from "../../src/index.ts";
import {
  anonymous,
  external,
  type MechanismContext,
  oauthbearer,
  scramSha1Plus,
  scramSha256,
  scramSha256Plus,
  scramSha512,
  scramSha512Plus,
  xoauth2,
} from "../../src/sasl/index.ts";
import { failureOf } from "./failure.ts";
import { letter } from "./letters.ts";
import { awaitMessage } from "./mailbox.ts";
import { describeServer, type Server } from "./servers.ts";
import { session } from "./smtp-suite.ts";

const sender = "sender@client.test";
const members = "members@lab.test";

/** A token that is good for an hour, or was until an hour ago. */
function token(user: string, lasts: "fresh" | "expired" = "fresh", key = "lab-oauth-key"): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const until = lasts === "fresh" ? now + 3600 : now - 3600;
  return new SignJWT({ sub: user, aud: "lab" })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt(now - 7200)
    .setNotBefore(now - 7200)
    .setExpirationTime(until)
    .sign(createSecretKey(key, "utf8"));
}

describeServer("postfix", (server) => {
  describe.each([
    ["XOAUTH2", xoauth2],
    ["OAUTHBEARER", oauthbearer],
  ] as const)("%s", (name, create) => {
    it("logs in with a token, and may then do more", async () => {
      const { marker, content } = letter();
      await session(server, async (smtp) => {
        await smtp.starttls({ ca: server.ca });
        const mechanism = create({ user: server.user, token: () => token(server.user) });
        expect(await smtp.auth(name, mechanism)).toMatchObject({ code: 235 });
        expect(await smtp.sendmail(sender, members, content)).toEqual({});
      });
      await awaitMessage(server, marker);
    });

    it.each<[name: string, make: () => Promise<string>]>([
      ["has expired", () => token(server.user, "expired")],
      ["somebody else signed", () => token(server.user, "fresh", "another-key")],
      ["is nonsense", async () => "nonsense"],
      ["is too long for a command", async () => "x".repeat(2_000)],
    ])("tells in fields why it refuses a token that %s, and stays usable", async (_, make) => {
      const refused = await make();
      await session(server, async (smtp) => {
        const error = await failureOf(smtp.auth(name, create({ user: server.user, token: refused })));
        expect(error).toBeInstanceOf(SMTPAuthenticationError);
        expect(error).toMatchObject({ smtp_code: 535, temporary: false });
        expect(error).toHaveProperty("serverError.status", expect.stringMatching(/^(401|400|invalid_token)$/));
        expect(JSON.stringify(error) + String(error)).not.toContain(refused);
        expect(await smtp.auth(name, create({ user: server.user, token: await token(server.user) }))).toMatchObject({
          code: 235,
        });
      });
    });
  });
});

describeServer("postfix-cyrus", (server: Server) => {
  it.each([
    ["SCRAM-SHA-256", scramSha256],
    ["SCRAM-SHA-512", scramSha512],
  ] as const)("logs in with %s, and not with a wrong password", async (name, create) => {
    const { marker, content } = letter();
    await session(server, async (smtp) => {
      const wrong = create({ user: server.user, password: "wrong-secret" });
      expect(await failureOf(smtp.auth(name, wrong))).toMatchObject({
        name: "SMTPAuthenticationError",
        smtp_code: 535,
      });
      const right = create({ user: server.user, password: server.password });
      expect(await smtp.auth(name, right)).toMatchObject({ code: 235 });
      expect(await smtp.sendmail(sender, members, content)).toEqual({});
    });
    await awaitMessage(server, marker);
  });

  it("logs in by itself with SCRAM-SHA-512", async () => {
    const sent: string[] = [];
    const logger = { debug: (line: string) => void sent.push(line), info() {}, warn() {}, error() {} };
    await session(
      server,
      async (smtp) => {
        expect(await smtp.login(server.user, server.password)).toMatchObject({ code: 235 });
      },
      { logger },
    );
    expect(sent.filter((line) => line.includes("AUTH SCRAM"))).toEqual([expect.stringContaining("SCRAM-SHA-512 ***")]);
  });

  it("logs in with ANONYMOUS", async () => {
    await session(server, async (smtp) => {
      expect(await smtp.auth("ANONYMOUS", anonymous({ trace: "trace@client.test" }))).toMatchObject({ code: 235 });
    });
  });
});

describeServer("cyrus", (server) => {
  const { ca, user, password } = server;

  describe.each([
    ["SCRAM-SHA-1-PLUS", scramSha1Plus],
    ["SCRAM-SHA-256-PLUS", scramSha256Plus],
    ["SCRAM-SHA-512-PLUS", scramSha512Plus],
  ] as const)("%s", (name, create) => {
    const channelBinding = "tls-server-end-point";

    it("logs in, bound to the server's certificate", async () => {
      await session(server, async (smtp) => {
        await smtp.starttls({ ca });
        expect(await smtp.auth(name, create({ user, password, channelBinding }))).toMatchObject({ code: 235 });
        const { reply } = await smtp.deliver({ from: sender, to: [members], body: "Subject: x\r\n\r\n" });
        expect(reply.message).toBe(`2.0.0 taken after ${name}`);
      });
    });

    it("is refused with a wrong password", async () => {
      await session(server, async (smtp) => {
        await smtp.starttls({ ca });
        const error = await failureOf(smtp.auth(name, create({ user, password: "wrong-secret", channelBinding })));
        expect(error).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535 });
      });
    });
  });

  it("finds out that the offer of channel binding was taken away", async () => {
    await session(server, async (smtp) => {
      await smtp.starttls({ ca });
      const { start, ...mechanism } = scramSha256({ user, password });
      const stripped = {
        ...mechanism,
        start: (context: MechanismContext) => start({ ...context, offered: ["SCRAM-SHA-256"] }),
      };
      const error = await failureOf(smtp.auth("SCRAM-SHA-256", stripped));
      expect(error).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535 });
    });
  });
});

describeServer("exim", (server) => {
  const { ca, clientCert: cert, clientKey: key } = server;

  it.each([
    ["whom its certificate names", undefined],
    ["whom it says", server.user],
  ])("logs in with EXTERNAL as the one %s", async (_, authzid) => {
    const { marker, content } = letter();
    await session(server, async (smtp) => {
      await smtp.starttls({ ca, cert, key });
      expect(await smtp.auth("EXTERNAL", external({ authzid }))).toMatchObject({ code: 235 });
      expect(await smtp.sendmail(sender, members, content)).toEqual({});
    });
    await awaitMessage(server, marker);
  });

  it("refuses EXTERNAL for somebody else", async () => {
    await session(server, async (smtp) => {
      await smtp.starttls({ ca, cert, key });
      const refused = await failureOf(smtp.auth("EXTERNAL", external({ authzid: "somebody" })));
      expect(refused).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535 });
    });
  });
});
