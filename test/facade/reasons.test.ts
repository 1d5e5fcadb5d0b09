/** The error has the server's reason; the loss that follows is a further cause (SECURITY.md, rules 4 and 8). */
import { describe, expect, test } from "vitest";
import { LMTP, type PoolOptions, SMTP, SMTPPool } from "../../src/index.ts";
import { xoauth2 } from "../../src/sasl/index.ts";
import { type Act, close, ehlo, inOrder, reset, server, startScriptedServer } from "../support/scripted-server.ts";
import { reasonOf, session } from "../support/session.ts";

const MESSAGE = "Subject: x\r\n\r\nx\r\n";
const CHALLENGE = `334 ${btoa("<1@x>")}`;
const ENDS: readonly [name: string, act: Act][] = [
  ["a close", close],
  ["a reset", reset],
  ["421", ["421 4.7.0 too many errors", close]],
];

/** Plays a dialogue over a real socket, and returns the rejection of the call. */
async function rejection(dialogue: Act, call: (host: string, port: number) => Promise<unknown>): Promise<unknown> {
  const peer = await startScriptedServer(dialogue);
  try {
    return await reasonOf(call(peer.host, peer.port));
  } finally {
    await peer.finish();
  }
}

async function login(host: string, port: number): Promise<unknown> {
  const smtp = await SMTP.connect(host, port, { timeout: 5 });
  try {
    return await smtp.login("ada", "wrong");
  } finally {
    await smtp.quit();
  }
}

async function send(host: string, port: number): Promise<unknown> {
  const smtp = await SMTP.connect(host, port, { timeout: 5 });
  try {
    return await smtp.sendmail("a@client.test", ["b@lab.test", "c@lab.test"], MESSAGE);
  } finally {
    await smtp.quit();
  }
}

async function sendByPool(host: string, port: number, options: PoolOptions = {}): Promise<unknown> {
  const pool = new SMTPPool({ host, port, timeout: 5, ...options });
  try {
    return await pool.sendmail("a@client.test", "b@lab.test", MESSAGE);
  } finally {
    await pool.close();
  }
}

const AUTH: PoolOptions = { auth: { user: "ada", password: "wrong" }, starttls: "never" };

describe("a wrong password", () => {
  test.each(ENDS)("is the error where %s follows at once", async (_, end) => {
    const dialogue = server({
      EHLO: ehlo("AUTH CRAM-MD5 PLAIN LOGIN"),
      AUTH: CHALLENGE,
      "334": ["535 5.7.8 bad", end],
    });
    expect(await rejection(dialogue, login)).toMatchObject({
      name: "SMTPAuthenticationError",
      smtp_code: 535,
      smtp_error: "5.7.8 bad",
      temporary: false,
    });
  });

  test.each(ENDS)("is the error where the next mechanism meets %s, which is a further cause", async (name, end) => {
    const dialogue = server({
      EHLO: ehlo("AUTH CRAM-MD5 PLAIN"),
      AUTH: inOrder(CHALLENGE, end),
      "334": "535 5.7.8 bad",
    });
    expect(await rejection(dialogue, login)).toMatchObject({
      smtp_code: 535,
      temporary: false,
      causes: [
        { smtp_code: 535 },
        { name: name === "421" ? "SMTPAuthenticationError" : "SMTPServerDisconnected", temporary: true },
      ],
      cause: { errors: [expect.anything(), expect.anything()] },
    });
  });

  test("is the error where the server cannot tell in the end, as Dovecot does", async () => {
    const dialogue = server({
      EHLO: ehlo("AUTH SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN"),
      AUTH: inOrder("535 scram", CHALLENGE, "454 4.7.0 later"),
      "334": "535 cram",
    });
    expect(await rejection(dialogue, login)).toMatchObject({
      smtp_code: 535,
      smtp_error: "scram",
      temporary: false,
      causes: [{ smtp_code: 535 }, { smtp_code: 535 }, { smtp_code: 454 }],
    });
  });

  test.each<[name: string, answers: string[], code: number, temporary: boolean]>([
    ["534, then 535", ["534 5.7.9 too weak", "535 bad"], 535, false],
    ["504, then 535", ["504 unknown", "535 bad"], 535, false],
    ["504, then 454", ["504 unknown", "454 later"], 454, true],
    ["504, then 550", ["504 unknown", "550 no such account"], 550, false],
    ["534, then 504", ["534 too weak", "504 unknown"], 534, false],
  ])("and what is said of mechanisms: %s", async (_, answers, code, temporary) => {
    const dialogue = server({ EHLO: ehlo("AUTH SCRAM-SHA-256 PLAIN"), AUTH: inOrder(...answers) });
    expect(await rejection(dialogue, login)).toMatchObject({ smtp_code: code, temporary });
  });

  test.each<[first: string, second: string, answers: Act]>([
    ["PLAIN", "LOGIN", "535 bad"],
    ["LOGIN", "PLAIN", inOrder("334", "535 bad")],
  ])("that %s was refused with is not sent by %s", async (first, second, answers) => {
    const peer = await startScriptedServer(
      server({ EHLO: ehlo("AUTH PLAIN LOGIN"), AUTH: answers, "334": inOrder("334", "535 bad") }),
    );
    const smtp = await SMTP.connect(peer.host, peer.port, { timeout: 5 });
    const error = await reasonOf(smtp.login("ada", "wrong", { mechanisms: [first, second] }));
    expect(error).toMatchObject({ smtp_code: 535, causes: [{ smtp_code: 535 }] });
    expect(peer.first.lines.filter((line) => line.startsWith("AUTH")).length).toBe(1);
    await smtp.quit();
    await peer.finish();
  });

  test.each(ENDS)("is a pool's error where the next mechanism meets %s", async (_, end) => {
    const dialogue = server({ EHLO: ehlo("AUTH CRAM-MD5 PLAIN"), AUTH: inOrder(CHALLENGE, end), "334": "535 bad" });
    expect(await rejection(dialogue, (host, port) => sendByPool(host, port, AUTH))).toMatchObject({
      name: "SMTPAuthenticationError",
      smtp_code: 535,
      temporary: false,
      delivery: "not-sent",
    });
  });
});

describe("a mechanism that fails by itself", () => {
  test.each(ENDS)("is the error where the line that cancels it meets %s", async (_, end) => {
    const dialogue = server({ AUTH: "334 Username:", cancel: end });
    const auth = async (host: string, port: number): Promise<unknown> => {
      const smtp = await SMTP.connect(host, port, { timeout: 5 });
      smtp.user = "ada";
      smtp.password = "secret";
      return smtp.auth("CRAM-MD5", smtp.auth_cram_md5).finally(() => smtp.quit());
    };
    expect(await rejection(dialogue, auth)).toMatchObject({
      message: 'the challenge of CRAM-MD5 is not base64: "Username:"',
      temporary: false,
    });
  });

  test.each(ENDS)("in the caller's code is the error where the line that cancels it meets %s", async (_, end) => {
    const own = new RangeError("no answer");
    const auth = async (host: string, port: number): Promise<unknown> => {
      const smtp = await SMTP.connect(host, port, { timeout: 5 });
      const authobject = (challenge?: Uint8Array): null => {
        if (challenge === undefined) return null;
        throw own;
      };
      return smtp.auth("X-OWN", authobject).finally(() => smtp.quit());
    };
    expect(await rejection(server({ AUTH: "334 Og==", cancel: end }), auth)).toBe(own);
  });
});

describe("a token that is refused", () => {
  test.each(ENDS)("is the error where the second one meets %s", async (_, end) => {
    const tokens = ["old", "new"];
    const auth = async (host: string, port: number): Promise<unknown> => {
      const smtp = await SMTP.connect(host, port, { timeout: 5 });
      const mechanism = xoauth2({ user: "ada", token: async () => tokens.shift() ?? "none" });
      return smtp.auth("XOAUTH2", mechanism).finally(() => smtp.quit());
    };
    const dialogue = server({ EHLO: ehlo("AUTH XOAUTH2"), AUTH: inOrder("535 5.7.8 expired", end) });
    expect(await rejection(dialogue, auth)).toMatchObject({
      smtp_code: 535,
      temporary: false,
      causes: [{ smtp_code: 535 }, expect.anything()],
    });
  });

  test.each(ENDS.slice(0, 2))("before it was sent is the error where the line that has it meets %s", async (_, end) => {
    const auth = async (host: string, port: number): Promise<unknown> => {
      const smtp = await SMTP.connect(host, port, { timeout: 5 });
      // Too long for the first line: the server gets a bare AUTH XOAUTH2, and refuses that.
      const mechanism = xoauth2({ user: "ada", token: "x".repeat(600) });
      return smtp.auth("XOAUTH2", mechanism).finally(() => smtp.quit());
    };
    for (const code of [501, 504, 535]) {
      const dialogue = server({ EHLO: ehlo("AUTH XOAUTH2"), AUTH: inOrder(`${code} 5.5.2 what?`, end) });
      expect(await rejection(dialogue, auth)).toMatchObject({
        name: "SMTPAuthenticationError",
        smtp_code: code,
        // 501 and 504 do not concern the token: the loss may be temporary.
        temporary: code !== 535,
        cause: { name: "SMTPServerDisconnected" },
      });
    }
  });

  test("is the error where the function gives no second one", async () => {
    const { smtp } = await session({ ehlo: ["AUTH XOAUTH2"], on: { AUTH: "535 5.7.8 expired" } });
    const own = new Error("the authorization server is down");
    const answers = [Promise.resolve("old"), Promise.reject(own)];
    for (const answer of answers) answer.catch(() => {});
    const mechanism = xoauth2({ user: "ada", token: () => answers.shift() ?? Promise.reject(own) });
    expect(await reasonOf(smtp.auth("XOAUTH2", mechanism))).toMatchObject({
      name: "SMTPAuthenticationError",
      smtp_code: 535,
      causes: [{ smtp_code: 535 }, { name: "SMTPException", cause: own }],
    });
  });
});

describe("a refused EHLO", () => {
  const hint = /\(the answer to "EHLO \[[\w.:]+\]"; the option local_hostname sets this name\)$/;

  test.each(ENDS)("is the error where HELO meets %s", async (_, end) => {
    for (const call of [send, sendByPool]) {
      expect(await rejection(server({ EHLO: "550 5.7.1 bad name", HELO: end }), call)).toMatchObject({
        name: "SMTPHeloError",
        smtp_code: 550,
        smtp_error: "5.7.1 bad name",
        message: expect.stringMatching(hint),
        temporary: false,
        delivery: "not-sent",
      });
    }
  });

  test.each(ENDS)("is the error where %s follows at once", async (_, end) => {
    expect(await rejection(server({ EHLO: ["550 5.7.1 bad name", end] }), send)).toMatchObject({
      name: "SMTPHeloError",
      smtp_code: 550,
      temporary: false,
    });
  });

  test.each(ENDS)("as a command that is not known is temporary where HELO meets %s", async (_, end) => {
    const once = (host: string, port: number): Promise<unknown> => sendByPool(host, port, { reconnectFor: 0 });
    for (const call of [send, once]) {
      expect(await rejection(server({ EHLO: "502 5.5.2 unknown", HELO: end }), call)).toMatchObject({
        name: "SMTPHeloError",
        temporary: true,
        delivery: "not-sent",
      });
    }
  });

  test.each(ENDS)("is the error in LMTP where %s follows", async (_, end) => {
    const deliver = async (host: string, port: number): Promise<unknown> => {
      const lmtp = await LMTP.connect(host, port, { timeout: 5, local_hostname: "me.test" });
      return lmtp.sendmail("a@client.test", "b@lab.test", MESSAGE).finally(() => lmtp.quit());
    };
    expect(await rejection(server({ LHLO: ["550 no", end] }), deliver)).toMatchObject({
      smtp_code: 550,
      message: '550 no (the answer to "LHLO me.test"; the option local_hostname sets this name)',
    });
  });

  test.each<[ehloReply: string, heloReply: string, code: number]>([
    ["550 bad name", "550 go away", 550],
    ["550 bad name", "421 bye", 550],
    ["451 later", "550 no", 451],
    ["502 unknown", "550 go away", 550],
    ["500 unknown", "421 bye", 421],
  ])("by %s and then %s of HELO is the first that says what is wrong", async (first, second, code) => {
    const { smtp } = await session({ on: { EHLO: first, HELO: second } });
    const error = await reasonOf(smtp.sendmail("a@b.c", "d@e.f", MESSAGE));
    expect(error).toMatchObject({
      name: "SMTPHeloError",
      smtp_code: code,
      temporary: code < 500,
      cause: { name: "SMTPHeloError" },
    });
  });

  test("leaves an abort's reason as it is", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const { server: peer, smtp } = await session(
      { on: { EHLO: "550 no", HELO: () => undefined } },
      { signal: controller.signal },
    );
    const outcome = reasonOf(smtp.ehlo_or_helo_if_needed());
    await peer.saw(/^HELO/);
    controller.abort(reason);
    expect(await outcome).toBe(reason);
  });
});

describe("a greeting that begins with 220", () => {
  test.each([
    ["521", "220-mail.test ESMTP\r\n521 5.7.1 Service unavailable", 521, false],
    ["several lines of 550", "220-mail.test ESMTP\r\n550-5.7.1 blocked\r\n550 5.7.1 see x.test", 550, false],
    ["421", "220-mail.test ESMTP\r\n421 4.3.2 no", 421, true],
    ["454", "220-a\r\n220-b\r\n454 4.3.2 no", 454, true],
  ])("and ends with %s is refused with that code, as postscreen does", async (_, greeting, code, temporary) => {
    const connect = (host: string, port: number): Promise<unknown> => SMTP.connect(host, port, { timeout: 5 });
    expect(await rejection([greeting, close], connect)).toMatchObject({
      name: "SMTPConnectError",
      smtp_code: code,
      temporary,
      smtp_error: expect.stringMatching(/^(mail\.test ESMTP|a)\n/),
    });
    if (temporary) return;
    expect(await rejection([greeting, close], sendByPool)).toMatchObject({ smtp_code: code, delivery: "not-sent" });
  });

  test.each([
    "220-a\r\n250 b",
    "220-a\r\n354 b",
    "250-a\r\n550 b",
    "521-a\r\n220 b",
    "220-a\r\n521-b\r\n220 c",
    "220-a\r\n521-b\r\n550 c",
  ])("and differs otherwise is no greeting: %j", async (greeting) => {
    expect(await reasonOf(session({ greeting }))).toMatchObject({ name: "SMTPConnectError", smtp_code: -1 });
  });
});

describe("a refused transaction", () => {
  test.each(ENDS)("is the error where RSET meets %s", async (_, end) => {
    for (const extensions of [[], ["PIPELINING"], ["PIPELINING", "CHUNKING"]]) {
      const answers = { EHLO: ehlo(...extensions), RCPT: "550 5.1.1 nobody", RSET: end, DATA: "554 nobody" };
      for (const call of [send, sendByPool]) {
        expect(await rejection(server(answers), call)).toMatchObject({
          name: "SMTPRecipientsRefused",
          delivery: "rejected",
          temporary: false,
        });
      }
    }
  });

  test.each(ENDS)("is the error where %s follows the refusal of the sender", async (_, end) => {
    for (const extensions of [[], ["PIPELINING"], ["PIPELINING", "CHUNKING"]]) {
      const dialogue = server({ EHLO: ehlo(...extensions), MAIL: ["550 5.7.1 not you", end] });
      expect(await rejection(dialogue, send)).toMatchObject({ name: "SMTPSenderRefused", smtp_code: 550 });
    }
  });

  test.each(ENDS)("is the error where %s follows the refusal of the message", async (_, end) => {
    expect(await rejection(server({ ".": ["554 5.7.1 spam", end] }), send)).toMatchObject({
      name: "SMTPDataError",
      smtp_code: 554,
      delivery: "rejected",
    });
  });
});

describe("a refused STARTTLS", () => {
  test.each(ENDS)("is the error where %s follows", async (_, end) => {
    const starttls = async (host: string, port: number): Promise<unknown> => {
      const smtp = await SMTP.connect(host, port, { timeout: 5 });
      return smtp.starttls().finally(() => smtp.quit());
    };
    const dialogue = server({ EHLO: ehlo("STARTTLS"), STARTTLS: ["554 5.7.0 no TLS", end] });
    expect(await rejection(dialogue, starttls)).toMatchObject({ name: "SMTPResponseException", smtp_code: 554 });
    const required: PoolOptions = { ...AUTH, starttls: "required" };
    expect(await rejection(dialogue, (host, port) => sendByPool(host, port, required))).toMatchObject({
      smtp_code: 554,
      delivery: "not-sent",
    });
  });
});
