/** A whole message's commands as one entry of the dialogue behave like the same commands one by one. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { bdatCommand } from "../../src/core/bdat-command.ts";
import { concat, utf8 } from "../../src/core/bytes.ts";
import { Command } from "../../src/core/command.ts";
import { Dialogue, type Received } from "../../src/core/dialogue.ts";
import { FlightGroup } from "../../src/core/flight-group.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { Output } from "../../src/core/output.ts";
import type { RawReply } from "../../src/core/reply.ts";

type Protocol = "smtp" | "lmtp";

const RECIPIENTS = 2;
const MAIL = "MAIL FROM:<a@example.com>";
const RCPT = "RCPT TO:<b@example.net>";
const recipients = Array.from({ length: RECIPIENTS }, () => RCPT);

class Probe extends FlightGroup {
  readonly handedOver: string[] = [];

  constructor(protocol: Protocol) {
    super({ mail: MAIL, recipients, octets: 5, protocol });
  }

  protected resetAnswered({ code }: RawReply): void {
    this.handedOver.push(`reset ${code}`);
  }

  protected messageAnswered({ code }: RawReply): void {
    this.handedOver.push(`message ${code}`);
  }

  lost(): void {}
}

/** A dialogue with messages in flight, and the bytes that its sender wrote. */
class Way {
  readonly dialogue: Dialogue;
  readonly output: Output = new Output();
  readonly codes: number[] = [];

  constructor(protocol: Protocol) {
    this.dialogue = new Dialogue(Command.greeting(), { limits: DEFAULT_LIMITS, protocol });
    this.dialogue.receive(utf8("220 hello\r\n"));
  }

  static asGroups(protocol: Protocol, messages: number): Way {
    const way = new Way(protocol);
    for (let sent = 0; sent < messages; sent++) way.dialogue.sendGroup(new Probe(protocol), way.output);
    return way;
  }

  static oneByOne(protocol: Protocol, messages: number): Way {
    const way = new Way(protocol);
    for (let sent = 0; sent < messages; sent++) {
      way.#send(new Command("RSET", "RSET", "command"));
      way.#send(new Command("MAIL", MAIL, "envelope"));
      for (const line of recipients) way.#send(new Command("RCPT", line, "envelope"));
      way.#send(bdatCommand(5, "last"));
    }
    return way;
  }

  /** Plays the replies, cut at `cuts`, and returns the visible state after each piece. */
  play(replies: readonly string[], cuts: readonly number[]): unknown[] {
    const octets = utf8(replies.join(""));
    const at = [0, ...cuts.map((cut) => cut % (octets.length + 1)), octets.length].sort((a, b) => a - b);
    const seen: unknown[] = [];
    for (let index = 1; index < at.length; index++) {
      const received = this.dialogue.receive(octets.slice(at[index - 1], at[index]));
      seen.push(this.#look(received));
      if (received.fault !== undefined) break;
    }
    return seen;
  }

  #send(command: Command): void {
    this.dialogue.send(command, this.output);
  }

  #look({ exchanges, fault }: Received): unknown {
    this.codes.push(...exchanges.map(({ reply }) => reply.code));
    const { position, pendingReplies, oldestPending, transactionOpen } = this.dialogue;
    const { phase, verb } = oldestPending ?? {};
    const state = {
      position,
      pendingReplies,
      phase,
      verb,
      transactionOpen,
      needsReset: this.dialogue.needsReset("MAIL"),
    };
    return { codes: [...this.codes], fault: fault?.kind, ...state };
  }
}

const wire = ({ output }: Way): string => new TextDecoder().decode(concat(output.take()));

test("writes the lines that its commands write", () => {
  expect(wire(Way.asGroups("smtp", 2))).toBe(wire(Way.oneByOne("smtp", 2)));
});

test.each(["smtp", "lmtp"] as const)("reads any replies, cut anywhere, as its commands do: %s", (protocol) => {
  const code = fc.constantFrom(250, 250, 250, 250, 251, 354, 421, 450, 452, 500, 550, 552);
  const reply = code.chain((code) => fc.constantFrom(`${code} ok\r\n`, `${code}\r\n`, `${code}-a\r\n${code} é\r\n`));
  const cuts = fc.array(fc.nat(400), { maxLength: 5 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.array(reply, { maxLength: 18 }), cuts, (messages, replies, cuts) => {
      const groups = Way.asGroups(protocol, messages).play(replies, cuts);
      expect(groups).toEqual(Way.oneByOne(protocol, messages).play(replies, cuts));
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ["smtp", "250 2.0.0 ok\r\n", ["reset 250", "message 250"]],
  ["lmtp", "250 one\r\n452 two\r\n", ["reset 250", "message 250", "message 452"]],
] as const)("hands over the reply to RSET and those to the message, and no other: %s", (protocol, last, handedOver) => {
  const { dialogue, output } = new Way(protocol);
  const flight = new Probe(protocol);
  dialogue.sendGroup(flight, output);
  for (const replies of ["250 reset\r\n250 sender\r\n250 one\r\n250 two\r\n", last]) {
    for (const { reply } of dialogue.receive(utf8(replies)).exchanges) flight.dispatch(reply);
  }
  expect(flight.handedOver).toEqual(handedOver);
  expect(dialogue.oldestPending).toBeUndefined();
});

test("is refused where no command may be sent, and writes nothing", () => {
  const { dialogue, output } = new Way("smtp");
  dialogue.send(Command.simple("QUIT"), output);
  output.take();
  expect(() => dialogue.sendGroup(new Probe("smtp"), output)).toThrow(/RSET cannot be sent now/);
  expect(output.length).toBe(0);
});
