/**
 * Extensions that no mail server has which CI could install, with scripts from their RFCs: the client sends what the
 * RFC's client sends, with its own addresses and values.
 */
import { expect } from "vitest";
import { SMTP, SMTPNotSupportedError } from "../../src/index.ts";
import { type Act, body, type Conversation, expectLine, take } from "../support/scripted-dialogue.ts";
import { startScriptedServer } from "../support/scripted-server.ts";
import { proof } from "./proof.ts";

/** Plays the dialogue to a client, and fails if either side deviates from it. */
async function played(dialogue: readonly Act[], client: (smtp: SMTP) => Promise<unknown>): Promise<Conversation> {
  const server = await startScriptedServer(dialogue);
  const smtp = await SMTP.connect(server.host, server.port, { local_hostname: "client.example.com" });
  try {
    await client(smtp);
    await smtp.quit();
  } finally {
    smtp.close();
    await server.finish();
  }
  return server.first;
}

/** The greeting, and the reply to EHLO with these extensions. */
function introduction(...extensions: string[]): Act {
  const lines = ["server.example.net", ...extensions];
  const reply = lines.map((line, index) => `250${index + 1 < lines.length ? "-" : " "}${line}`);
  return ["220 server.example.net ready", expectLine("EHLO client.example.com"), reply.join("\r\n")];
}

/** The rest of a transaction, and QUIT. */
const content: Act = [expectLine("DATA"), "354 go ahead", body(), "250 2.0.0 queued"];
const quit: Act = [expectLine("QUIT"), "221 2.0.0 bye"];

const anything = Uint8Array.from({ length: 1000 }, (_, index) => index % 256);

proof("BINARYMIME", "script", "carries any octets as they are, after the RFC's example (RFC 3030 4.2)", async () => {
  const envelope: Act = [
    expectLine(/^MAIL FROM:<ned@ymir\.claremont\.edu> SIZE=1000 BODY=BINARYMIME$/),
    "250 <ned@ymir.claremont.edu>... Sender and BINARYMIME ok",
    expectLine(/^RCPT TO:<gvaudre@cnri\.reston\.va\.us>$/),
    "250 <gvaudre@cnri.reston.va.us>... Recipient ok",
    expectLine(/^RCPT TO:<jstewart@cnri\.reston\.va\.us>$/),
    "250 <jstewart@cnri.reston.va.us>... Recipient ok",
  ];
  const chunks: Act = [expectLine("BDAT 1000 LAST"), take(1000), "250 Message OK, 1000 octets received"];
  const { received } = await played(
    [introduction("PIPELINING", "BINARYMIME", "CHUNKING", "SIZE 1000"), envelope, chunks, quit],
    (smtp) =>
      smtp.sendmail("ned@ymir.claremont.edu", ["gvaudre@cnri.reston.va.us", "jstewart@cnri.reston.va.us"], anything, {
        body: "BINARYMIME",
      }),
  );
  expect(Buffer.from(received).includes(Buffer.from(anything))).toBe(true);
});

proof("BINARYMIME", "script", "carries a stream, and a delivery with its bodyType", async () => {
  const { received } = await played(
    [
      introduction("BINARYMIME", "CHUNKING"),
      expectLine(/^MAIL FROM:<a@example\.com> BODY=BINARYMIME$/),
      "250 ok",
      expectLine(/^RCPT TO:<b@example\.net>$/),
      "250 ok",
      expectLine("BDAT 1000 LAST"),
      take(1000),
      "250 ok",
      quit,
    ],
    (smtp) =>
      smtp.deliver({
        from: "a@example.com",
        to: ["b@example.net"],
        body: [anything.slice(0, 13), anything.slice(13)],
        bodyType: "BINARYMIME",
      }),
  );
  expect(Buffer.from(received).includes(Buffer.from(anything))).toBe(true);
});

proof("BINARYMIME", "script", "is refused before MAIL without CHUNKING, and without BINARYMIME", async () => {
  for (const [offered, capability] of [
    ["BINARYMIME", "CHUNKING"],
    ["CHUNKING", "BINARYMIME"],
  ] as const) {
    await played([introduction(offered), quit], async (smtp) => {
      const sent = smtp.sendmail("a@example.com", "b@example.net", anything, { body: "BINARYMIME" });
      await expect(sent).rejects.toMatchObject({ name: "SMTPNotSupportedError", capability, delivery: "not-sent" });
    });
  }
});

proof(
  "LIMITS",
  "script",
  "has recipients and their domains in as many transactions as it takes (RFC 9422)",
  async () => {
    const transaction = (...recipients: string[]): Act => [
      expectLine(/^MAIL FROM:<a@example\.com>$/),
      "250 ok",
      ...recipients.map((address): Act => [expectLine(`RCPT TO:<${address}>`), "250 ok"]),
      content,
    ];
    await played(
      [
        introduction("LIMITS MAILMAX=20 RCPTMAX=2 RCPTDOMAINMAX=1 X-FUTURE=9"),
        transaction("b@example.net", "d@example.net"),
        transaction("c@example.org"),
        transaction("e@example.net"),
        quit,
      ],
      async (smtp) => {
        const to = ["b@example.net", "c@example.org", "d@example.net", "e@example.net"];
        const { accepted } = await smtp.deliver({ from: "a@example.com", to, body: "Subject: all\n\n" });
        expect(accepted).toEqual(to);
      },
    );
  },
);

proof("FUTURERELEASE", "script", "has a message held for a time, and until one (RFC 4865 4)", async () => {
  await played(
    [
      introduction("FUTURERELEASE 604800 2030-06-01T00:00:00Z"),
      expectLine(/^MAIL FROM:<ned@example\.com> HOLDFOR=86400$/),
      "250 ok",
      expectLine(/^RCPT TO:<greg@example\.net>$/),
      "250 ok",
      content,
      expectLine(/^MAIL FROM:<ned@example\.com> HOLDUNTIL=2030-05-31T12:30:00Z$/),
      "250 ok",
      expectLine(/^RCPT TO:<greg@example\.net>$/),
      "250 ok",
      content,
      quit,
    ],
    async (smtp) => {
      const send = (options: object): Promise<unknown> =>
        smtp.sendmail("ned@example.com", "greg@example.net", "Subject: later\n\n", options);
      await send({ holdFor: 86_400 });
      await send({ holdUntil: new Date(Date.UTC(2030, 4, 31, 12, 30)) });
      await expect(send({ holdFor: 604_801 })).rejects.toBeInstanceOf(SMTPNotSupportedError);
      await expect(send({ holdUntil: new Date(Date.UTC(2030, 5, 2)) })).rejects.toBeInstanceOf(SMTPNotSupportedError);
    },
  );
});

proof("MT-PRIORITY", "script", "has a message go before others (RFC 6710)", async () => {
  await played(
    [
      introduction("DSN", "MT-PRIORITY MIXER"),
      expectLine(/^MAIL FROM:<eljefe@example\.net> MT-PRIORITY=6$/),
      "250 2.1.0 <eljefe@example.net> sender ok",
      expectLine(/^RCPT TO:<topbanana@example\.net>$/),
      "250 2.1.5 <topbanana@example.net> recipient ok",
      content,
      quit,
    ],
    (smtp) => smtp.sendmail("eljefe@example.net", "topbanana@example.net", "", { mtPriority: 6 }),
  );
});

proof("RRVS", "script", "keeps a message from who has the mailbox now, and says so (RFC 7293)", async () => {
  await played(
    [
      introduction("RRVS"),
      expectLine(/^MAIL FROM:<>$/),
      "250 2.1.0 ok",
      expectLine(/^RCPT TO:<user@example\.com> RRVS=2014-04-03T23:01:00Z$/),
      "550 5.7.17 receiver has changed hands",
      expectLine(/^RCPT TO:<other@example\.com> RRVS=2014-04-03T23:01:00Z;C$/),
      "250 2.1.5 ok",
      content,
      quit,
    ],
    async (smtp) => {
      const since = new Date(Date.UTC(2014, 3, 3, 23, 1));
      const { refused } = await smtp.deliver({
        from: "",
        to: [
          { address: "user@example.com", rrvs: { since } },
          { address: "other@example.com", rrvs: { since, unsupported: "continue" } },
        ],
        body: "Subject: your statement\n\n",
      });
      expect(refused["user@example.com"]?.enhancedCode).toBe("5.7.17");
    },
  );
});
