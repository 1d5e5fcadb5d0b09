/**
 * One connection: a byte stream joined to a dialogue. One writer, and one reader that always runs, so that a server's
 * last words and its going away are seen at once, while a body is written and while the session rests.
 */
import type { ByteStream, PeerInfo } from "../byte-stream.ts";
import { Output } from "../core/bytes.ts";
import { Command, MASK, type ReplyReceiver } from "../core/command.ts";
import { Dialogue, type Fault, type Limits, type Received } from "../core/dialogue.ts";
import type { Reply } from "../core/reply.ts";
import { type DeliveryOutcome, escapeControls, type TimeoutPhase } from "../errors.ts";
import { type Deadline, type Timeouts, Watchdog } from "./deadline.ts";
import type { Events } from "./events.ts";
import { closed, disconnected, type SessionEnd, textOf, timedOut } from "./session-end.ts";

/** How a connection behaves, once it is there. */
export type ConnectionSettings = {
  readonly protocol: "smtp" | "lmtp";
  readonly limits: Limits;
  /** Asked each time: the caller may change them during a session. */
  readonly timeouts: () => Timeouts;
  readonly events: Events;
};

/** What the server's last words may take, after a failed write or once they have begun; seconds. */
export const GRACE = 1;

/** One session's connection. */
export class Connection {
  /** The protocol's state. */
  readonly dialogue: Dialogue;
  /** What will leave with the next `flush()`. */
  readonly output: Output = new Output();
  /** True if the last reply that the caller fetched was a challenge: his next line is a secret. */
  challenged = false;
  /** True while the caller's code runs. */
  callingOut = false;
  /** True once an AUTH was answered with 235. */
  authenticated = false;
  /**
   * What is known of the server and commands that come in groups (RFC 2920): "suspect" if the session was lost with
   * several commands unanswered and no group had been answered before.
   */
  groups: "untested" | "proven" | "suspect" = "untested";
  /** What broke the protocol, if that is what ended the session. */
  fault: Fault | undefined;
  /** The server's greeting. */
  readonly greeting: Promise<Reply>;
  /** The bytes underneath; who upgrades them calls `listen()` afterwards. */
  readonly stream: ByteStream;
  /** How the connection behaves. */
  readonly settings: ConnectionSettings;
  readonly #watchdog = new Watchdog((deadline) => this.#expired(deadline));
  readonly #reply: Deadline = this.#watchdog.add("greeting");
  readonly #blocked: Deadline = this.#watchdog.add("dataBlock");
  #flushing: Promise<void> | undefined;
  #writeError: { readonly error: unknown } | undefined;
  #end: SessionEnd | undefined;
  readonly #ending = new Set<() => void>();
  readonly #secrets: Command[] = [];
  #closing: Promise<void> | undefined;

  /** Takes over a connected stream; the greeting is awaited at once. */
  constructor(stream: ByteStream, settings: ConnectionSettings) {
    this.stream = stream;
    this.settings = settings;
    const greeting = Command.greeting();
    this.dialogue = new Dialogue(greeting, settings);
    this.greeting = this.replyTo(greeting);
    this.greeting.catch(() => {});
    this.armReply();
    this.listen();
  }

  /** Both ends of the connection. */
  get peer(): PeerInfo {
    return this.stream.peer;
  }

  /** Why the session is over, or undefined while it lives. */
  get end(): SessionEnd | undefined {
    return this.#end;
  }

  /** False once a write has failed: the reader then finds out why. */
  get writable(): boolean {
    return this.#end === undefined && this.#writeError === undefined;
  }

  /** Puts a command into the output; its receiver will be told. */
  send(command: Command): void {
    this.dialogue.send(command, this.output);
    if (command.shown.endsWith(MASK)) this.#secrets.push(command);
    this.settings.events.observer?.sent(command.verb, command.shown);
  }

  /** Puts DATA into the output; `end` will stand for the end of the message. */
  sendData(data: Command, end: Command): void {
    this.dialogue.sendData(data, end, this.output);
    this.settings.events.observer?.sent(data.verb, data.shown);
  }

  /** Sends one command and gives the reply to it; `delivery` is what a lost connection says of the call's message. */
  request(command: Command, delivery?: DeliveryOutcome): Promise<Reply> {
    this.checkIdle();
    if (this.#end !== undefined) return Promise.reject(this.#end.toError({ delivery }));
    const reply = this.replyTo(command, delivery);
    this.send(command);
    this.flush();
    return reply;
  }

  /** The reply to a command, once the dialogue has it; `delivery` as for `request`. */
  replyTo(command: Command, delivery?: DeliveryOutcome): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const lost = (): void => reject(this.#end?.toError({ delivery }));
      const receiver: ReplyReceiver = { replied: (_, reply) => resolve(reply), lost };
      command.receiver = receiver;
    });
  }

  /** Hands the replies to those who wait for them. */
  take({ exchanges, fault }: Received): void {
    // Known before the replies are told: who would go on because of one of them must not.
    if (fault !== undefined) this.fault = { ...fault, detail: this.#shown(fault.detail) };
    for (const { command, reply } of exchanges) {
      // A challenge holds what the next response is computed from.
      const { observer } = this.settings.events;
      if (observer !== undefined)
        observer.replied(command.shown, reply, reply.code === 334 ? MASK : this.hide(reply.message));
      if (reply.code === 235 && command.verb !== ".") this.authenticated = true;
      command.receiver?.replied(command, reply);
      if (command.verb === "QUIT") void this.close();
    }
    if (this.fault !== undefined) this.#broken(this.fault);
    else if (exchanges.length > 0) this.armReply();
  }

  /** To be asked before a call sends its first command: what came while nothing was awaited can never answer it. */
  checkIdle(): void {
    const { owed, unread, unfetched, rest } = this.dialogue;
    if (owed > 0 || this.#end !== undefined) return;
    if (unfetched)
      this.drop(disconnected("a reply to putcmd() was not fetched by getreply(): it would answer this command"));
    else if (unread)
      this.drop(disconnected("the server sent something that nothing asked for", new Error(this.#shown(rest))));
  }

  /**
   * Writes what the output holds. Undefined: the transport took it; a promise: it will. Failures do not show here:
   * they end the session, and with it all that is awaited.
   */
  flush(): Promise<void> | undefined {
    if (this.#flushing !== undefined) return this.#flushing.then(() => this.flush());
    const pieces = this.output.take();
    if (pieces.length > 0 && this.writable) this.#flushing = this.#write(pieces);
    return this.#flushing;
  }

  /** Reads until the session ends, or until TLS has to begin. */
  async listen(): Promise<void> {
    try {
      while (this.#end === undefined && this.dialogue.position !== "ready-for-tls") {
        const bytes = await this.stream.read();
        if (this.#end !== undefined) return;
        if (bytes === null) return this.#lost(new Error("the server closed the connection"));
        this.take(this.dialogue.receive(bytes));
      }
    } catch (error) {
      this.#lost(error);
    }
  }

  /** The clock runs for the first reply awaited, from the moment its command has left or the reply before it came. */
  armReply(): void {
    const { head, position } = this.dialogue;
    if (head === undefined || position === "body") return this.#watchdog.disarm(this.#reply);
    this.#watchdog.arm(this.#reply, head.phase, this.settings.timeouts()[head.phase]);
  }

  /** A deadline of the caller's on this connection; when it is reached, the session ends. */
  bound(phase: TimeoutPhase, seconds: number | undefined, end?: SessionEnd): { release(): void } {
    const deadline = this.#watchdog.add(phase);
    deadline.end = end;
    this.#watchdog.arm(deadline, phase, seconds);
    return { release: () => this.#watchdog.remove(deadline) };
  }

  /** The text without the secrets of this session, which a server may echo in a later reply, too. */
  hide(text: string): string {
    return this.#secrets.reduce((rest, command) => command.hide(rest), text);
  }

  /** Calls back once when the session is over, at once if it is; the returned function ends that. */
  onEnd(callback: () => void): () => void {
    if (this.#end !== undefined) callback();
    else this.#ending.add(callback);
    return () => this.#ending.delete(callback);
  }

  /** Waits for the caller's own work, but not longer than the session lasts. */
  unlessEnded<T>(work: Promise<T>, delivery?: DeliveryOutcome): Promise<T> {
    return new Promise((resolve, reject) => {
      const unlink = this.onEnd(() => reject(this.#end?.toError({ delivery })));
      work.then(resolve, reject).finally(unlink);
    });
  }

  /** Calls back into the caller's code; a call of his on this session would wait for itself there. */
  callOut<T>(callback: () => T): T {
    this.callingOut = true;
    try {
      return callback();
    } finally {
      this.callingOut = false;
    }
  }

  /** Drops the connection now. All that is awaited is told why; later calls change nothing. */
  drop(end: SessionEnd): void {
    if (!this.#finish(end)) return;
    this.stream.abort(end.toError({}));
    this.#tellAwaited();
  }

  /** Ends the session in order: what is queued is sent, then the stream is closed. */
  async close(): Promise<void> {
    if (this.#finish(closed("the connection is closed; please run connect() first"))) {
      this.#closing = this.stream.close().catch(() => {});
      this.#tellAwaited();
    }
    await this.#closing;
  }

  /** Text of the server's as an error may have it: no secret, no control character, no end of it. */
  #shown(text: string): string {
    return escapeControls(this.hide(text)).slice(0, 300);
  }

  #broken(fault: Fault): void {
    const cause = new Error(fault.detail);
    const text = fault.kind === "closing" ? fault.detail : `the server broke the protocol: ${fault.detail}`;
    this.drop(disconnected(text, cause));
  }

  #lost(error: unknown): void {
    this.#suspect();
    this.drop(disconnected(`connection lost: ${textOf(error)}`, this.#writeError?.error ?? error));
  }

  #write(pieces: readonly Uint8Array[]): Promise<void> | undefined {
    for (const [index, piece] of pieces.entries()) {
      const blocked = this.#writePiece(piece);
      if (blocked !== undefined) return this.#unblocked(blocked).then(() => this.#write(pieces.slice(index + 1)));
    }
    this.#flushing = undefined;
    this.armReply();
    return undefined;
  }

  #writePiece(piece: Uint8Array): Promise<void> | undefined {
    try {
      return this.writable ? this.stream.write(piece) : undefined;
    } catch (error) {
      this.#writeFailed(error);
      return undefined;
    }
  }

  async #unblocked(blocked: Promise<void>): Promise<void> {
    this.#watchdog.arm(this.#blocked, "dataBlock", this.settings.timeouts().dataBlock);
    try {
      await blocked;
      if (this.writable) this.#watchdog.disarm(this.#blocked);
    } catch (error) {
      this.#writeFailed(error);
    }
  }

  /** The reader may still find a reply that says why (SECURITY 6.2); it gets a moment for it. */
  #writeFailed(error: unknown): void {
    if (!this.writable) return;
    this.#writeError = { error };
    this.#watchdog.arm(this.#blocked, "dataBlock", GRACE);
  }

  #expired(deadline: Deadline): void {
    if (this.#writeError !== undefined) return this.#lost(this.#writeError.error);
    if (deadline === this.#reply) this.#suspect();
    this.drop(deadline.end ?? timedOut(deadline.phase, this.settings.timeouts()[deadline.phase]));
  }

  #suspect(): void {
    if (this.groups === "untested" && this.dialogue.owed > 1) this.groups = "suspect";
  }

  #finish(end: SessionEnd): boolean {
    if (this.#end !== undefined) return false;
    this.#end = end;
    this.#watchdog.close();
    return true;
  }

  #tellAwaited(): void {
    for (const command of this.dialogue.end()) command.receiver?.lost(command);
    for (const ended of this.#ending) ended();
    this.#ending.clear();
  }
}
