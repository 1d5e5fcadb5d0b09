/**
 * The scripts: every place of the dialogue with every class of reply, as data. Most scripts have one fault. Places
 * without a reply in the script have those of a friendly server.
 */

/** A place of the dialogue at which the server replies. "." is the end of the message, "body" its middle. */
export type Place = "greeting" | "EHLO" | "HELO" | "MAIL" | "RCPT" | "DATA" | "body" | "." | "QUIT";

/** The server's action in place of one reply. */
export type Reaction = {
  /** The text that it sends; `{good}` represents the right reply with its line end, `{bare}` the same without it. */
  readonly says: string;
  /** The next action. "silence": the server continues to read, but sends nothing more. */
  readonly next?: "close" | "reset" | "silence";
  /** At ".": whether it accepts the message. Default: if it sends a complete 2yz reply. */
  readonly takes?: boolean;
};

/** One script; each client gets a separate server. */
export type Script = {
  readonly id: string;
  /** The row of the table to which it belongs. */
  readonly group: Place | "recipients" | "LMTP";
  /** The fault, in words. */
  readonly fault: string;
  readonly protocol: "smtp" | "lmtp";
  /** The EHLO keywords that are offered. */
  readonly offers: readonly string[];
  readonly recipients: number;
  /** The approximate number of bytes of the message. */
  readonly bytes: number;
  /**
   * The faults of the first connection: a place, or "RCPT 2" for the second of its kind. Later connections have none.
   */
  readonly reactions: { readonly [place: string]: Reaction };
};

/** Sets of EHLO keywords, each with a message that is large enough to make a client use them. */
const OFFERS: readonly { readonly name: string; readonly keywords: readonly string[]; readonly bytes: number }[] = [
  { name: "lock-step", keywords: [], bytes: 200 },
  { name: "pipelining", keywords: ["PIPELINING", "8BITMIME"], bytes: 200 },
  { name: "chunking", keywords: ["PIPELINING", "CHUNKING", "SIZE 10485760", "8BITMIME"], bytes: 100_000 },
];
const [LOCK_STEP, PIPELINING, CHUNKING] = OFFERS;

/** Reactions for any place. */
const REACTIONS: Readonly<Record<string, Reaction>> = {
  "another 2yz": { says: "252 2.5.0 as good\r\n" },
  "a 3yz": { says: "334 go on\r\n" },
  "a 4yz": { says: "451 4.3.0 later\r\n" },
  "a 5yz": { says: "550 5.7.1 no\r\n" },
  "421, then a close": { says: "421 4.3.2 not now\r\n", next: "close" },
  "421, and no close": { says: "421 4.3.2 not now\r\n" },
  "the right code without text": { says: "{code}\r\n" },
  "the right reply with a bare LF": { says: "{bare}\n" },
  "text without a code": { says: "what do you want\r\n", next: "silence" },
  "a code that does not exist": { says: "999 what\r\n" },
  "half of the right reply, then a close": { says: "{bare}", next: "close" },
  "half of the right reply, then silence": { says: "{bare}", next: "silence" },
  "the first line of many, then a close": { says: "{code}-one\r\n", next: "close" },
  "lines with two codes": { says: "{code}-one\r\n550 two\r\n" },
  "a close": { says: "", next: "close" },
  "a reset": { says: "", next: "reset" },
  silence: { says: "", next: "silence" },
  "the right reply and a 250 more": { says: "{good}250 2.0.0 more\r\n" },
  "the right reply and a 554 more": { says: "{good}554 5.3.0 more\r\n" },
  "the right reply, then a close": { says: "{good}", next: "close" },
};

/** Reactions after which only the server knows whether it accepted the message: both cases are played. */
const UNCERTAIN: ReadonlySet<string> = new Set([
  "a 3yz",
  "text without a code",
  "a code that does not exist",
  "half of the right reply, then a close",
  "half of the right reply, then silence",
  "the first line of many, then a close",
  "lines with two codes",
  "a close",
  "a reset",
  "silence",
]);

/** A reply of each class to a recipient. */
const REPLIES: Readonly<Record<string, Reaction>> = {
  yes: { says: "{good}" },
  later: { says: "450 4.2.0 later\r\n" },
  no: { says: "550 5.1.1 no such user\r\n" },
};

/** All scripts. */
export function allScripts(): Script[] {
  return [
    ...beforeTheEnvelope(),
    ...OFFERS.flatMap((offer) => [...inTheEnvelope(offer), ...atTheEnd(offer), ...atQuit(offer)]),
    ...inTheBody(),
    ...helo(),
    ...recipientMixes(),
    ...impostors(),
    ...lmtp(),
  ];
}

type Offer = (typeof OFFERS)[number];

/** A script from its parts, with defaults for the others. */
function script(
  group: Script["group"],
  fault: string,
  reactions: Script["reactions"],
  offer: Offer | undefined,
  more: Partial<Script> = {},
): Script {
  const { name, keywords, bytes } = offer ?? { name: "", keywords: [], bytes: 200 };
  const { protocol = "smtp", recipients = 1 } = more;
  return {
    id: [group, fault, name].filter((part) => part !== "").join(" · "),
    group,
    fault,
    protocol,
    offers: keywords,
    recipients,
    bytes,
    reactions,
    ...more,
  };
}

function each(make: (fault: string, reaction: Reaction) => Script[]): Script[] {
  return Object.entries(REACTIONS).flatMap(([fault, reaction]) => make(fault, reaction));
}

function beforeTheEnvelope(): Script[] {
  return each((fault, reaction) => [
    script("greeting", fault, { greeting: reaction }, undefined),
    script("EHLO", fault, { EHLO: reaction }, undefined),
  ]);
}

function inTheEnvelope(offer: Offer): Script[] {
  return each((fault, reaction) => [
    script("MAIL", fault, { MAIL: reaction }, offer),
    script("RCPT", fault, { RCPT: reaction }, offer),
    script("RCPT", `${fault} (to the second of three)`, { "RCPT 2": reaction }, offer, { recipients: 3 }),
    script("DATA", fault, { DATA: reaction }, offer),
  ]);
}

function atTheEnd(offer: Offer): Script[] {
  return each((fault, reaction) => {
    if (!UNCERTAIN.has(fault)) return [script(".", fault, { ".": reaction }, offer)];
    return [true, false].map((takes) =>
      script(".", `${fault} (${takes ? "taken" : "not taken"})`, { ".": { ...reaction, takes } }, offer),
    );
  });
}

function atQuit(offer: Offer): Script[] {
  return each((fault, reaction) => [script("QUIT", fault, { QUIT: reaction }, offer)]);
}

/** The server interrupts a message that it would refuse at its end. */
function inTheBody(): Script[] {
  const interruptions: Readonly<Record<string, Reaction>> = {
    "552, and reads on": { says: "552 5.3.4 too big\r\n", next: "silence" },
    "552, then a close": { says: "552 5.3.4 too big\r\n", next: "close" },
    "452, then a close": { says: "452 4.3.1 full\r\n", next: "close" },
    "421, then a close": { says: "421 4.3.2 not now\r\n", next: "close" },
    "a close": { says: "", next: "close" },
    "a reset": { says: "", next: "reset" },
    // Larger than the buffers between the two ends: the client still has a part of it when the 250 arrives.
    [IMPOSTOR]: { says: "250 2.0.0 queued\r\n" },
  };
  const no = { says: "554 5.7.1 no\r\n" };
  return [LOCK_STEP, CHUNKING].flatMap((offer) =>
    Object.entries(interruptions).map(([fault, reaction]) =>
      script("body", fault, { body: reaction, ".": no }, offer, { bytes: fault === IMPOSTOR ? 24_000_000 : 1_000_000 }),
    ),
  );
}

const IMPOSTOR = "a 250, and a 554 at the end";

function helo(): Script[] {
  const refused = { says: "502 5.5.1 what\r\n" };
  return ["a 4yz", "a 5yz", "421, then a close", "a close", "silence", "text without a code"].map((fault) =>
    script("HELO", fault, { EHLO: refused, HELO: REACTIONS[fault] ?? refused }, undefined),
  );
}

/** Three recipients, each accepted, deferred or refused. */
function recipientMixes(): Script[] {
  const answers = Object.entries(REPLIES);
  return answers.flatMap(([one, first]) =>
    answers.flatMap(([two, second]) =>
      answers.map(([three, third], index) =>
        script(
          "recipients",
          `${one}, ${two}, ${three}`,
          { "RCPT 1": first, "RCPT 2": second, "RCPT 3": third },
          index % 2 === 0 ? LOCK_STEP : PIPELINING,
          { recipients: 3 },
        ),
      ),
    ),
  );
}

/** Replies that arrive too early to be what they seem; the right reply is a refusal. */
function impostors(): Script[] {
  const no = { says: "554 5.7.1 refused\r\n" };
  const early = { says: "{good}250 2.0.0 queued\r\n" };
  return OFFERS.flatMap((offer) => [
    script(".", "refused, behind a 250 that came with the 354", { DATA: early, ".": no }, offer),
    script(".", "refused, behind a 250 that came with RCPT's", { RCPT: early, ".": no }, offer),
    script(".", "refused, and a 250 behind it", { ".": { says: "554 5.7.1 no\r\n250 2.0.0 queued\r\n" } }, offer),
    script("RCPT", "refused, and a 250 behind it", { RCPT: { says: "550 5.1.1 no\r\n250 2.1.5 ok\r\n" } }, offer),
    script("DATA", "354 although the only recipient was refused", { RCPT: no, DATA: { says: "354 go on\r\n" } }, offer),
    script(
      "DATA",
      "354 and a 250 although the only recipient was refused",
      { RCPT: no, DATA: { says: "354 go on\r\n" }, ".": { says: "250 2.0.0 queued\r\n", takes: false } },
      offer,
    ),
  ]);
}

/** Each recipient has a reply of its own after the data (RFC 2033 4.2). */
function lmtp(): Script[] {
  const { yes, later, no } = REPLIES;
  const bye: Reaction = { says: "", next: "close" };
  const quiet: Reaction = { says: "", next: "silence" };
  const mixes: readonly [fault: string, ...replies: (Reaction | undefined)[]][] = [
    ["yes, yes, yes", yes, yes, yes],
    ["yes, no, later", yes, no, later],
    ["no, yes, no", no, yes, no],
    ["later, later, yes", later, later, yes],
    ["no, no, no", no, no, no],
    ["later, later, later", later, later, later],
    ["yes, then a close (the others not taken)", yes, { ...bye, takes: false }],
    ["yes, then a close (the second taken)", yes, { ...bye, takes: true }],
    ["yes, then silence (the others not taken)", yes, { ...quiet, takes: false }],
    ["no, then a close (the others not taken)", no, { ...bye, takes: false }],
    ["a close (not taken)", { ...bye, takes: false }],
    ["yes, half a reply, then a close (the second taken)", yes, { says: "{bare}", next: "close", takes: true }],
    ["yes, 421, then a close", yes, { says: "421 4.3.2 not now\r\n", next: "close" }],
    ["yes, yes, yes and a 250 more", yes, yes, { says: "{good}250 2.0.0 more\r\n" }],
  ];
  return [LOCK_STEP, PIPELINING].flatMap((offer) =>
    mixes.map(([fault, ...replies]) => {
      const given = replies.flatMap((reply, index) =>
        reply === undefined ? [] : [[`. ${index + 1}`, reply] as const],
      );
      return script("LMTP", fault, Object.fromEntries(given), offer, { protocol: "lmtp", recipients: 3 });
    }),
  );
}

/** The parts of a script's mail: its header, and a line with its number of repetitions. */
export function mailOf(script: Script): { readonly header: string; readonly line: string; readonly lines: number } {
  const line = "A line of the message that is as long as most lines of a message are.\r\n";
  return {
    header: "From: a@client.test\r\nTo: r1@lab.test\r\nSubject: a script\r\n\r\n",
    line,
    lines: Math.ceil(script.bytes / line.length),
  };
}
