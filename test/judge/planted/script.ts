/** The helpers with which planted faults are written. */
import type { Reported } from "../outcomes.ts";
import type { Script } from "../play.ts";
import type { Circumstances } from "../transcript.ts";

/** A transcript without a fault. */
export type Faultless = {
  readonly name: string;
  readonly script: Script;
  readonly circumstances?: Partial<Circumstances>;
  readonly reported?: Reported;
};

/** A transcript with one fault, and the rule that the judge has to name. */
export type Planted = Faultless & {
  readonly rule: RegExp;
  /** Rules that the consequences of the fault break. */
  readonly also?: RegExp;
};

/** A greeting and EHLO with these extensions. */
export const hello = (...extensions: string[]): string =>
  ["S: 220 hi", "C: EHLO client.test", ...ehlo(...extensions)].join("\n");

/** The reply to EHLO. */
export const ehlo = (...extensions: string[]): string[] => {
  const lines = ["hi", ...extensions];
  return lines.map((line, index) => `S: 250${index < lines.length - 1 ? "-" : " "}${line}`);
};

export const lhlo = "S: 220 hi\nC: LHLO client.test\nS: 250 hi";
export const envelope = "C: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@y.test>\nS: 250 ok";
export const toContent: string = `${envelope}\nC: DATA\nS: 354 go`;
export const message: string = `${toContent}\nC: Subject: x\nC+ .\nS: 250 ok`;
