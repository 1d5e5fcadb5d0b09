/** Assigns messages to connections, opens and closes connections, and handles their failures. */
import { onAbort } from "../client/abort.ts";
import type { Delivery } from "../client/outcome.ts";
import { aborted, timedOut } from "../client/session-end.ts";
import { SMTPServerDisconnected } from "../errors.ts";
import { type CheckOwner, check } from "./check.ts";
import { Connections } from "./connections.ts";
import { Connector, type ConnectorOwner } from "./connector.ts";
import type { Job, JobList } from "./job.ts";
import { type PoolSettings, withoutPipelining } from "./options.ts";
import { type ConnectionOwner, PooledConnection } from "./pooled-connection.ts";
import { MessageQueue } from "./queue.ts";
import { RateLimit } from "./rate-limit.ts";
import { complaintIn, connectionLossOf, isDeadConnection, mayRetry } from "./retry.ts";
import type { PoolStats } from "./stats.ts";
import { Throttle } from "./throttle.ts";
import { NEVER, Timer } from "./timer.ts";

/** Sends the messages of a queue over connections that it opens and closes. */
export class Dispatcher implements ConnectionOwner {
  /** The unsettled messages. */
  readonly queue: MessageQueue;
  #settings: PoolSettings;
  readonly #throttle: Throttle;
  readonly #rate: RateLimit | undefined;
  readonly #timer: Timer = new Timer(() => this.#wake());
  readonly #connections = new Connections();
  readonly #connector: Connector;
  /** Connections that are being opened, closed or checked: `close()` waits for them. */
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #unlink: () => void;
  /** True once the server answered a group of commands: a later loss of a connection has another reason. */
  #groupsProven = false;
  #sending = 0;
  #retried = 0;
  #closing: Promise<void> | undefined;
  #scheduling: "idle" | "running" | "requested" = "idle";

  constructor(settings: PoolSettings) {
    const { auth, maxConnections, maxQueue, rateLimit, reconnectFor, smtp, timeouts } = settings;
    this.#settings = settings;
    this.#throttle = new Throttle(maxConnections);
    this.#rate = rateLimit === undefined ? undefined : new RateLimit(rateLimit);
    this.queue = new MessageQueue(
      { maxQueue, total: timeouts.total },
      {
        arrived: () => this.#arrived(),
        wakeAt: (time) => this.#timer.schedule(time),
        connectError: () => this.#connector.connectError,
        hasFailed: () => this.#connector.hasFailed,
        busy: (isBusy) => this.#timer.hold(isBusy),
      },
    );
    this.#connector = this.#newConnector(auth !== undefined, reconnectFor);
    // One listener for all connections: runtimes warn about many listeners.
    this.#unlink = onAbort(smtp.signal, (reason) => {
      this.queue.abort(reason);
      for (const connection of this.#connections.all()) connection.drop(aborted(reason));
    });
  }

  /** The pool's counts. */
  get stats(): PoolStats {
    const { connecting, idle, size } = this.#connections;
    const connections = size - connecting.size;
    return {
      connections,
      connecting: connecting.size,
      idle: idle.length,
      active: connections - idle.length,
      limit: this.#throttle.limit,
      queued: this.queue.size,
      sending: this.#sending,
      sent: this.queue.sent,
      failed: this.queue.failed,
      retried: this.#retried,
    };
  }

  /** The state of the pool without secrets, for `console.log`. */
  get summary(): object {
    const { endpoint, secure, starttls, auth } = this.#settings;
    const user = auth !== undefined && "user" in auth.credentials ? { user: auth.credentials.user } : {};
    const state = this.queue.closed ? "closed" : "open";
    return { ...endpoint, state, ...(secure ? { secure } : { starttls }), ...user, stats: this.stats };
  }

  /** Connects, logs in, and sends NOOP and QUIT on a connection that carries no messages. */
  async check(signal: AbortSignal | undefined): Promise<void> {
    this.queue.checkOpen();
    signal?.throwIfAborted();
    const checked = check(this.#checkOwner, [signal, this.#settings.smtp.signal]);
    this.#track(checked.catch(() => {}));
    return checked;
  }

  /** Accepts no more messages, settles those it has, and sends QUIT on each connection. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Returns the next message that may follow those on this connection; a used-up connection gets none. */
  next(connection: PooledConnection): Job | undefined {
    const list = this.#nextList;
    // An abort ends the connection, so an abortable message must not follow messages that wait for replies.
    if (list.first === undefined || list.first.abortable || !this.#exceedsConnecting()) return undefined;
    if (!this.#connections.open.has(connection)) return undefined;
    if (this.#isExpired(connection)) {
      connection.retired = true;
      return undefined;
    }
    return this.#take(list);
  }

  /** Records that a message begins, for the rate limit. */
  began(): void {
    this.#rate?.began(performance.now());
  }

  /** Settles a delivered message, and gives its connection the next one. */
  delivered(connection: PooledConnection, job: Job, delivery: Delivery): void {
    this.#sending--;
    this.#throttle.delivered(connection.usedAt);
    this.#groupsProven ||= connection.pipeliningTrust === "proven";
    this.#connector.delivered();
    this.queue.resolve(job, delivery);
    this.#release(connection);
  }

  /** Rejects a message, or requeues it if it was certainly not sent; then gives its connection the next one. */
  failed(connection: PooledConnection, job: Job, error: unknown, first: boolean): void {
    this.#sending--;
    if (!job.begun) this.#rate?.giveBack();
    // The message's own deadline does not indicate a dead connection.
    const isLostUnused = first && !job.late && isDeadConnection(error);
    if (mayRetry(job, error)) {
      if (job.begun) this.#retried++;
      if (connectionLossOf(error) !== error) job.refusal = { error };
      this.#requeue(job, isLostUnused ? { error } : undefined);
    } else {
      if (isLostUnused) this.#connector.lostUnused(error);
      this.#noteError(error);
      this.queue.reject(job, job.late ? this.#tooLate(error) : error);
    }
    this.#release(connection);
  }

  /** Requeues before the loss is recorded, so that the message counts as waiting; nothing is scheduled in between. */
  #requeue(job: Job, loss: { readonly error: unknown } | undefined): void {
    this.#scheduling = "running";
    this.queue.requeue(job);
    if (loss !== undefined) this.#connector.lostUnused(loss.error);
    this.#scheduling = "idle";
  }

  /** Removes a connection that has ended. */
  ended(connection: PooledConnection): void {
    if (connection.pipeliningTrust === "suspect" && !this.#groupsProven)
      this.#settings = withoutPipelining(this.#settings);
    // The connector handles connections that are still being opened.
    if (!this.#connections.open.has(connection)) return;
    this.#connections.set(connection, undefined);
    // While the first message is untried, its failure decides when to open another connection.
    if (!connection.isUntried) this.#schedule();
  }

  #arrived(): void {
    if (this.queue.pending.length > 1 && this.#isSaturated) return;
    if (this.#waiting === 1) this.#connector.restart();
    this.#schedule();
  }

  /** The number of messages that wait for a connection. */
  get #waiting(): number {
    return this.queue.pending.length + this.queue.retries.length;
  }

  /** True if messages wait and all connections that the limit allows are busy: nothing can be scheduled now. */
  get #isSaturated(): boolean {
    const { pending, retries } = this.queue;
    const { connecting, idle, size } = this.#connections;
    if (pending.first === undefined || retries.first !== undefined || idle.length > 0) return false;
    return pending.length > connecting.size + 1 && size >= this.#throttle.limit;
  }

  /** Performs all steps that are possible now. It may be re-entered: a failed write ends a connection synchronously. */
  #schedule(): void {
    if (this.#scheduling !== "idle") {
      this.#scheduling = "requested";
      return;
    }
    do {
      this.#scheduling = "running";
      this.#assignWaiting();
      this.#openMore();
      this.#offerToBusy();
    } while (this.#isRequested());
    this.#scheduling = "idle";
  }

  #isRequested(): boolean {
    return this.#scheduling === "requested";
  }

  /** Assigns messages to idle connections; retries get an unused connection if one can be opened. */
  #assignWaiting(): void {
    const { pending, retries } = this.queue;
    while (retries.first !== undefined) {
      const { idle } = this.#connections;
      const fresh = idle.find(({ started }) => started === 0);
      const connection = fresh ?? (this.#nextList === retries ? idle.at(-1) : undefined);
      if (connection === undefined || !this.#assign(connection, retries)) break;
    }
    while (pending.first !== undefined) {
      const connection = this.#connections.idle.at(-1);
      if (connection === undefined || !this.#assign(connection, pending)) break;
    }
  }

  #openMore(): void {
    const { pending, retries } = this.queue;
    const { connecting, idle } = this.#connections;
    const unserved = Math.max(0, pending.length - idle.length) + retries.length - connecting.size;
    if (unserved <= 0) return;
    if (retries.length > 0)
      for (const connection of [...idle]) if (this.#isExpired(connection)) this.#retire(connection);
    const allowed = Math.min(unserved, this.#connector.room);
    if (allowed <= 0) return;
    const now = performance.now();
    const { opensAt } = this.#connector;
    if (opensAt > now) return this.#timer.schedule(opensAt);
    const startable = this.#rate === undefined ? allowed : this.#rate.available(now) - connecting.size;
    if (startable < allowed && this.#rate !== undefined) this.#timer.schedule(this.#rate.next);
    for (let left = Math.min(allowed, startable); left > 0; left--) {
      const index = connecting.size;
      this.#track(this.queue.runInContextOf(index, () => this.#connector.open()));
    }
  }

  /** The list for a used connection: not the retries, as long as a new connection may be opened for them. */
  get #nextList(): JobList {
    const { pending, retries } = this.queue;
    const isStuck = retries.length > this.#connections.connecting.size && !this.#connector.mayOpen;
    return isStuck ? retries : pending;
  }

  /** Pipelines the remaining messages behind those on busy connections. */
  #offerToBusy(): void {
    const { first } = this.#nextList;
    if (first === undefined || first.abortable || !this.#exceedsConnecting()) return;
    for (const connection of this.#connections.open) if (connection.inFlight > 0) connection.advance();
  }

  /** True if more messages wait than connections are being opened, each of which takes one. */
  #exceedsConnecting(): boolean {
    return this.#waiting > this.#connections.connecting.size;
  }

  /** Sends the next message on an idle connection, or closes an expired one; false if nothing can be sent now. */
  #assign(connection: PooledConnection, list: JobList): boolean {
    // Checks the clock, since the timer may be late and the server may have closed an idle connection.
    if (this.#idleUntil(connection) <= performance.now() || this.#isExpired(connection)) {
      this.#retire(connection);
      return true;
    }
    const job = this.#take(list);
    if (job === undefined) return false;
    this.#connections.leaveIdle(connection);
    connection.send(job);
    return true;
  }

  /** Takes the next message and a token for it; `undefined` if there is no token. */
  #take(list: JobList): Job | undefined {
    if (this.#rate !== undefined && !this.#rate.take(performance.now())) {
      this.#timer.schedule(this.#rate.next);
      return undefined;
    }
    this.#sending++;
    return this.queue.take(list);
  }

  /** Parks or retires a connection whose last message is settled, and schedules the next steps. */
  #release(connection: PooledConnection): void {
    if (connection.inFlight === 0 && this.#connections.open.has(connection)) {
      if (this.#isExpired(connection)) this.#retire(connection);
      else this.#park(connection);
    } else if (this.#isSaturated) return;
    this.#schedule();
  }

  #park(connection: PooledConnection): void {
    this.#connections.idle.push(connection);
    connection.releaseProcess();
    this.#timer.schedule(this.#idleUntil(connection));
  }

  #idleUntil(connection: PooledConnection): number {
    const { idleTimeout, maxLifetime } = this.#settings;
    return Math.min(connection.usedAt + idleTimeout, connection.openedAt + maxLifetime);
  }

  /** True if a connection should accept no more messages: it is used up or old, or exceeds the limit. */
  #isExpired(connection: PooledConnection): boolean {
    const { maxLifetime } = this.#settings;
    if (connection.retired || (maxLifetime !== NEVER && performance.now() >= connection.openedAt + maxLifetime))
      return true;
    // A used connection makes room for a retry if another one can be opened then.
    const { connecting, size } = this.#connections;
    const isReplaced = connection.started > 0 && this.queue.retries.length > connecting.size && this.#connector.mayOpen;
    const room = this.#throttle.limit - (isReplaced ? 1 : 0);
    return size > room && this.#connections.usable + connecting.size > room;
  }

  /** Reports a complaint or refusal of the server to the throttle. */
  #noteError(error: unknown): void {
    const complaint = complaintIn(error);
    if (complaint === "complaint") this.#throttle.complained(this.#connections.size, performance.now());
    else if (complaint === "refusal") this.#throttle.refused(this.#connections.size, performance.now());
  }

  /** Sends QUIT; the connection counts towards the limit until the reply. */
  #retire(connection: PooledConnection): void {
    this.#connections.set(connection, "closing");
    this.#track(this.#quit(connection));
  }

  async #quit(connection: PooledConnection): Promise<void> {
    const { gone } = await connection.quit();
    this.#connections.set(connection, undefined);
    this.#schedule();
    await gone;
  }

  #wake(): void {
    const now = performance.now();
    this.#timer.schedule(this.queue.expire(now));
    for (const connection of [...this.#connections.idle]) {
      if (this.#idleUntil(connection) <= now) this.#retire(connection);
      else this.#timer.schedule(this.#idleUntil(connection));
    }
    this.#connector.wake(now);
    this.#schedule();
  }

  #newConnector(hasLogin: boolean, reconnectFor: number): Connector {
    const owner: ConnectorOwner = {
      waiting: () => this.#waiting,
      newConnection: () => new PooledConnection(this, this.#settings),
      opened: (connection) => this.#park(connection),
      waitingSince: () => this.queue.waitingSince,
      reject: (error, arrivedBy) => this.queue.rejectWaiting(error, arrivedBy),
      quit: (connection) => this.#quit(connection),
      schedule: () => this.#schedule(),
      wakeAt: (time) => this.#timer.schedule(time),
    };
    return new Connector(owner, {
      connections: this.#connections,
      throttle: this.#throttle,
      hasLogin,
      reconnectFor,
    });
  }

  get #checkOwner(): CheckOwner {
    return {
      gate: this.#connector.gate,
      newConnection: () => new PooledConnection(this, this.#settings),
      decided: (refusal) => {
        if (refusal !== undefined) this.#connector.refuse(refusal.error);
        this.#schedule();
      },
      quit: (connection) => this.#track(this.#quit(connection)),
    };
  }

  async #close(): Promise<void> {
    this.queue.close();
    await this.queue.drain();
    this.#connector.drop();
    for (const connection of [...this.#connections.idle]) this.#retire(connection);
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    this.#timer.stop();
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
