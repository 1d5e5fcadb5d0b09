/** A message's envelope as one entry of the dialogue behaves like its commands one by one. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, utf8 } from "../../src/core/bytes.ts";
import { Command } from "../../src/core/command.ts";
import { Dialogue, type Received } from "../../src/core/dialogue.ts";
import { EnvelopeGroup } from "../../src/core/envelope-group.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { Output } from "../../src/core/output.ts";
import type { RawReply } from "../../src/core/reply.ts";

const RECIPIENTS = 2;
const MAIL = "MAIL FROM:<a@example.com>";
const RCPT = "RCPT TO:<b@example.net>";

class Probe extends EnvelopeGroup {
  readonly handedOver: number[] = [];

  constructor() {
    super(
      MAIL,
      Array.from({ length: RECIPIENTS }, () => RCPT),
    );
  }

  protected replied(reply: RawReply): void {
    this.handedOver.push(reply.code);
  }

  lost(): void {}
}

/** The visible state of a dialogue. */
type Seen = { codes: number[]; position: string; pending: number; phase: unknown; fault: string | undefined };

type Way = { dialogue: Dialogue; output: Output; codes: number[]; take(received: Received): void };

function greeted(): { dialogue: Dialogue; output: Output } {
  const dialogue = new Dialogue(Command.greeting(), { limits: DEFAULT_LIMITS, protocol: "smtp" });
  dialogue.receive(utf8("220 hello\r\n"));
  return { dialogue, output: new Output() };
}

function asGroup(): Way {
  const { dialogue, output } = greeted();
  const group = new Probe();
  dialogue.sendGroup(group, output);
  const codes: number[] = [];
  const take = (): void => {
    codes.splice(0, codes.length, ...group.replies.map(({ code }) => code));
  };
  return { dialogue, output, codes, take };
}

function oneByOne(): Way {
  const { dialogue, output } = greeted();
  const lines = [MAIL, ...Array.from({ length: RECIPIENTS }, () => RCPT)];
  for (const line of lines) dialogue.send(new Command(line.slice(0, 4), line, "envelope"), output);
  dialogue.send(Command.data(), output, Command.endOfData());
  const codes: number[] = [];
  const take = ({ exchanges }: Received): void => void codes.push(...exchanges.map(({ reply }) => reply.code));
  return { dialogue, output, codes, take };
}

/** Plays the replies, cut at `cuts`; the sender writes the content as soon as it may. */
function play(way: Way, replies: readonly string[], cuts: readonly number[]): Seen[] {
  const octets = utf8(replies.join(""));
  const at = [0, ...cuts.map((cut) => cut % (octets.length + 1)), octets.length].sort((a, b) => a - b);
  const seen: Seen[] = [];
  for (let index = 1; index < at.length; index++) {
    const received = way.dialogue.receive(octets.slice(at[index - 1], at[index]));
    way.take(received);
    if (received.fault === undefined && way.dialogue.position === "body") way.dialogue.endBody();
    const { position, pendingReplies, oldestPending } = way.dialogue;
    const { phase } = oldestPending ?? {};
    seen.push({ codes: [...way.codes], position, pending: pendingReplies, phase, fault: received.fault?.kind });
    if (received.fault !== undefined) break;
  }
  return seen;
}

const wire = ({ output }: Way): string => new TextDecoder().decode(concat(output.take()));

test("writes the lines that its commands write", () => {
  expect(wire(asGroup())).toBe(wire(oneByOne()));
});

test("reads any replies, cut anywhere, as its commands do", () => {
  const code = fc.constantFrom(250, 250, 250, 251, 354, 421, 450, 452, 550, 552);
  const reply = code.chain((code) => fc.constantFrom(`${code} ok\r\n`, `${code}\r\n`, `${code}-a\r\n${code} é\r\n`));
  const cuts = fc.array(fc.nat(200), { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 6 }), fc.boolean(), cuts, (rest, accepts, cuts) => {
      const envelope = Array.from({ length: 1 + RECIPIENTS }, () => "250 ok\r\n");
      const replies = accepts ? [...envelope, "354 go\r\n", ...rest.slice(0, 2)] : rest;
      expect(play(asGroup(), replies, cuts)).toEqual(play(oneByOne(), replies, cuts));
    }),
    { numRuns: 2000 },
  );
});

test("hands over the reply to DATA and the reply to the message, and no other", () => {
  const { dialogue, output } = greeted();
  const group = new Probe();
  dialogue.sendGroup(group, output);
  const handOver = ({ exchanges }: Received): void => {
    for (const { command, reply } of exchanges) if (command === group) group.dispatch(reply);
  };
  handOver(dialogue.receive(utf8("250 sender\r\n250 one\r\n550 two\r\n")));
  expect(group).toMatchObject({ handedOver: [], isEnvelopeAnswered: false, isAccepted: false });
  handOver(dialogue.receive(utf8("354 go\r\n")));
  dialogue.endBody();
  handOver(dialogue.receive(utf8("250 taken\r\n")));
  expect(group.handedOver).toEqual([354, 250]);
});

test("is refused where no transaction can begin, and writes nothing", () => {
  const { dialogue, output } = greeted();
  dialogue.send(Command.simple("QUIT"), output);
  output.take();
  expect(() => dialogue.sendGroup(new Probe(), output)).toThrow(/MAIL cannot be sent now/);
  expect(output.length).toBe(0);
});
