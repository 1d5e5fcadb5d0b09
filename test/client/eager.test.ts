/**
 * `pipelining: "eager"`: whole messages in one flight, several at a time, and the effect of one failure on the others.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LMTP, SMTP, type SMTPException, type SMTPOptions } from "../../src/index.ts";
import { preparedSession } from "../support/session.ts";
import { FakeServer, type Script } from "./fake-server.ts";

const from = "a@example.com";
const to = ["b@example.com", "c@example.com"];
const offers = ["PIPELINING", "8BITMIME", "CHUNKING"];
const WINDOW = 262_144;

/** The first message loads the code for this mode. */
const session = (script: Script = {}, options: SMTPOptions = {}) =>
  preparedSession({ ehlo: offers, ...script }, { pipelining: "eager", ...options }, (smtp) =>
    smtp.sendmail(from, "b@example.com", "the code for this mode is loaded now\n").catch(() => {}),
  );

const flight = (body: string): string =>
  `RSET\r\nMAIL FROM:<${from}>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nBDAT ${body.length} LAST\r\n${body}`;

/** The outcome of each message in a few words. */
async function outcomes(sends: readonly Promise<unknown>[]): Promise<string[]> {
  const results = await Promise.allSettled(sends);
  return results.map((result) => {
    if (result.status === "fulfilled") return "ok";
    const error: SMTPException & { smtp_code?: number } = result.reason;
    return [error.name, error.smtp_code, error.delivery].filter((part) => part !== undefined).join(" ");
  });
}

/** Answers the n-th message by the n-th map of verbs to answers; other verbs get "250 ok". */
function perMessage(...answers: readonly Readonly<Record<string, string>>[]): Script["on"] {
  // The message that begins each session.
  let message = -2;
  const answer = (verb: string): string => answers[message]?.[verb] ?? "250 ok";
  return {
    RSET: () => {
      message++;
      return answer("RSET");
    },
    MAIL: () => answer("MAIL"),
    RCPT: (line) => (line.includes("c@") ? (answers[message]?.["RCPT c"] ?? answer("RCPT")) : answer("RCPT")),
    BDAT: () => answer("BDAT"),
  };
}

describe("a message", () => {
  test("leaves in one write, begun by RSET", async () => {
    const { server, smtp } = await session();
    await smtp.sendmail(from, to, "Hi\n");
    expect(server.writes).toEqual([flight("Hi\r\n")]);
    expect(server.messages).toEqual(["Hi\r\n"]);
  });

  test("leaves with those that are sent before its answer is here", async () => {
    const { server, smtp } = await session();
    expect(await outcomes(["1\n", "2\n", "3\n"].map((body) => smtp.sendmail(from, to, body)))).toEqual([
      "ok",
      "ok",
      "ok",
    ]);
    expect(server.writes).toEqual([["1\r\n", "2\r\n", "3\r\n"].map(flight).join("")]);
  });

  test("waits where more than 256 KiB would be unanswered", async () => {
    const { server, smtp } = await session();
    const body = `${"x".repeat(98)}\r\n`.repeat(1000);
    const sent: number[] = [];
    const all = Promise.all(Array.from({ length: 12 }, () => smtp.sendmail(from, to, body)));
    server.until(() => {
      sent.push(server.writes.join("").split("LAST").length - 1 - server.messages.length);
      return server.messages.length === 12;
    });
    await all;
    expect(server.messages).toEqual(Array(12).fill(body));
    expect(Math.max(...sent)).toBeLessThanOrEqual(Math.floor(WINDOW / body.length));
  });

  test("of thousands needs no deeper stack than one", async () => {
    const { server, smtp } = await session();
    const sends = Array.from({ length: 3000 }, (_, i) => smtp.sendmail(from, "b@example.com", `${i}\n`));
    expect(new Set(await outcomes(sends))).toEqual(new Set(["ok"]));
    expect(server.messages.map((text) => Number.parseInt(text, 10))).toEqual(Array.from({ length: 3000 }, (_, i) => i));
    expect(server.writes.length).toBeLessThan(60);
  });

  test.each([
    ["is streamed", ["zz\n"]],
    ["has more than 256 KiB", "z".repeat(WINDOW + 1)],
  ])("that %s goes behind the replies to its envelope, and in order with the others", async (_, body) => {
    const { server, smtp } = await session();
    await Promise.all([smtp.sendmail(from, to, "1\n"), smtp.sendmail(from, to, body), smtp.sendmail(from, to, "3\n")]);
    expect(server.messages.map((text) => text.slice(0, 1))).toEqual(["1", "z", "3"]);
    expect(server.writes.find((write) => write.includes("zz"))).not.toMatch(/MAIL[\s\S]*zz/);
  });

  test.each([
    ["CHUNKING", ["PIPELINING"]],
    ["PIPELINING", ["CHUNKING"]],
  ])("goes the ordinary way where the server lacks %s", async (_, ehlo) => {
    const { server, smtp } = await session({ ehlo });
    await smtp.sendmail(from, to, "Hi\n");
    expect(server.lines).not.toContain("RSET");
    expect(server.messages).toEqual(["Hi\r\n"]);
  });
});

test("what a caller is in the middle of refuses a message, and takes no room from those after it", async () => {
  const { smtp } = await session();
  await smtp.mail(from);
  await smtp.rcpt("b@example.com");
  await smtp.docmd("DATA");
  const body = "x".repeat(0.7 * WINDOW);
  expect(await outcomes([smtp.sendmail(from, to, body)])).toEqual(["SMTPException not-sent"]);
  await smtp.docmd(".");
  expect(await outcomes([smtp.sendmail(from, to, body)])).toEqual(["ok"]);
});

test("envelopes count as well: of small messages to many recipients few are on their way", async () => {
  let silent = false;
  const answer = () => (silent ? undefined : "250 ok");
  const { server, smtp } = await session({ on: { RSET: answer, MAIL: answer, RCPT: answer, BDAT: answer } });
  silent = true;
  const many = Array.from({ length: 1000 }, (_, i) => `recipient${i}@example.com`);
  const all = outcomes(Array.from({ length: 20 }, () => smtp.sendmail(from, many, "")));
  await server.saw("BDAT 0 LAST");
  const [write = ""] = server.writes;
  expect(server.writes.join("").length).toBeLessThanOrEqual(WINDOW + write.length);
  expect(server.writes.join("").length).toBeGreaterThan(WINDOW / 2);
  smtp.close();
  expect(new Set(await all)).toEqual(new Set(["SMTPServerDisconnected unknown", "SMTPServerDisconnected not-sent"]));
});

describe("a refusal", () => {
  const NO_SENDER = { MAIL: "550 no", RCPT: "503 no mail", BDAT: "503 no mail" };

  test.each([
    ["of the sender", NO_SENDER, "SMTPSenderRefused 550 rejected"],
    ["of all recipients", { RCPT: "550 no", BDAT: "503 nobody" }, "SMTPRecipientsRefused rejected"],
    ["of all recipients, with a message taken for nobody", { RCPT: "550 no" }, "SMTPRecipientsRefused rejected"],
    ["of some recipients", { "RCPT c": "550 no" }, "ok"],
    ["of the message", { BDAT: "554 spam" }, "SMTPDataError 554 rejected"],
  ])("%s concerns that message only", async (_, answers, outcome) => {
    const { smtp } = await session({ on: perMessage({}, answers, {}) });
    expect(await outcomes(["1", "2", "3"].map((body) => smtp.sendmail(from, to, body)))).toEqual(["ok", outcome, "ok"]);
    expect(smtp.connected).toBe(true);
  });

  test("of the sender with the message taken all the same leaves it, and what follows it, unknown", async () => {
    const { smtp } = await session({ on: perMessage({}, { ...NO_SENDER, BDAT: "250 ok" }, {}) });
    expect(await outcomes(["1", "2", "3"].map((body) => smtp.sendmail(from, to, body)))).toEqual([
      "ok",
      "SMTPServerDisconnected unknown",
      "SMTPServerDisconnected unknown",
    ]);
  });

  test("of RSET ends the session", async () => {
    const { smtp } = await session({ on: perMessage({}, { RSET: "500 what" }, {}) });
    expect(await outcomes(["1", "2", "3"].map((body) => smtp.sendmail(from, to, body)))).toEqual([
      "ok",
      "SMTPServerDisconnected unknown",
      "SMTPServerDisconnected unknown",
    ]);
  });

  test("tells which recipients were accepted", async () => {
    const { smtp } = await session({ on: perMessage({ "RCPT c": "550 no" }) });
    expect(await smtp.deliver({ from, to, body: "1" })).toMatchObject({
      accepted: ["b@example.com"],
      refused: { "c@example.com": [550, "no"] },
    });
  });

  test("of anything leaves the others' verdicts theirs", async () => {
    const answers = fc.record(
      { MAIL: fc.constant("550 no"), RCPT: fc.constant("550 no"), BDAT: fc.constantFrom("452 later", "554 spam") },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(answers, { maxLength: 8 }), async (all) => {
        const consistent = all.map((one) => (one.MAIL || one.RCPT ? { BDAT: "503 no", ...one } : one));
        const { smtp } = await session({ on: perMessage(...consistent) });
        const expected = all.map(({ MAIL, RCPT, BDAT }) => {
          if (MAIL) return "SMTPSenderRefused 550 rejected";
          if (RCPT) return "SMTPRecipientsRefused rejected";
          return BDAT ? `SMTPDataError ${BDAT.slice(0, 3)} rejected` : "ok";
        });
        expect(await outcomes(all.map((_, i) => smtp.sendmail(from, to, String(i))))).toEqual(expected);
        smtp.close();
      }),
      { numRuns: 60 },
    );
  });
});

describe("a connection that dies", () => {
  test("leaves each message unknown that was not answered", async () => {
    const { smtp } = await session({ on: perMessage({}, { BDAT: "close" }) });
    expect(await outcomes(["1", "2", "3"].map((body) => smtp.sendmail(from, to, body)))).toEqual([
      "ok",
      "SMTPServerDisconnected unknown",
      "SMTPServerDisconnected unknown",
    ]);
  });

  test("leaves a message not sent that was still to come", async () => {
    const { server, smtp } = await session({ on: { BDAT: (line) => (line.length > 13 ? undefined : "250 ok") } });
    const body = "x".repeat(WINDOW);
    const all = outcomes([smtp.sendmail(from, to, body), smtp.sendmail(from, to, body)]);
    await server.saw(/^BDAT \d+ LAST/);
    server.streams.at(-1)?.close();
    expect(await all).toEqual(["SMTPServerDisconnected unknown", "SMTPServerDisconnected not-sent"]);
  });

  test("right behind an answer leaves those not sent that the answer would have made room for", async () => {
    const { server, smtp } = await session({ on: { BDAT: ["250 ok", "250 ok\r\n421 closing"] } });
    const body = "x".repeat(0.7 * WINDOW);
    expect(await outcomes(["1", "2", "3"].map(() => smtp.sendmail(from, to, body)))).toEqual([
      "ok",
      "SMTPServerDisconnected not-sent",
      "SMTPServerDisconnected not-sent",
    ]);
    expect(server.messages).toHaveLength(1);
  });

  test("because an answer is none leaves those not sent that the answer would have made room for", async () => {
    const { smtp } = await session({ on: { BDAT: ["250 ok", "354 what"] } });
    const body = "x".repeat(0.7 * WINDOW);
    expect(await outcomes(["1", "2", "3"].map(() => smtp.sendmail(from, to, body)))).toEqual([
      "SMTPServerDisconnected unknown",
      "SMTPServerDisconnected not-sent",
      "SMTPServerDisconnected not-sent",
    ]);
  });

  test("after it has refused a sender has refused that message", async () => {
    const { smtp } = await session({ on: perMessage({ MAIL: "550 no", RCPT: "503 no", BDAT: "close" }) });
    expect(await outcomes([smtp.sendmail(from, to, "1")])).toEqual(["SMTPSenderRefused 550 rejected"]);
  });

  test("with 421 in the middle of several has answered those before", async () => {
    const { smtp } = await session({ on: perMessage({}, { MAIL: "421 closing" }, {}) });
    const all = await outcomes(["1", "2", "3"].map((body) => smtp.sendmail(from, to, body)));
    expect(all).toEqual(["ok", "SMTPSenderRefused 421 rejected", "SMTPServerDisconnected unknown"]);
    expect(smtp.connected).toBe(false);
  });
});

test("LMTP answers once for each accepted recipient", async () => {
  const on = {
    RCPT: (line: string) => (line.includes("b@") ? "550 no" : "250 ok"),
    BDAT: "250 c\r\n452 d",
  };
  const server = new FakeServer({ ehlo: offers, on });
  const lmtp = await LMTP.connect("mail.example.com", 24, { transport: server.transport, pipelining: "eager" });
  const deliver = () => lmtp.deliver({ from, to: [...to, "d@example.com"], body: "x" });
  for (const { accepted, refused } of await Promise.all([deliver(), deliver()])) {
    expect(accepted).toEqual(["c@example.com"]);
    expect(Object.keys(refused).sort()).toEqual(["b@example.com", "d@example.com"]);
  }
});

test("pipelining takes no other word than eager", () => {
  expect(() => new SMTP("", 0, JSON.parse('{ "pipelining": "keen" }'))).toThrow(
    /pipelining must be a boolean or "eager"/,
  );
});
