/** The pool's `check()`: establishes a connection of its own, admitted through the same login gate as the pool's. */
import { onAbort } from "../client/abort.ts";
import { aborted } from "../client/session-end.ts";
import type { LoginGate, Refusal } from "./login-gate.ts";
import type { PooledConnection } from "./pooled-connection.ts";
import { isPermanent } from "./retry.ts";

/** The parts of the pool that a check needs. */
export type CheckOwner = {
  readonly gate: LoginGate;
  /** Creates a connection that the pool does not use for messages. */
  newConnection(): PooledConnection;
  /** Called when the check has logged in or failed: the pool's own connections may wait for it. */
  decided(refusal: Refusal | undefined): void;
  /** Sends QUIT without waiting for the reply. */
  quit(connection: PooledConnection): void;
};

type Signals = readonly (AbortSignal | undefined)[];

/**
 * Connects, logs in, and sends NOOP and QUIT.
 * @throws the errors of connecting, `starttls()` and `login()`, or the reason of one of the signals
 */
export async function check(owner: CheckOwner, signals: Signals): Promise<void> {
  const connection = owner.newConnection();
  await enter(owner.gate, connection, signals);
  const unlinks = signals.map((signal) => onAbort(signal, (reason) => connection.drop(aborted(reason))));
  try {
    await open(owner, connection, signals);
    await connection.noop();
  } catch (error) {
    throwIfAborted(signals);
    throw error;
  } finally {
    for (const unlink of unlinks) unlink();
    owner.quit(connection);
  }
}

/** Waits until this connection may log in. A refusal of the connection before it applies to this one, too. */
async function enter(gate: LoginGate, connection: PooledConnection, signals: Signals): Promise<void> {
  while (gate.room < 1) {
    const refusal = await resultOf(gate, signals);
    if (refusal !== undefined) throw refusal.error;
  }
  gate.enter(connection);
}

function resultOf(gate: LoginGate, signals: Signals): Promise<Refusal | undefined> {
  return new Promise((resolve, reject) => {
    const unlinks = signals.map((signal) => onAbort(signal, reject));
    void gate.result().then((refusal) => {
      for (const unlink of unlinks) unlink();
      resolve(refusal);
    });
  });
}

async function open({ gate, decided }: CheckOwner, connection: PooledConnection, signals: Signals): Promise<void> {
  try {
    throwIfAborted(signals);
    await connection.open();
  } catch (error) {
    // An abort does not mean that the login fails.
    const refusal = isPermanent(error) && !signals.some((signal) => signal?.aborted) ? { error } : undefined;
    gate.failed(connection, refusal);
    decided(refusal);
    throw error;
  }
  gate.established(connection);
  decided(undefined);
}

function throwIfAborted(signals: Signals): void {
  for (const signal of signals) signal?.throwIfAborted();
}
