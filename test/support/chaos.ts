/** Random misbehaviour, the same for the same seed, for the pool's ledger and the soak. */
import { type Asked, type Behaviour, GOOD } from "../hostile/fuzz-server.ts";

/** Pseudo-random numbers from 0 to 1 (Marsaglia's xorshift32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** The probability of each kind of bad reply. */
export type Rates = {
  /** Another code, which refuses. */
  readonly refuse: number;
  /** 421, and the end. */
  readonly dismiss: number;
  /** The end before the reply, or after it, in order or not. */
  readonly hangUp: number;
  /** No reply and no end. */
  readonly stall: number;
  /** Not SMTP. */
  readonly babble: number;
  /** Late, by some turns of the event loop. */
  readonly dawdle: number;
};

const REFUSALS = ["450 later", "451 later", "452 full", "454 later", "550 no", "552 too big", "554 no"];

/** Draws the behaviour of a server in place of one reply. */
export function misbehaviour(random: () => number, rates: Rates): () => Behaviour {
  const some = <T>(list: readonly T[], otherwise: T): T => list[Math.floor(random() * list.length)] ?? otherwise;
  return () => {
    let chance = random();
    const is = (rate: number): boolean => {
      chance -= rate;
      return chance < 0;
    };
    const takes = random() < 0.5;
    if (is(rates.refuse)) return { ...GOOD, say: `${some(REFUSALS, "")}\r\n` };
    if (is(rates.dismiss)) return { ...GOOD, say: "421 too much\r\n", after: "close" };
    if (is(rates.hangUp)) {
      const after = some<Behaviour["after"]>(["close", "reset", "halfClose"], "close");
      return { ...GOOD, say: some<"good" | null>(["good", null], null), after, takes };
    }
    if (is(rates.stall)) return { ...GOOD, say: null, after: "stall", takes };
    if (is(rates.babble)) return { ...GOOD, say: some(["what?\r\n", "2\r\n", "250_ok\r\n"], ""), after: "go on" };
    if (is(rates.dawdle)) return { ...GOOD, wait: 1 + Math.floor(random() * 20) };
    return GOOD;
  };
}

/**
 * The same, drawn by the command instead of the time: the same message meets the same misbehaviour, in any order of
 * events, and also when it is sent again.
 */
export function misbehaviourByMessage(seed: number, rates: Rates): (asked: Asked) => Behaviour {
  const tries = new Map<string, number>();
  return ({ connection, reply, verb, from }) => {
    if (verb === "MAIL" && from !== undefined) tries.set(from, (tries.get(from) ?? 0) + 1);
    const what = from === undefined ? `${connection} ${reply}` : `${from} ${tries.get(from)}`;
    const key = hash(`${seed} ${verb} ${what}`);
    if (verb === "." && from !== undefined) tries.delete(from);
    return misbehaviour(seeded(key), rates)();
  };
}

/** 32 pseudo-random bits, the same for the same text (FNV-1a, and MurmurHash3's last step). */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) bits = Math.imul(bits ^ text.charCodeAt(at), 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
