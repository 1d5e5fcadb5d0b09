import { expect, test } from "vitest";
import { utf8 } from "../../src/core/bytes.ts";
import { ReplyParser } from "../../src/core/reply.ts";
import { Play } from "./play.ts";

test("no reply follows a fault", () => {
  const parser = new ReplyParser();
  parser.push(utf8("nonsense\r\n"));
  expect(parser.next(512, 512)).toBeUndefined();
  expect(parser.fault?.kind).toBe("grammar");
  parser.push(utf8("250 ok\r\n"));
  expect(parser.next(512, 512)).toBeUndefined();
});

test("a dialogue takes no reply after a fault", () => {
  const play = Play.greeted().say("MAIL", "RCPT");
  expect(play.get("nonsense\r\n").fault?.kind).toBe("grammar");
  const { exchanges, fault } = play.get("250 ok\r\n");
  expect(exchanges).toEqual([]);
  expect(fault?.kind).toBe("grammar");
});
