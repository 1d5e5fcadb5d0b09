/** The plan of a message: its needs against the server's extensions, or a refusal (SECURITY.md, rules 1 and 2). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseMailbox } from "../../src/core/address.ts";
import { parseFeatures } from "../../src/core/features.ts";
import { listedParameters } from "../../src/core/listed-parameters.ts";
import {
  type ContentNeeds,
  type EightBitPolicy,
  type EnvelopeNeeds,
  noParameters,
  type Plan,
  planMessage,
  planPlain,
  type Server,
} from "../../src/core/plan.ts";
import { SMTPNotSupportedError } from "../../src/errors.ts";

type Wish = {
  sender?: string;
  to?: readonly string[];
  mail?: readonly string[];
  rcpt?: readonly string[];
  octets?: number | undefined;
  rawOctets?: number;
  eightBit?: boolean | undefined;
  utf8Headers?: boolean;
};

const server = (...offered: string[]): Server => ({ esmtp: true, features: parseFeatures(["x", ...offered]) });
const helo: Server = { esmtp: false, features: parseFeatures([]) };

function plan(wish: Wish, on: Server, policy: EightBitPolicy = "refuse"): Plan {
  const { sender = "a@b.c", to = ["d@e.f"], mail = [], rcpt = [], utf8Headers = false } = wish;
  const needs: EnvelopeNeeds = {
    sender: parseMailbox(sender, "sender"),
    recipients: to.map((given) => ({
      given,
      mailbox: parseMailbox(given, "to"),
      parameters: listedParameters(rcpt, "rcpt_options"),
    })),
    parameters: listedParameters(mail, "mail_options"),
    utf8Headers,
  };
  const content: ContentNeeds = {
    octets: "octets" in wish ? wish.octets : 10,
    bytes: wish.rawOctets === undefined ? undefined : { length: wish.rawOctets },
    eightBit: "eightBit" in wish ? wish.eightBit : false,
  };
  return planMessage(needs, content, on, { eightBit: policy });
}

const lines = ({ mail, recipients }: Plan): string[] => [mail, ...recipients];

describe("a plan says", () => {
  test.each<[name: string, wish: Wish, on: Server, mail: string]>([
    ["the size where that is offered", {}, server("SIZE 100"), "MAIL FROM:<a@b.c> SIZE=10"],
    ["no size that is not known", { octets: undefined }, server("SIZE 100"), "MAIL FROM:<a@b.c>"],
    ["any size to a server without a limit", {}, server("SIZE 0"), "MAIL FROM:<a@b.c> SIZE=10"],
    ["any size to a server with a limit that is none", {}, server("SIZE huge"), "MAIL FROM:<a@b.c> SIZE=10"],
    ["any size to a server whose limit is not of digits", {}, server("SIZE 1M"), "MAIL FROM:<a@b.c> SIZE=10"],
    ["any size to a server with a limit and more", {}, server("SIZE 1 M"), "MAIL FROM:<a@b.c> SIZE=10"],
    ["any size to a server with a limit glued on", {}, server("SIZE=1"), "MAIL FROM:<a@b.c> SIZE=10"],
    [
      "a domain beyond ASCII as A-label where SMTPUTF8 is offered, too",
      { sender: "a@bücher.example" },
      server("SMTPUTF8", "8BITMIME"),
      "MAIL FROM:<a@xn--bcher-kva.example>",
    ],
    [
      "SMTPUTF8 once for a local part, and A-labels all the same",
      { sender: "a@bücher.example", to: ["ü@b.c"] },
      server("SMTPUTF8"),
      "MAIL FROM:<a@xn--bcher-kva.example> SMTPUTF8",
    ],
    ["the size of the limit itself", { octets: 100 }, server("SIZE 100"), "MAIL FROM:<a@b.c> SIZE=100"],
    ["BODY for eight bits", { eightBit: true }, server("8BITMIME"), "MAIL FROM:<a@b.c> BODY=8BITMIME"],
    ["BODY where nobody knows yet", { eightBit: undefined }, server("8BITMIME"), "MAIL FROM:<a@b.c> BODY=8BITMIME"],
    ["no BODY for seven bits", {}, server("8BITMIME"), "MAIL FROM:<a@b.c>"],
    [
      "SMTPUTF8 for such a sender",
      { sender: "ü@b.c" },
      server("SMTPUTF8", "8BITMIME"),
      "MAIL FROM:<ü@b.c> SMTPUTF8 BODY=8BITMIME",
    ],
    [
      "SMTPUTF8 for such a recipient",
      { to: ["x@y.z", "ü@b.c"] },
      server("SMTPUTF8", "8BITMIME"),
      "MAIL FROM:<a@b.c> SMTPUTF8 BODY=8BITMIME",
    ],
    [
      "SMTPUTF8 for such header fields",
      { utf8Headers: true, eightBit: true },
      server("SMTPUTF8", "8BITMIME"),
      "MAIL FROM:<a@b.c> SMTPUTF8 BODY=8BITMIME",
    ],
    [
      "SMTPUTF8 once",
      { sender: "ü@b.c", mail: ["smtputf8", "body=8BITMIME"] },
      server("SMTPUTF8", "8BITMIME"),
      "MAIL FROM:<ü@b.c> smtputf8 body=8BITMIME",
    ],
    [
      "options as they are given, unknown ones too",
      { mail: ["X-A", "x-b=1"] },
      server(),
      "MAIL FROM:<a@b.c> X-A x-b=1",
    ],
    ["no options to a server without ESMTP", { mail: ["X-A", "SIZE=5"] }, helo, "MAIL FROM:<a@b.c>"],
    [
      "a domain as A-label where SMTPUTF8 is missing",
      { sender: "a@bücher.example" },
      server(),
      "MAIL FROM:<a@xn--bcher-kva.example>",
    ],
  ])("%s", (_, wish, on, mail) => {
    expect(lines(plan(wish, on))[0]).toBe(mail);
  });

  test("each recipient, in order, with its options", () => {
    const planned = plan({ to: ["a@b.c", "B <b@ü.de>", "postmaster"], rcpt: ["NOTIFY=NEVER"] }, server("DSN"));
    expect(lines(planned).slice(1)).toEqual([
      "RCPT TO:<a@b.c> NOTIFY=NEVER",
      "RCPT TO:<b@xn--tda.de> NOTIFY=NEVER",
      "RCPT TO:<postmaster> NOTIFY=NEVER",
    ]);
  });

  test.each<[on: Server, policy: EightBitPolicy, sevenBitOnly: boolean]>([
    [server(), "refuse", true],
    [server("8BITMIME"), "refuse", false],
    [server(), "send", false],
    [helo, "refuse", true],
  ])("whether a stream may hold octets over 127", (on, policy, sevenBitOnly) => {
    expect(plan({ eightBit: undefined }, on, policy).sevenBitOnly).toBe(sevenBitOnly);
  });
});

test.each<[offered: readonly string[], mail: readonly string[], verb: string, content: string]>([
  [[], [], "DATA", "text"],
  [["CHUNKING"], [], "DATA", "text"],
  [["CHUNKING", "BINARYMIME"], ["BODY=8BITMIME"], "DATA", "text"],
  [["CHUNKING", "BINARYMIME"], ["body=BinaryMIME"], "BDAT", "binary"],
])(
  "of a server that offers %j, for a message with %j, a plan says %s and %s (RFC 3030)",
  (offered, mail, verb, kind) => {
    expect(plan({ mail }, server(...offered))).toMatchObject({ verb, content: kind });
  },
);

test("of a message under BINARYMIME declares its size as it is, and may hold octets over 127 (RFC 3030 3)", () => {
  const wish: Wish = { mail: ["BODY=BINARYMIME"], octets: 12, rawOctets: 10, eightBit: true };
  const planned = plan(wish, server("CHUNKING", "BINARYMIME", "SIZE 11"));
  expect(lines(planned)[0]).toBe("MAIL FROM:<a@b.c> SIZE=10 BODY=BINARYMIME");
  expect(planned.sevenBitOnly).toBe(false);
});

describe("there is no plan for", () => {
  test.each<[name: string, wish: Wish, on: Server, capability: string]>([
    ["eight bits without 8BITMIME", { eightBit: true }, server("SIZE"), "8BITMIME"],
    ["eight bits without ESMTP", { eightBit: true }, helo, "8BITMIME"],
    ["a local part without SMTPUTF8", { sender: "ü@b.c" }, server("8BITMIME"), "SMTPUTF8"],
    ["a recipient's local part without SMTPUTF8", { to: ["x@y.z", "ü@b.c"] }, server("8BITMIME"), "SMTPUTF8"],
    ["header fields without SMTPUTF8", { utf8Headers: true, eightBit: true }, server("8BITMIME"), "SMTPUTF8"],
    ["SMTPUTF8 asked for in vain", { mail: ["SmtpUtf8"] }, server(), "SMTPUTF8"],
    ["BODY=BINARYMIME without CHUNKING", { mail: ["BODY=BINARYMIME"] }, server("BINARYMIME"), "CHUNKING"],
    ["a message over the limit", { octets: 101 }, server("SIZE 100"), "SIZE"],
    [
      "a message over the limit that is declared smaller",
      { octets: 101, mail: ["SIZE=1"] },
      server("SIZE 100"),
      "SIZE",
    ],
  ])("%s", (_, wish, on, capability) => {
    try {
      plan(wish, on);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SMTPNotSupportedError);
      expect(error).toMatchObject({ capability, delivery: "not-sent", temporary: false });
    }
  });

  test("but eight bits and header fields are sent as Python does, if that is asked for", () => {
    expect(lines(plan({ eightBit: true, utf8Headers: true }, server(), "send"))[0]).toBe("MAIL FROM:<a@b.c>");
    expect(() => plan({ sender: "ü@b.c" }, server(), "send")).toThrow(SMTPNotSupportedError);
  });
});

test("the same needs and features give the same plan", () => {
  const wish: Wish = { sender: "ü@b.c", eightBit: true, mail: ["X=1"] };
  const on = server("SMTPUTF8", "8BITMIME", "SIZE");
  expect(lines(plan(wish, on))).toEqual(lines(plan(wish, on)));
});

describe("listed parameters", () => {
  test.each<[list: unknown[], error: unknown]>([
    [["A B"], RangeError],
    [[""], RangeError],
    [["A\r\nRSET"], RangeError],
    [[1], TypeError],
    [[["A"]], TypeError],
  ])("%j are refused at once", (list, error) => {
    // @ts-expect-error: a caller without types may pass any value
    expect(() => listedParameters(list, "mail_options")).toThrow(error);
    // @ts-expect-error: the same
    expect(() => listedParameters(list, "mail_options")).toThrow("mail_options");
  });

  test("cannot be changed after they were checked", () => {
    const list = ["A"];
    const parameters = listedParameters(list, "mail_options");
    list[0] = "A\r\nRSET";
    expect(parameters(server())).toEqual(["A"]);
  });
});

test("the plan of plain paths without parameters is the one that the long way finds", () => {
  const path = fc.constantFrom("a@b.c", "x+y@example.org", "o'neil@example.com");
  const content = fc.record({
    octets: fc.option(fc.constantFrom(0, 10, 70_000), { nil: undefined }),
    eightBit: fc.option(fc.boolean(), { nil: undefined }),
    hiddenEnd: fc.boolean(),
  });
  const offered = fc.subarray(["SIZE", "SIZE 100", "8BITMIME", "CHUNKING", "PIPELINING", "SMTPUTF8"]);
  const policy = fc.record({
    eightBit: fc.constantFrom<EightBitPolicy>("refuse", "send"),
    chunking: fc.option(fc.boolean(), { nil: undefined }),
    eager: fc.boolean(),
  });
  const outcome = (attempt: () => Plan): unknown => {
    try {
      return attempt();
    } catch (error) {
      return String(error);
    }
  };
  fc.assert(
    fc.property(
      path,
      fc.array(path, { minLength: 1, maxLength: 3 }),
      content,
      offered,
      policy,
      (from, to, octets, extensions, how) => {
        const recipient = (given: string) => ({ given, mailbox: parseMailbox(given, "to"), parameters: noParameters });
        const needs = {
          sender: parseMailbox(from, "from"),
          recipients: to.map(recipient),
          parameters: noParameters,
          utf8Headers: false,
        };
        const on = server(...extensions);
        expect(outcome(() => planPlain(from, to, octets, on, how))).toEqual(
          outcome(() => planMessage(needs, octets, on, how)),
        );
      },
    ),
  );
});
