/** Opens a pool's connections: how many at a time, when to try again after a failure, and when what waits is rejected. */
import type { Connections } from "./connections.ts";
import type { Governor } from "./governor.ts";
import type { Lane } from "./lane.ts";
import { LoginGate } from "./login-gate.ts";
import { Reconnection } from "./reconnection.ts";
import { complaintIn, isLasting, lossOf } from "./verdict.ts";

/** The pool, as far as its connector concerns it. */
export type ConnectorOwner = {
  /** How many messages could be sent if there were connections. */
  waiting(): number;
  /** A connection that is not opened yet. */
  newLane(): Lane;
  /** A connection has signed on. */
  opened(lane: Lane): void;
  /** When the message came that waits longest, as far as that matters; never, if none waits. */
  waitingSince(): number;
  /** None of the messages that wait will be sent; or none of those that came by this moment. */
  reject(error: unknown, cameBy?: number): void;
  /** Says QUIT by a connection that could not be opened, and forgets it. */
  quit(lane: Lane): Promise<void>;
  /** Looks for what can be done now. */
  pump(): void;
  /** Calls `wake()` at this moment. */
  wakeAt(moment: number): void;
};

/** What there is to know of a connector besides its owner. */
export type ConnectorSettings = {
  readonly connections: Connections;
  readonly governor: Governor;
  /** True if connections log in. */
  readonly hasLogin: boolean;
  /** Milliseconds. */
  readonly reconnectFor: number;
};

/** So many connections may be lost at their first message, one after the other, before a pause. */
const DEATHS_WITHOUT_PAUSE = 32;

/** Opens connections. */
export class Connector {
  /** Whether connections may sign on at the same time. */
  readonly gate: LoginGate;
  readonly #owner: ConnectorOwner;
  readonly #connections: Connections;
  readonly #governor: Governor;
  readonly #reconnection: Reconnection;
  readonly #triesOnce: boolean;
  /** How many connections were lost at their first message since a message was sent. */
  #deaths = 0;
  /** True from a connection that died at its first message until a message is sent: one at a time has to prove itself. */
  #isInDoubt = false;

  constructor(owner: ConnectorOwner, { connections, governor, hasLogin, reconnectFor }: ConnectorSettings) {
    this.#owner = owner;
    this.#connections = connections;
    this.#governor = governor;
    this.gate = new LoginGate(hasLogin);
    this.#reconnection = new Reconnection(reconnectFor);
    this.#triesOnce = reconnectFor === 0;
  }

  /** How many more connections may be opened now, by what the others have met. */
  get room(): number {
    const { connecting, size } = this.#connections;
    const room = Math.min(this.#governor.limit - size, this.gate.room);
    if (this.#isInDoubt) return Math.min(room, 1 - connecting.size - this.#connections.untried);
    return this.#reconnection.isUnderWay ? Math.min(room, 1 - connecting.size) : room;
  }

  /** When they may be opened, by `performance.now()`. */
  get opensAt(): number {
    const { isUnderWay, nextAt } = this.#reconnection;
    return isUnderWay ? nextAt : this.#governor.opensAt(this.#connections.size);
  }

  /** False if no connection may be opened now, even if another one were closed for it. */
  get mayOpen(): boolean {
    return this.gate.room > 0 && this.opensAt <= performance.now();
  }

  /** A message waits, and none did before: it has the whole of the time. */
  restart(): void {
    if (this.#reconnection.isUnderWay) this.#reconnection.restart(performance.now());
  }

  /** Opens a connection; resolves when that is over, one way or the other. */
  async open(): Promise<void> {
    const lane = this.#owner.newLane();
    this.#connections.set(lane, "connecting");
    this.gate.enter(lane);
    try {
      await lane.open();
      if (lane.end !== undefined) throw lane.end.toError({});
    } catch (error) {
      return this.#failed(lane, error);
    }
    this.gate.signedOn(lane);
    this.#reconnection.opened(performance.now());
    this.#connections.set(lane, "open");
    this.#governor.opened(this.#connections.open.size);
    this.#owner.opened(lane);
    this.#owner.pump();
  }

  /**
   * A reason that any other connection would meet: rejects what waits. While there are open connections, they send it
   * instead: the server may only have too many connections, and those that are signing on may succeed.
   */
  refuse(error: unknown): void {
    const { connecting, usable } = this.#connections;
    if (usable > 0) return this.#governor.full(usable + connecting.size, performance.now());
    this.drop();
    this.#reconnection.reset();
    this.#owner.reject(error);
  }

  /**
   * A connection was lost before the first message on it could be sent: from now on one connection at a time has to prove
   * itself. A message goes a second time at most, so that the first losses need no pause; after more of them in a row, it
   * is as good as a failure to connect.
   */
  died(error: unknown): void {
    const { connecting, usable } = this.#connections;
    if (usable > 0 && complaintIn(error) === undefined) return;
    if (usable > 0) return this.#governor.full(usable + connecting.size, performance.now());
    this.#isInDoubt = true;
    if (++this.#deaths > DEATHS_WITHOUT_PAUSE || this.#triesOnce) this.#tryAgain(error);
  }

  /** A message was sent: the server can do more than open connections. */
  proven(): void {
    this.#isInDoubt = false;
    this.#deaths = 0;
    this.#reconnection.reset();
  }

  /** Gives up opening those that are being opened. */
  drop(): void {
    for (const lane of [...this.#connections.connecting]) {
      this.#connections.set(lane, "closing");
      lane.drop();
    }
  }

  /** Why no connection can be made at present; undefined if that is not so. */
  get whyNone(): { readonly error: unknown } | undefined {
    return this.#reconnection.isUnderWay ? { error: this.#reconnection.lastError } : undefined;
  }

  /** Rejects what could get no connection for too long; connections begun before the first failure are awaited. */
  wake(now: number): void {
    const { isUnderWay, lastError, since } = this.#reconnection;
    if (!isUnderWay) return;
    const endsAt = this.#endsAt;
    if (now < endsAt) return this.#owner.wakeAt(endsAt);
    for (const { begunAt } of this.#connections.connecting) if (begunAt <= since) return;
    this.#owner.reject(lastError, this.#reconnection.cameBy(now));
    if (this.#owner.waiting() === 0) this.#reconnection.reset();
    else this.#owner.wakeAt(this.#endsAt);
  }

  /** When to give up for the message that waits longest. */
  get #endsAt(): number {
    return this.#reconnection.endsAt(this.#cameAt);
  }

  get #cameAt(): number {
    return this.#owner.waiting() === 0 ? 0 : this.#owner.waitingSince();
  }

  /** What waits hears of it at once; the connection has its place until it is closed. */
  async #failed(lane: Lane, error: unknown): Promise<void> {
    const isGivenUp = !this.#connections.connecting.has(lane);
    const refusal = isLasting(error) && !isGivenUp ? { error } : undefined;
    this.#connections.set(lane, "closing");
    this.gate.left(lane, refusal);
    if (refusal !== undefined) this.refuse(error);
    else if (!isGivenUp) this.#tryAgain(error);
    this.#owner.pump();
    await this.#owner.quit(lane);
  }

  /** Open connections have to do for now; without any, messages wait for the next try. */
  #tryAgain(error: unknown): void {
    const now = performance.now();
    const { connecting, open, usable } = this.#connections;
    const complaint = complaintIn(error);
    if (open.size > 0 || complaint !== undefined) this.#governor.full(usable + connecting.size, now);
    // One that sends its last message makes room for another.
    if (open.size > 0) return;
    if (this.#owner.waiting() === 0) return this.#reconnection.reset();
    this.#reconnection.failed(lossOf(error), complaint === "complaint", now, this.#cameAt);
    this.wake(now);
  }
}
