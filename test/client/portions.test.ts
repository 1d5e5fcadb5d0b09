/** More recipients than a server accepts at once (RFC 5321 4.5.3.1.8 and 10, RFC 9422): portions, and one result. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LMTP, type Refused, SMTPRecipientsRefused, SMTPSenderRefused } from "../../src/index.ts";
import { reasonOf, session } from "../support/session.ts";
import { type Answer, FakeServer, type Script } from "./fake-server.ts";

const people = (count: number, domain = "b.example"): string[] =>
  Array.from({ length: count }, (_, index) => `r${index}@${domain}`);

/**
 * A server with room for this many recipients, which refuses names with "bad"; `got` lists the recipients of messages.
 */
function withRoom(room: number, more: Script = {}, full = "452 4.5.3 too many recipients", got: string[] = []): Script {
  let taken: string[] = [];
  const rcpt = (line: string): Answer => {
    if (line.includes("bad")) return "550 5.1.1 no such user";
    if (taken.length === room) return full;
    taken.push(line.slice("RCPT TO:<".length, -1));
    return "250 2.1.5 ok";
  };
  const mail = (): Answer => {
    taken = [];
    return "250 2.1.0 ok";
  };
  const end = (): Answer => `250 2.0.0 queued for ${got.push(...taken)}`;
  return { ehlo: ["PIPELINING"], ...more, on: { MAIL: mail, RCPT: rcpt, ".": end, ...more.on } };
}

/** The number of recipients in each transaction. */
function sizes({ lines }: FakeServer): number[] {
  const counts: number[] = [];
  for (const line of lines) {
    if (line.startsWith("MAIL")) counts.push(0);
    if (line.startsWith("RCPT")) counts.push((counts.pop() ?? 0) + 1);
  }
  return counts;
}

const codes = (refused: Refused): [string, number][] => Object.entries(refused).map(([who, [code]]) => [who, code]);

describe.each([
  ["pipelined", ["PIPELINING"]],
  ["in lock-step", []],
])("where the server has no room, %s,", (_, ehlo) => {
  test.each(["452 4.5.3 too many recipients", "452 too many", "552 too many recipients"])(
    "the others follow in the same session after %s, in portions of a hundred at least",
    async (full) => {
      const { server, smtp } = await session(withRoom(100, { ehlo }, full));
      const to = people(250);
      const delivery = await smtp.deliver({ from: "a@b.c", to, body: "hi\n" });
      expect(delivery.accepted).toEqual(to);
      expect(delivery.refused).toEqual({});
      expect(delivery.replies.map(({ code }) => code)).toEqual(to.map(() => 250));
      expect(delivery.reply.message).toBe("2.0.0 queued for 250");
      expect(sizes(server)).toEqual([250, 100, 50]);
      expect(server.messages).toEqual(["hi\r\n", "hi\r\n", "hi\r\n"]);
      expect(server.streams).toHaveLength(1);
    },
  );

  test("no other message comes between the portions", async () => {
    const { server, smtp } = await session(withRoom(2, { ehlo }));
    const refused = await Promise.all([
      smtp.sendmail("first@b.c", people(5), "one"),
      smtp.sendmail("second@b.c", "x@y.z", "two"),
    ]);
    expect(refused).toEqual([{}, {}]);
    expect(server.messages.map((text) => text.trim())).toEqual(["one", "one", "one", "two"]);
    await smtp.quit();
  });
});

describe("where the server has no room", () => {
  test("a portion whose DATA is answered by 2yz, which is no go-ahead, has reached nobody", async () => {
    const got: string[] = [];
    let data = 0;
    const on = { DATA: (): Answer => (data++ === 0 ? "354 go" : "299 what") };
    const { smtp } = await session(withRoom(1, { on }, undefined, got));
    const delivery = await smtp.deliver({ from: "a@b.c", to: ["r0@x.y", "r1@x.y"], body: "hi" });
    expect(got).toEqual(["r0@x.y"]);
    expect(delivery.accepted).toEqual(["r0@x.y"]);
    expect(codes(delivery.refused)).toEqual([["r1@x.y", 451]]);
  });

  test("those whom it refuses for another reason stay refused, and the order is the caller's", async () => {
    const { smtp } = await session(withRoom(2));
    const to = ["r0@x.y", "bad1@x.y", "r2@x.y", "r3@x.y", "bad4@x.y", "r5@x.y", "r6@x.y"];
    const delivery = await smtp.deliver({ from: "a@b.c", to, body: "hi" });
    expect(delivery.accepted).toEqual(["r0@x.y", "r2@x.y", "r3@x.y", "r5@x.y", "r6@x.y"]);
    expect(codes(delivery.refused)).toEqual([
      ["bad1@x.y", 550],
      ["bad4@x.y", 550],
    ]);
    expect(delivery.replies.map(({ code }) => code)).toEqual([250, 550, 250, 250, 550, 250, 250]);
  });

  test("and never will have for some, those keep its reply", async () => {
    let transactions = 0;
    const { server, smtp } = await session({
      on: {
        MAIL: () => `250 ${++transactions}`,
        RCPT: (line) => (transactions > 1 || line.includes("r1") ? "452 4.5.3 too many" : "250 ok"),
      },
    });
    expect(codes(await smtp.sendmail("a@b.c", people(2), "hi"))).toEqual([["r1@b.example", 452]]);
    expect(sizes(server)).toEqual([2, 1]);
    expect(await smtp.noop()).toMatchObject({ code: 250 });
  });

  test.each([
    ["a full mailbox", "452 4.2.2 mailbox full"],
    ["a server that is out of space", "452 4.3.1 no space"],
  ])("%s is no reason to try again at once", async (_, reply) => {
    const { server, smtp } = await session({ on: { RCPT: ["250 ok", reply] } });
    expect(codes(await smtp.sendmail("a@b.c", people(2), "hi"))).toEqual([["r1@b.example", 452]]);
    expect(sizes(server)).toEqual([2]);
  });

  test("one whose room was refused before another was accepted is not tried again", async () => {
    const { server, smtp } = await session({ on: { RCPT: ["452 too many", "250 ok"] } });
    expect(codes(await smtp.sendmail("a@b.c", people(2), "hi"))).toEqual([["r0@b.example", 452]]);
    expect(sizes(server)).toEqual([2]);
  });

  test("a stream, which cannot be sent twice, goes to those who were accepted", async () => {
    const { server, smtp } = await session(withRoom(1));
    const refused = await smtp.sendmail("a@b.c", people(2), ["h", "i"]);
    expect(codes(refused)).toEqual([["r1@b.example", 452]]);
    expect(server.messages).toEqual(["hi\r\n"]);
  });

  test("for anybody, the message is refused as ever", async () => {
    const { smtp } = await session(withRoom(0));
    const error = await reasonOf(smtp.sendmail("a@b.c", people(2), "hi"));
    expect(error).toBeInstanceOf(SMTPRecipientsRefused);
    expect(error).toMatchObject({ temporary: true, delivery: "rejected" });
  });

  test.each<[name: string, on: Record<string, string | readonly string[]>, code: number]>([
    ["the sender", { MAIL: ["250 ok", "451 4.7.1 slow down"] }, 451],
    ["the data command", { DATA: ["354 go on", "451 4.3.0 no"] }, 451],
    ["the message", { ".": ["250 queued", "554 5.6.0 seen before"] }, 554],
  ])("and then refuses %s, that is told of the rest", async (_, on, code) => {
    const script = withRoom(2);
    let taken = 0;
    const { smtp } = await session({
      ...script,
      on: { ...script.on, RCPT: () => (taken++ < 2 ? "250 ok" : taken > 3 ? "250 ok" : "452 too many"), ...on },
    });
    const { accepted, refused } = await smtp.deliver({ from: "a@b.c", to: people(3), body: "hi" });
    expect(accepted).toEqual(people(2));
    expect(codes(refused)).toEqual([["r2@b.example", code]]);
    expect(await smtp.noop()).toMatchObject({ code: 250 });
  });

  test.each([
    ["the envelope", "RCPT", /^4\.4\.2 not sent: /],
    ["the message", ".", /^4\.4\.2 unknown whether delivered: /],
  ])(
    "and the connection dies during %s of the rest, the first ones have their mail all the same",
    async (_, verb, text) => {
      let transactions = 0;
      let taken = 0;
      const { smtp } = await session({
        ehlo: ["PIPELINING"],
        on: {
          MAIL: () => {
            transactions++;
            taken = 0;
            return "250 ok";
          },
          RCPT: () => (verb === "RCPT" && transactions > 1 ? "close" : taken++ < 2 ? "250 ok" : "452 too many"),
          ".": () => (transactions > 1 ? "close" : "250 queued"),
        },
      });
      const { accepted, refused, replies } = await smtp.deliver({ from: "a@b.c", to: people(4), body: "hi" });
      expect(accepted).toEqual(people(2));
      expect(codes(refused)).toEqual(
        people(4)
          .slice(2)
          .map((who) => [who, 451]),
      );
      expect(replies.map(({ code }) => code)).toEqual([250, 250, 451, 451]);
      for (const reply of Object.values(refused)) {
        expect(reply.message).toMatch(text);
        expect(reply.enhancedCode).toBe("4.4.2");
      }
      expect(smtp.connected).toBe(false);
    },
  );

  test.each(["421 4.7.0 closing", "close"])(
    "%s in the middle of the rest: nobody of it has the message",
    async (last) => {
      const { smtp } = await session({
        on: { RCPT: ["250 ok", "452 too many", "452 too many", "250 ok", last] },
      });
      const { refused } = await smtp.deliver({ from: "a@b.c", to: people(3), body: "hi" });
      expect(refused["r1@b.example"]?.message).toMatch(/^4\.4\.2 not sent: /);
    },
  );

  test("and the call is aborted after the first ones have their mail, that is told", async () => {
    let transactions = 0;
    const { server, smtp } = await session({
      on: { MAIL: () => (++transactions > 1 ? undefined : "250 ok"), RCPT: ["250 ok", "250 ok", "452 too many"] },
    });
    const aborting = new AbortController();
    const call = smtp.deliver({ from: "a@b.c", to: people(3), body: "hi", signal: aborting.signal });
    await server.until(() => transactions > 1);
    aborting.abort(new Error("enough"));
    const { accepted, refused } = await call;
    expect(accepted).toEqual(people(2));
    expect(refused["r2@b.example"]?.message).toMatch(/^4\.4\.2 not sent: .*abort/);
    expect(smtp.connected).toBe(false);
  });

  test("those whom an eager flight had no room for stay refused", async () => {
    const script = withRoom(1, { ehlo: ["PIPELINING", "CHUNKING"] });
    const { server, smtp } = await session(script, { pipelining: "eager" });
    expect(codes(await smtp.sendmail("a@b.c", people(2), "hi"))).toEqual([["r1@b.example", 452]]);
    expect(sizes(server)).toEqual([2]);
  });

  test("an LMTP server's reply after the data is no want of room, but one to RCPT is", async () => {
    const server = new FakeServer({
      on: { RCPT: ["250 ok", "250 ok", "452 too many", "250 ok"], ".": ["250 ok\r\n452 quota", "250 ok"] },
    });
    const lmtp = await LMTP.connect("host", 24, { transport: server.transport });
    const { accepted, refused } = await lmtp.deliver({ from: "a@b.c", to: people(3), body: "hi" });
    expect(accepted).toEqual(["r0@b.example", "r2@b.example"]);
    expect(codes(refused)).toEqual([["r1@b.example", 452]]);
    expect(sizes(server)).toEqual([3, 1]);
  });
});

describe("where the server says its LIMITS", () => {
  test("eager flights keep to them, too", async () => {
    const script = withRoom(2, { ehlo: ["PIPELINING", "CHUNKING", "LIMITS RCPTMAX=2"] });
    const { server, smtp } = await session(script, { pipelining: "eager" });
    expect(await smtp.sendmail("a@b.c", people(5), "hi")).toEqual({});
    expect(sizes(server)).toEqual([2, 2, 1]);
  });

  test.each([
    ["RCPTMAX=2", people(5), [2, 2, 1]],
    ["RCPTMAX=5", people(5), [5]],
    ["RCPTDOMAINMAX=1", ["a@x.y", "b@z.y", "c@X.Y", "d@z.y"], [2, 2]],
    ["MAILMAX=1 X-OTHER=1 RCPTMAX=0 RCPTMAX", people(5), [5]],
  ])("%s: portions are planned before the first byte", async (limits, to, portions) => {
    const { server, smtp } = await session({ ehlo: ["PIPELINING", `LIMITS ${limits}`] });
    const { accepted, replies } = await smtp.deliver({ from: "a@b.c", to, body: "hi" });
    expect(accepted).toEqual(to);
    expect(replies).toHaveLength(to.length);
    expect(sizes(server)).toEqual(portions);
    await smtp.quit();
  });

  test("a portion whose recipients are all refused is no reason to give up the next", async () => {
    const { smtp } = await session(withRoom(9, { ehlo: ["PIPELINING", "LIMITS RCPTMAX=1"] }));
    expect(codes(await smtp.sendmail("a@b.c", ["bad@x.y", "good@x.y"], "hi"))).toEqual([["bad@x.y", 550]]);
  });

  test("all portions refused are one refusal", async () => {
    const { smtp } = await session(withRoom(9, { ehlo: ["LIMITS RCPTMAX=1"] }));
    const error = await reasonOf(smtp.sendmail("a@b.c", ["bad1@x.y", "bad2@x.y"], "hi"));
    expect(error).toBeInstanceOf(SMTPRecipientsRefused);
    expect(error).toMatchObject({
      delivery: "rejected",
      temporary: false,
      recipients: { "bad1@x.y": { code: 550 }, "bad2@x.y": { code: 550 } },
    });
  });

  test("a sender who is refused before anybody got the message is that error", async () => {
    const { smtp } = await session({ ehlo: ["LIMITS RCPTMAX=1"], on: { MAIL: "550 no" } });
    expect(await reasonOf(smtp.sendmail("a@b.c", people(2), "hi"))).toBeInstanceOf(SMTPSenderRefused);
  });

  test("messages that fit are pipelined as ever", async () => {
    const { server, smtp } = await session({ ehlo: ["PIPELINING", "LIMITS RCPTMAX=2"] });
    await smtp.sendmail("a@b.c", people(2), "warm up");
    const seen = server.writes.length;
    await Promise.all([smtp.sendmail("a@b.c", people(2), "one"), smtp.sendmail("a@b.c", people(1), "two")]);
    expect(server.writes.slice(seen).some((text) => /^one\r\n\.\r\nMAIL/.test(text))).toBe(true);
  });
});

test("each recipient is told once, and has the message exactly if he is told so, whatever room there is", async () => {
  const recipient = fc.constantFrom("good", "bad");
  await fc.assert(
    fc.asyncProperty(
      fc.array(recipient, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 8 }),
      fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
      async (kinds, room, rcptMax) => {
        const to = kinds.map((kind, index) => `${kind}${index}@x.y`);
        const limits = rcptMax === undefined ? [] : [`LIMITS RCPTMAX=${rcptMax}`];
        const got: string[] = [];
        const { smtp } = await session(withRoom(room, { ehlo: ["PIPELINING", ...limits] }, undefined, got));
        const outcome = await smtp.deliver({ from: "a@b.c", to, body: "hi" }).catch((error: unknown) => error);
        const good = to.filter((address) => address.startsWith("good"));
        if (outcome instanceof SMTPRecipientsRefused) expect(good).toEqual([]);
        else expect(outcome).toMatchObject({ accepted: good });
        expect(got.sort()).toEqual(good.sort());
        smtp.close();
      },
    ),
    { numRuns: 50 },
  );
});
