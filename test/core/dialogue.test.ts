/**
 * The dialogue's table: the permitted commands at each position, the command that a reply answers, and the ends of a
 * session.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/core/bytes.ts";
import { unaskedReply } from "../../src/core/own-command.ts";
import type { Position } from "../../src/core/transitions.ts";

import { make, Play, seen } from "./play.ts";

describe("before the greeting", () => {
  test.each(Object.keys(make))("%s is refused, and nothing is written", (name) => {
    const play = new Play();
    expect(() => play.say(name)).toThrow();
    expect(play.wire()).toBe("");
    expect(play.dialogue.pendingReplies).toBe(1);
  });

  test("the greeting is the reply to the connection itself", () => {
    const play = new Play();
    expect(seen(play.get("220-mail\r\n220 ESMTP\r\n"))).toEqual(["connect 220"]);
    expect(play.dialogue).toMatchObject({ pendingReplies: 0, position: "command" });
  });
});

describe("replies", () => {
  test("belong to the commands in order, however they arrive", () => {
    const play = Play.greeted().say("MAIL", "RCPT", "RCPT", "DATA+");
    expect(play.dialogue.pendingReplies).toBe(4);
    expect(seen(play.get("250 a\r\n250 b\r\n55"))).toEqual(["MAIL 250", "RCPT 250"]);
    expect(play.dialogue.oldestPending?.verb).toBe("RCPT");
    expect(seen(play.get("0 c\r\n354 d\r\n"))).toEqual(["RCPT 550", "DATA 354"]);
    expect(play.dialogue.acceptedRecipients).toBe(1);
    expect(play.dialogue.position).toBe("body");
  });

  test.each<[name: string, text: string, counted: string[], kind: string]>([
    ["more than were asked for", "250 ok\r\n250 stray\r\n", ["NOOP 250"], "unexpected"],
    ["one that is none", "250 ok\r\n25x\r\n", ["NOOP 250"], "unexpected-or-grammar"],
    ["421 as an answer", "421 bye\r\n", ["NOOP 421"], "closing"],
    ["421 behind the answer", "250 ok\r\n421 bye\r\n", ["NOOP 250"], "closing"],
    ["what is no SMTP", "HTTP/1.1 400\r\n", [], "grammar"],
  ])("end the session after what was complete: %s", (_, text, counted, kind) => {
    const received = Play.greeted().say("NOOP").get(text);
    expect(seen(received)).toEqual(counted);
    expect(kind).toContain(received.fault?.kind);
  });

  test("end the session if nothing is awaited, also when only a part is there", () => {
    expect(Play.greeted().get("250 stray\r\n").fault?.kind).toBe("unexpected");
    expect(Play.greeted().get("421 4.3.2 going down\r\n").fault).toMatchObject({
      kind: "closing",
      reply: expect.objectContaining({ code: 421 }),
    });
    const play = Play.greeted();
    play.get("25");
    expect(play.dialogue.hasUnreadBytes).toBe(true);
  });

  test("to a long answer to EHLO have limits of their own", () => {
    const long = `${`250-${"x".repeat(60)}\r\n`.repeat(2000)}250 end\r\n`;
    expect(Play.greeted().say("EHLO").get(long).fault).toBeUndefined();
    expect(Play.greeted().say("NOOP").get(long).fault?.kind).toBe("too-long");
  });

  test("in an AUTH exchange may have longer lines (RFC 4954 4)", () => {
    const challenge = `334 ${"A".repeat(12_284)}\r\n`;
    expect(seen(Play.greeted().say("AUTH").get(challenge))).toEqual(["AUTH 334"]);
    expect(Play.greeted().say("NOOP").get(challenge).fault?.kind).toBe("too-long");
    const play = Play.greeted().say("AUTH");
    play.get("334 \r\n");
    expect(seen(play.say("response").get(challenge))).toEqual([" 334"]);
  });

  test("obey limits that were set", () => {
    const tiny = { line: 30, reply: 60, ehlo: 100 };
    expect(new Play("smtp", tiny).get(`220 ${"x".repeat(40)}\r\n`).fault?.kind).toBe("too-long");
    expect(new Play("smtp", tiny).get("220-12345678901234567890\r\n".repeat(4)).fault?.kind).toBe("too-long");
  });
});

/** How to reach each position, and which commands may be sent there. */
const POSITIONS: [position: Position, come: (play: Play) => void, allowed: string[]][] = [
  ["command", () => {}, Object.keys(make)],
  ["command", (play) => play.say("MAIL"), Object.keys(make)],
  ["await-reply", (play) => play.say("NOOP"), []],
  ["await-reply", (play) => play.say("EHLO"), []],
  ["await-reply", (play) => play.say("VRFY"), []],
  ["await-reply", (play) => play.say("EXPN"), []],
  ["await-reply", (play) => play.say("MAIL", "RCPT", "DATA"), []],
  ["await-reply", (play) => play.say("STARTTLS"), []],
  ["await-reply", (play) => play.say("AUTH"), []],
  ["body", (play) => play.say("DATA+").get("354 go\r\n"), []],
  ["auth", (play) => play.say("AUTH").get("334 \r\n"), ["response"]],
  ["command", (play) => play.say("AUTH").get("535 no\r\n"), Object.keys(make)],
  ["ready-for-tls", (play) => play.say("STARTTLS").get("220 go\r\n"), []],
  ["command", (play) => play.say("STARTTLS").get("454 no\r\n"), Object.keys(make)],
  ["closing", (play) => play.say("QUIT"), []],
  ["closing", (play) => play.say("QUIT").get("221 bye\r\n"), []],
  ["closed", (play) => play.dialogue.end(), []],
];

describe("what may be sent", () => {
  for (const [index, [position, come, allowed]] of POSITIONS.entries()) {
    test(`in the position ${position} (row ${index + 1}) is ${allowed.length === Object.keys(make).length ? "anything" : allowed.join(", ") || "nothing"}`, () => {
      for (const name of Object.keys(make)) {
        const play = Play.greeted();
        come(play);
        play.wire();
        expect(play.dialogue.position).toBe(position);
        if (allowed.includes(name)) expect(() => play.say(name)).not.toThrow();
        else {
          const { pendingReplies } = play.dialogue;
          expect(() => play.say(name), name).toThrow();
          expect(play.wire()).toBe("");
          expect(play.dialogue.pendingReplies).toBe(pendingReplies);
        }
      }
    });
  }

  test("behind a group's end is nothing until its reply is here (RFC 2920 3.1)", () => {
    const play = Play.greeted().say("RSET", "MAIL", "RCPT", "DATA+");
    expect(play.wire()).toBe("RSET\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n");
    play.get("250 a\r\n250 b\r\n250 c\r\n");
    expect(() => play.say("RSET")).toThrow();
    play.get("550 d\r\n");
    expect(() => play.say("RSET")).not.toThrow();
  });
});

describe("STARTTLS", () => {
  test.each(["220 go\r\n250 injected\r\n", "220 go\r\n2", "220 go\r\n\n"])(
    "with bytes behind its reply shows them: %j",
    (text) => {
      const play = Play.greeted().say("STARTTLS");
      expect(seen(play.get(text))).toEqual(["STARTTLS 220"]);
      expect(play.dialogue.hasUnreadBytes).toBe(true);
    },
  );

  test("with nothing behind its reply shows nothing", () => {
    const play = Play.greeted().say("STARTTLS");
    play.get("220 go\r\n");
    expect(play.dialogue.hasUnreadBytes).toBe(false);
  });
});

describe("replies that the caller asks for by himself", () => {
  test("wait for him", () => {
    const play = Play.greeted();
    play.dialogue.allowCallerReplies();
    expect(play.get("250 kept\r\n").fault).toBeUndefined();
    expect(seen(play.dialogue.awaitCallerReply(unaskedReply()))).toEqual(["? 250"]);
    expect(play.get("250 stray\r\n").fault?.kind).toBe("unexpected");
  });

  test("wait for him one by one, if he wrote two commands", () => {
    const play = Play.greeted();
    play.dialogue.allowCallerReplies();
    play.dialogue.allowCallerReplies();
    play.dialogue.awaitCallerReply(unaskedReply());
    expect(seen(play.get("250 one\r\n"))).toEqual(["? 250"]);
    expect(play.get("250 two\r\n").fault).toBeUndefined();
    expect(seen(play.dialogue.awaitCallerReply(unaskedReply()))).toEqual(["? 250"]);
  });

  test("are bounded while they wait", () => {
    const play = Play.greeted();
    play.dialogue.allowCallerReplies();
    const faults = Array.from({ length: 64 }, () => play.get("250-flood\r\n".repeat(2000)).fault);
    expect(faults.some((fault) => fault !== undefined)).toBe(true);
  });
});

describe("the end", () => {
  test("gives all that is still awaited, in order, once", () => {
    const play = Play.greeted().say("MAIL", "RCPT", "DATA+");
    play.get("250 ok\r\n");
    expect(play.dialogue.end().map(({ verb }) => verb)).toEqual(["RCPT", "DATA"]);
    expect(play.dialogue.end()).toEqual([]);
    expect(play.dialogue).toMatchObject({ pendingReplies: 0, position: "closed" });
  });
});

test("any dialogue gives the same exchanges, however the replies are cut", () => {
  const verb = fc.constantFrom("MAIL", "RCPT", "RSET", "NOOP", "EHLO", "AUTH", "DATA+");
  const code = fc.constantFrom(250, 251, 354, 450, 550, 334, 421);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(verb, code), { maxLength: 30 }),
      fc.array(fc.nat()),
      fc.constantFrom<"smtp" | "lmtp">("smtp", "lmtp"),
      (script, cuts, protocol) => {
        const run = (cut: boolean): string[] => {
          const play = Play.greeted(protocol);
          const log: string[] = [];
          for (const [name, code] of script) {
            if (play.dialogue.position === "body") play.dialogue.endBody();
            try {
              play.say(name);
            } catch {
              log.push(`${name} may not be sent (${play.dialogue.position})`);
              continue;
            }
            const wire = utf8(`${code}-first\r\n${code} second\r\n`.repeat(play.dialogue.pendingReplies));
            const places = cut ? cuts.map((place) => place % (wire.length + 1)).sort((a, b) => a - b) : [];
            for (const [i, from] of [0, ...places].entries()) {
              const piece = wire.slice(from, places[i] ?? wire.length);
              const received = play.dialogue.receive(piece);
              piece.fill(0);
              log.push(...seen(received), ...(received.fault === undefined ? [] : [received.fault.kind]));
              if (received.fault !== undefined) return log;
            }
          }
          return [...log, play.dialogue.position, String(play.dialogue.pendingReplies)];
        };
        expect(run(true)).toEqual(run(false));
      },
    ),
  );
});
