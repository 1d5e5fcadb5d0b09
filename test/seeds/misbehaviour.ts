/** Draws the server's faults in place of replies. */
import type { Random } from "./random.ts";
import type { FaultKind, Faults, Stage } from "./scenario.ts";

/** A fault, as it is performed. */
export type Misbehaviour = {
  readonly kind: FaultKind;
  /** The text in place of the reply; undefined: the reply itself, or nothing. */
  readonly text?: string | undefined;
  /** The next event. */
  readonly andThen?: "fin" | "reset" | "silence" | undefined;
  /** The delay in milliseconds. */
  readonly ms?: number | undefined;
  /** Whether the server accepts a message without a reply. */
  readonly takes?: boolean | undefined;
};

const TEMPORARY = ["450 4.2.0 mailbox busy\r\n", "451 4.3.0 later\r\n", "452 4.2.2 full\r\n", "454 later\r\n"] as const;
const PERMANENT = ["550 5.1.1 no\r\n", "552 5.2.2 too big\r\n", "554 5.7.1 no\r\n", "500 5.5.2 what\r\n"] as const;
const OVERLOAD = ["450 4.7.0 slow down\r\n", "451 4.3.2 busy\r\n", "454 4.7.0 later\r\n", "451 try again\r\n"] as const;
const NO_REPLIES = ["what?\r\n", "2\r\n", "250_ok\r\n", "999 no\r\n"] as const;

/** The draws of one connection. */
export class FaultDraw {
  readonly #random: Random;
  readonly #sets: readonly Faults[];
  readonly #isActive: () => boolean;
  readonly #latency: readonly [least: number, most: number];

  constructor(random: Random, sets: readonly Faults[], latency: readonly [number, number], isActive: () => boolean) {
    this.#random = random;
    this.#sets = sets;
    this.#latency = latency;
    this.#isActive = isActive;
  }

  /** Whether faults are possible now. */
  get isActive(): boolean {
    return this.#isActive();
  }

  latency(): number {
    return this.#random.between(...this.#latency);
  }

  /** The fault at a point; undefined: none. */
  fault(stage: Stage): Misbehaviour | undefined {
    if (!this.isActive) return undefined;
    for (const { kinds, probability, stages } of this.#sets) {
      const [first, ...others] = kinds;
      if (first === undefined || !stages.includes(stage) || !this.#random.chance(probability)) continue;
      return this.#fault(this.#random.pick(first, ...others));
    }
    return undefined;
  }

  dies(): "421" | "end" {
    return this.#random.pick("421", "end", "end");
  }

  ending(): "fin" | "reset" {
    return this.#random.pick("fin", "reset");
  }

  #fault(kind: FaultKind): Misbehaviour {
    const random = this.#random;
    const takes = random.chance(0.5);
    const ms = random.pick(0, 1, 30, 700, 4_000);
    switch (kind) {
      case "4yz":
        return { kind, text: random.pick(...TEMPORARY) };
      case "5yz":
        return { kind, text: random.pick(...PERMANENT) };
      case "throttle":
        return { kind, text: random.pick(...OVERLOAD) };
      case "421":
        return { kind, text: "421 4.3.2 going down\r\n", andThen: "fin", ms };
      case "garbage":
        return { kind, text: random.pick(...NO_REPLIES), takes };
      case "drop before":
      case "drop after":
      case "cut":
        return { kind, andThen: this.ending(), takes, ms };
      case "stall":
      case "freeze":
        return { kind, andThen: "silence", takes, ms };
      case "slow":
        return { kind, ms };
      case "stray":
        return { kind, ms };
    }
  }
}
