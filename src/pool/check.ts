/** A pool's `check()`: signs on by a connection of its own, in its turn with those of the pool. */
import { onAbort } from "../client/abort.ts";
import { aborted } from "../client/session-end.ts";
import type { Lane } from "./lane.ts";
import type { LoginGate, Refusal } from "./login-gate.ts";
import { isLasting } from "./verdict.ts";

/** The pool, as far as a check concerns it. */
export type CheckOwner = {
  readonly gate: LoginGate;
  /** A connection that is none of the pool's. */
  newLane(): Lane;
  /** The check has signed on, or not; the pool's own connections may wait for that. */
  decided(refusal: Refusal | undefined): void;
  /** Says QUIT, and waits for nothing. */
  quit(lane: Lane): void;
};

type Signals = readonly (AbortSignal | undefined)[];

/**
 * Connects, signs on, and says NOOP and QUIT.
 * @throws what connecting, `starttls()` and `login()` throw, or the reason of one of the signals
 */
export async function check(owner: CheckOwner, signals: Signals): Promise<void> {
  const lane = owner.newLane();
  await enter(owner.gate, lane, signals);
  const unlinks = signals.map((signal) => onAbort(signal, (reason) => lane.drop(aborted(reason))));
  try {
    await signOn(owner, lane, signals);
    await lane.noop();
  } catch (error) {
    throwIfAborted(signals);
    throw error;
  } finally {
    for (const unlink of unlinks) unlink();
    owner.quit(lane);
  }
}

/** Waits until this connection may sign on; the refusal of the one before it is its own. */
async function enter(gate: LoginGate, lane: Lane, signals: Signals): Promise<void> {
  while (gate.room < 1) {
    const refusal = await verdictOf(gate, signals);
    if (refusal !== undefined) throw refusal.error;
  }
  gate.enter(lane);
}

function verdictOf(gate: LoginGate, signals: Signals): Promise<Refusal | undefined> {
  return new Promise((resolve, reject) => {
    const unlinks = signals.map((signal) => onAbort(signal, reject));
    void gate.verdict().then((refusal) => {
      for (const unlink of unlinks) unlink();
      resolve(refusal);
    });
  });
}

async function signOn({ gate, decided }: CheckOwner, lane: Lane, signals: Signals): Promise<void> {
  try {
    throwIfAborted(signals);
    await lane.open();
  } catch (error) {
    // An abort says nothing of the login.
    const refusal = isLasting(error) && !signals.some((signal) => signal?.aborted) ? { error } : undefined;
    gate.left(lane, refusal);
    decided(refusal);
    throw error;
  }
  gate.signedOn(lane);
  decided(undefined);
}

function throwIfAborted(signals: Signals): void {
  for (const signal of signals) signal?.throwIfAborted();
}
