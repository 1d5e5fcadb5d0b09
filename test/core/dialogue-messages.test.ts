import { describe, expect, test } from "vitest";

import { Play, seen } from "./play.ts";

describe("a message", () => {
  const atBody = (protocol: "smtp" | "lmtp" = "smtp", recipients = 1): Play => {
    const play = Play.greeted(protocol).say("MAIL", ...Array(recipients).fill("RCPT"), "DATA+");
    play.get(`${"250 ok\r\n".repeat(recipients + 1)}354 go\r\n`);
    return play;
  };

  test("may be followed by the next envelope before its final reply", () => {
    const play = atBody();
    play.dialogue.endBody();
    play.say("MAIL", "RCPT", "DATA+");
    expect(seen(play.get("250 queued\r\n250 ok\r\n550 no\r\n554 none\r\n"))).toEqual([
      ". 250",
      "MAIL 250",
      "RCPT 550",
      "DATA 554",
    ]);
    expect(play.dialogue.acceptedRecipients).toBe(0);
  });

  test("that is refused does not end the next transaction", () => {
    const play = atBody();
    play.dialogue.endBody();
    play.say("MAIL", "RCPT", "DATA+");
    expect(play.get("554 spam\r\n250 ok\r\n250 ok\r\n354 go\r\n").fault).toBeUndefined();
    expect(play.dialogue.position).toBe("body");
    expect(play.dialogue.transactionOpen).toBe(true);
  });

  test("stays open behind a second MAIL that is refused", () => {
    const play = Play.greeted().say("MAIL");
    play.get("250 ok\r\n");
    play.say("MAIL");
    play.get("503 nested\r\n");
    expect(play.dialogue.transactionOpen).toBe(true);
  });

  test("may be answered while it is written: the answer is its own", () => {
    const play = atBody();
    expect(seen(play.get("552 too much\r\n"))).toEqual([". 552"]);
    expect(() => play.say("MAIL")).toThrow();
  });

  test("in LMTP has a reply for each accepted recipient, also with one refused (RFC 2033 4.2)", () => {
    const play = Play.greeted("lmtp").say("MAIL", "RCPT", "RCPT", "RCPT", "DATA+");
    play.get("250 a\r\n250 b\r\n550 c\r\n250 d\r\n354 go\r\n");
    expect(play.dialogue.acceptedRecipients).toBe(2);
    play.dialogue.endBody();
    play.say("MAIL");
    expect(seen(play.get("250 one\r\n452 two\r\n250 mail\r\n"))).toEqual([". 250", ". 452", "MAIL 250"]);
  });

  test("in SMTP has one reply for all", () => {
    const play = atBody("smtp", 3);
    play.dialogue.endBody();
    expect(seen(play.get("250 one\r\n"))).toEqual([". 250"]);
    expect(play.get("250 two\r\n").fault?.kind).toBe("unexpected");
  });
});

describe("a transaction", () => {
  const open = (play: Play): boolean => play.dialogue.transactionOpen;

  test("is open from MAIL to the end of the data, to RSET or to a refusal of MAIL", () => {
    const play = Play.greeted();
    expect(open(play)).toBe(false);
    expect(open(play.say("MAIL"))).toBe(true);
    play.get("250 ok\r\n");
    expect(open(play.say("RSET"))).toBe(false);
    play.get("250 ok\r\n");
    play.say("MAIL").get("550 no\r\n");
    expect(open(play)).toBe(false);
    play.say("MAIL", "RCPT", "DATA+").get("250 a\r\n250 b\r\n354 go\r\n");
    play.dialogue.endBody();
    expect(open(play)).toBe(false);
  });

  test("stays open when its recipients or its DATA were refused: RSET is needed (RFC 5321 4.1.4)", () => {
    const play = Play.greeted();
    play.say("MAIL", "RCPT", "DATA").get("250 a\r\n550 b\r\n554 c\r\n");
    expect(open(play)).toBe(true);
  });

  test("is ended by a good EHLO and by STARTTLS", () => {
    const play = Play.greeted();
    play.say("MAIL", "EHLO").get("250 a\r\n250 b\r\n");
    expect(open(play)).toBe(false);
    play.say("MAIL", "STARTTLS").get("250 a\r\n220 go\r\n");
    play.dialogue.tlsStarted();
    expect(open(play)).toBe(false);
    expect(play.dialogue.position).toBe("command");
  });
});
