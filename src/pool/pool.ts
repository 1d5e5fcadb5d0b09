/** The pool: which message goes by which connection, when connections are opened and closed, and what is done when one fails. */
import { onAbort } from "../client/abort.ts";
import type { Delivery } from "../client/outcome.ts";
import { aborted, timedOut } from "../client/session-end.ts";
import { SMTPServerDisconnected } from "../errors.ts";
import { Alarm, NEVER } from "./alarm.ts";
import { Backlog } from "./backlog.ts";
import { type CheckOwner, check } from "./check.ts";
import { Connections } from "./connections.ts";
import { Connector, type ConnectorOwner } from "./connector.ts";
import { Governor } from "./governor.ts";
import type { Job, JobQueue } from "./job.ts";
import { Lane, type LaneOwner } from "./lane.ts";
import type { PoolSettings } from "./options.ts";
import { RateLimit } from "./rate-limit.ts";
import type { PoolStats } from "./stats.ts";
import { complaintIn, foundDead, lossOf } from "./verdict.ts";

/** Sends the messages of a backlog by connections that it opens, shares out and closes. */
export class Pool implements LaneOwner {
  /** The messages. */
  readonly backlog: Backlog;
  #settings: PoolSettings;
  readonly #governor: Governor;
  readonly #rate: RateLimit | undefined;
  readonly #alarm: Alarm = new Alarm(() => this.#wake());
  readonly #connections = new Connections();
  readonly #connector: Connector;
  /** Connections that are being opened, closed or checked: who closes the pool waits for them. */
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #unlink: () => void;
  /** True once a connection has answered commands in groups: one that is lost later has other reasons. */
  #groupsProven = false;
  #sending = 0;
  #retried = 0;
  #closing: Promise<void> | undefined;
  #pumping: "not" | "once" | "again" = "not";

  constructor(settings: PoolSettings) {
    const { auth, maxConnections, maxQueue, rateLimit, reconnectFor, smtp, timeouts } = settings;
    this.#settings = settings;
    this.#governor = new Governor(maxConnections);
    this.#rate = rateLimit === undefined ? undefined : new RateLimit(rateLimit);
    this.backlog = new Backlog(
      { maxQueue, total: timeouts.total },
      {
        arrived: () => this.#arrived(),
        wakeAt: (moment) => this.#alarm.at(moment),
        whyNone: () => this.#connector.whyNone,
        busy: (isBusy) => this.#alarm.hold(isBusy),
      },
    );
    this.#connector = this.#newConnector(auth !== undefined, reconnectFor);
    // One listener for all connections: a runtime warns of many, and a pool may have many.
    this.#unlink = onAbort(smtp.signal, (reason) => {
      this.backlog.abort(reason);
      for (const lane of this.#connections.all()) lane.drop(aborted(reason));
    });
  }

  /** Numbers about the pool. */
  get stats(): PoolStats {
    const { connecting, idle, size } = this.#connections;
    const connections = size - connecting.size;
    return {
      connections,
      connecting: connecting.size,
      idle: idle.length,
      active: connections - idle.length,
      limit: this.#governor.limit,
      queued: this.backlog.waiting,
      sending: this.#sending,
      sent: this.backlog.sent,
      failed: this.backlog.failed,
      retried: this.#retried,
    };
  }

  /** What may be shown of the pool. */
  get summary(): object {
    const { endpoint, secure, starttls, auth } = this.#settings;
    const user = auth !== undefined && "user" in auth.credentials ? { user: auth.credentials.user } : {};
    const state = this.backlog.closed ? "closed" : "open";
    return { ...endpoint, state, ...(secure ? { secure } : { starttls }), ...user, stats: this.stats };
  }

  /** Connects, signs on, and says NOOP and QUIT, by a connection that is none of the pool's. */
  async check(signal: AbortSignal | undefined): Promise<void> {
    this.backlog.checkOpen();
    signal?.throwIfAborted();
    const checked = check(this.#checkOwner, [signal, this.#settings.smtp.signal]);
    this.#track(checked.catch(() => {}));
    return checked;
  }

  /** Takes no more messages, ends those that it has, and says QUIT by each connection. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  pull(lane: Lane): Job | undefined {
    const queue = this.#nextQueue;
    // An abort ends the connection: who may be aborted goes where no other message's answer is outstanding.
    if (queue.first === undefined || queue.first.abortable || !this.#moreThanOpening()) return undefined;
    if (!this.#connections.open.has(lane)) return undefined;
    if (this.#hasToGo(lane)) {
      lane.retired = true;
      return undefined;
    }
    return this.#take(queue);
  }

  began(): void {
    this.#rate?.began(performance.now());
  }

  delivered(lane: Lane, job: Job, delivery: Delivery): void {
    this.#sending--;
    this.#governor.delivered(lane.usedAt);
    this.#groupsProven ||= lane.pipeliningTrust === "proven";
    this.#connector.proven();
    this.backlog.resolve(job, delivery);
    this.#free(lane);
  }

  failed(lane: Lane, job: Job, error: unknown, first: boolean): void {
    this.#sending--;
    if (!job.begun) this.#rate?.giveBack();
    // The end of the message's own time is no fault of the connection.
    const isStillborn = first && !job.late && foundDead(error);
    if (mayGoAgain(job, error)) {
      if (job.begun) this.#retried++;
      if (lossOf(error) !== error) job.refusal = { error };
      this.#putBack(job, isStillborn ? { error } : undefined);
    } else {
      if (isStillborn) this.#connector.died(error);
      this.#hear(error);
      this.backlog.reject(job, job.late ? this.#tooLate(error) : error);
    }
    this.#free(lane);
  }

  /** The message waits before its connection counts as a failure to connect, and no other one is opened before that. */
  #putBack(job: Job, death: { readonly error: unknown } | undefined): void {
    this.#pumping = "once";
    this.backlog.putBack(job);
    if (death !== undefined) this.#connector.died(death.error);
    this.#pumping = "not";
  }

  ended(lane: Lane): void {
    if (lane.pipeliningTrust === "suspect" && !this.#groupsProven) this.#settings = inLockStep(this.#settings);
    // The connector handles connections that are not open yet.
    if (!this.#connections.open.has(lane)) return;
    this.#connections.set(lane, undefined);
    // What its first message comes to says when another connection may be opened.
    if (!lane.isUntried) this.#pump();
  }

  #arrived(): void {
    if (this.backlog.queue.length > 1 && this.#isSaturated) return;
    if (this.#waiting === 1) this.#connector.restart();
    this.#pump();
  }

  /** How many messages could be sent if there were connections. */
  get #waiting(): number {
    return this.backlog.queue.length + this.backlog.again.length;
  }

  /** True if messages wait, and each connection that there may be is at work: nothing can be done for them now. */
  get #isSaturated(): boolean {
    const { queue, again } = this.backlog;
    const { connecting, idle, size } = this.#connections;
    if (queue.first === undefined || again.first !== undefined || idle.length > 0) return false;
    return queue.length > connecting.size + 1 && size >= this.#governor.limit;
  }

  /** Does all that can be done now. It may be called from within itself: a write that fails ends a connection at once. */
  #pump(): void {
    if (this.#pumping !== "not") {
      this.#pumping = "again";
      return;
    }
    do {
      this.#pumping = "once";
      this.#shareOut();
      this.#openMore();
      this.#offerTurns();
    } while (this.#isPumpedAgain());
    this.#pumping = "not";
  }

  #isPumpedAgain(): boolean {
    return this.#pumping === "again";
  }

  /** Messages go to the idle connections; those that go again to one that has sent nothing yet, if there can be one. */
  #shareOut(): void {
    const { queue, again } = this.backlog;
    while (again.first !== undefined) {
      const { idle } = this.#connections;
      const fresh = idle.find(({ started }) => started === 0);
      const lane = fresh ?? (this.#nextQueue === again ? idle.at(-1) : undefined);
      if (lane === undefined || !this.#use(lane, again)) break;
    }
    while (queue.first !== undefined) {
      const lane = this.#connections.idle.at(-1);
      if (lane === undefined || !this.#use(lane, queue)) break;
    }
  }

  #openMore(): void {
    const { queue, again } = this.backlog;
    const { connecting, idle } = this.#connections;
    const unserved = Math.max(0, queue.length - idle.length) + again.length - connecting.size;
    if (unserved <= 0) return;
    if (again.length > 0) for (const lane of [...idle]) if (this.#hasToGo(lane)) this.#retire(lane);
    const allowed = Math.min(unserved, this.#connector.room);
    if (allowed <= 0) return;
    const now = performance.now();
    const { opensAt } = this.#connector;
    if (opensAt > now) return this.#alarm.at(opensAt);
    const startable = this.#rate === undefined ? allowed : this.#rate.available(now) - connecting.size;
    if (startable < allowed && this.#rate !== undefined) this.#alarm.at(this.#rate.next);
    for (let left = Math.min(allowed, startable); left > 0; left--) {
      const place = connecting.size;
      this.#track(this.backlog.inContextOf(place, () => this.#connector.open()));
    }
  }

  /** The messages whose turn it is on a used connection: those that go again wait for one that may be opened now. */
  get #nextQueue(): JobQueue {
    const { queue, again } = this.backlog;
    const isStuck = again.length > this.#connections.connecting.size && !this.#connector.mayOpen;
    return isStuck ? again : queue;
  }

  /** What is left when all connections are in use goes behind the messages that are on them. */
  #offerTurns(): void {
    const { first } = this.#nextQueue;
    if (first === undefined || first.abortable || !this.#moreThanOpening()) return;
    for (const lane of this.#connections.open) if (lane.inFlight > 0) lane.offer();
  }

  /** True if more messages wait than there are connections being opened, each of which will take one. */
  #moreThanOpening(): boolean {
    return this.#waiting > this.#connections.connecting.size;
  }

  /** Sends the next message by an idle connection, or closes that if its time is over; false if nothing can be sent now. */
  #use(lane: Lane, queue: JobQueue): boolean {
    // The clock, since the timer may be late: the server may have given up what rests for too long.
    if (this.#restsUntil(lane) <= performance.now() || this.#hasToGo(lane)) {
      this.#retire(lane);
      return true;
    }
    const job = this.#take(queue);
    if (job === undefined) return false;
    this.#connections.leaveIdle(lane);
    lane.send(job);
    return true;
  }

  /** The next message, and a token for it. */
  #take(queue: JobQueue): Job | undefined {
    if (this.#rate !== undefined && !this.#rate.take(performance.now())) {
      this.#alarm.at(this.#rate.next);
      return undefined;
    }
    this.#sending++;
    return this.backlog.take(queue);
  }

  /** A message's turn is over. */
  #free(lane: Lane): void {
    if (lane.inFlight === 0 && this.#connections.open.has(lane)) {
      if (this.#hasToGo(lane)) this.#retire(lane);
      else this.#rest(lane);
    } else if (this.#isSaturated) return;
    this.#pump();
  }

  #rest(lane: Lane): void {
    this.#connections.idle.push(lane);
    lane.rest();
    this.#alarm.at(this.#restsUntil(lane));
  }

  #restsUntil(lane: Lane): number {
    const { idleTimeout, maxLifetime } = this.#settings;
    return Math.min(lane.usedAt + idleTimeout, lane.openedAt + maxLifetime);
  }

  /** True if a connection should take no more messages: it is used up or old, or there are more than there may be. */
  #hasToGo(lane: Lane): boolean {
    const { maxLifetime } = this.#settings;
    if (lane.retired || (maxLifetime !== NEVER && performance.now() >= lane.openedAt + maxLifetime)) return true;
    // A message that goes again needs the room of one that has been used, if another one can be opened then.
    const { connecting, size } = this.#connections;
    const isInTheWay = lane.started > 0 && this.backlog.again.length > connecting.size && this.#connector.mayOpen;
    const room = this.#governor.limit - (isInTheWay ? 1 : 0);
    return size > room && this.#connections.usable + connecting.size > room;
  }

  /** What the server complains of is not asked for so soon again. */
  #hear(error: unknown): void {
    const complaint = complaintIn(error);
    if (complaint === "complaint") this.#governor.complained(this.#connections.size, performance.now());
    else if (complaint === "refusal") this.#governor.refused(this.#connections.size, performance.now());
  }

  /** Says QUIT; the connection has its place until that is answered. */
  #retire(lane: Lane): void {
    this.#connections.set(lane, "closing");
    this.#track(this.#goodbye(lane));
  }

  async #goodbye(lane: Lane): Promise<void> {
    const { gone } = await lane.quit();
    this.#connections.set(lane, undefined);
    this.#pump();
    await gone;
  }

  #wake(): void {
    const now = performance.now();
    this.#alarm.at(this.backlog.expire(now));
    for (const lane of [...this.#connections.idle]) {
      if (this.#restsUntil(lane) <= now) this.#retire(lane);
      else this.#alarm.at(this.#restsUntil(lane));
    }
    this.#connector.wake(now);
    this.#pump();
  }

  #newConnector(hasLogin: boolean, reconnectFor: number): Connector {
    const owner: ConnectorOwner = {
      waiting: () => this.#waiting,
      newLane: () => new Lane(this, this.#settings),
      opened: (lane) => this.#rest(lane),
      waitingSince: () => this.backlog.waitingSince,
      reject: (error, cameBy) => this.backlog.rejectWaiting(error, cameBy),
      quit: (lane) => this.#goodbye(lane),
      pump: () => this.#pump(),
      wakeAt: (moment) => this.#alarm.at(moment),
    };
    return new Connector(owner, {
      connections: this.#connections,
      governor: this.#governor,
      hasLogin,
      reconnectFor,
    });
  }

  get #checkOwner(): CheckOwner {
    return {
      gate: this.#connector.gate,
      newLane: () => new Lane(this, this.#settings),
      decided: (refusal) => {
        if (refusal !== undefined) this.#connector.refuse(refusal.error);
        this.#pump();
      },
      quit: (lane) => this.#track(this.#goodbye(lane)),
    };
  }

  async #close(): Promise<void> {
    this.backlog.close();
    await this.backlog.drain();
    this.#connector.drop();
    for (const lane of [...this.#connections.idle]) this.#retire(lane);
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    this.#alarm.stop();
    this.#unlink();
  }

  #track(work: Promise<unknown>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  #tooLate(error: unknown): unknown {
    if (!(error instanceof SMTPServerDisconnected)) return error;
    return timedOut("total", this.#settings.timeouts.total).toError(error);
  }
}

/** For the connections to come. */
function inLockStep(settings: PoolSettings): PoolSettings {
  return { ...settings, smtp: { ...settings.smtp, pipelining: false } };
}

/** Only what was certainly not sent, once, and not what cannot be read a second time. */
function mayGoAgain(job: Job, error: unknown): boolean {
  if (job.late || job.signal?.aborted === true || !foundDead(error)) return false;
  return !job.begun || (!job.retried && !job.contentBegun);
}
