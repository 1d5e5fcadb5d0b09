/**
 * One connection: a byte stream joined to a dialogue. One writer, and one reader that always runs, so that a server's
 * last words and its going away are seen at once, while a body is written and while the session rests.
 */
import type { ByteStream, PeerInfo } from "../byte-stream.ts";
import { Command, MASK } from "../core/command.ts";
import { type Awaited, Dialogue, type Fault, type Received, type SessionLimits } from "../core/dialogue.ts";
import { EnvelopeGroup } from "../core/envelope-group.ts";
import { Output } from "../core/output.ts";
import { noteRefusal } from "../core/refused-command.ts";
import { isPositive, type RawReply, type Reply } from "../core/reply.ts";
import { type DeliveryOutcome, escapeControls, type TimeoutPhase } from "../errors.ts";
import { callerContext } from "./caller-context.ts";
import { fromMechanism } from "./caller-errors.ts";
import type { Chunking } from "./chunking.ts";
import { type Deadline, type Timeouts, Watchdog } from "./deadline.ts";
import type { Events } from "./events.ts";
import { closed, disconnected, protocolBroken, type SessionEnd, textOf, timedOut } from "./session-end.ts";
import { WriteMemory } from "./write-memory.ts";

/** How a connection behaves, once it is there. */
export type ConnectionSettings = {
  readonly protocol: "smtp" | "lmtp";
  readonly limits: SessionLimits;
  /** Asked each time: the caller may change them during a session. */
  readonly timeouts: () => Timeouts;
  readonly events: Events;
  readonly chunking: Chunking;
};

/** What the server's last words may take, after a failed write or once they have begun; seconds. */
export const GRACE = 1;

/** One session's connection. */
export class Connection {
  /** The protocol's state. */
  readonly dialogue: Dialogue;
  /** What will leave with the next `flush()`. */
  readonly output: Output = new Output();
  /** The bytes underneath; after an upgrade of them, `listen()` has to be called again. */
  readonly stream: ByteStream;
  /** How the connection behaves. */
  readonly settings: ConnectionSettings;
  /** The server's greeting. */
  readonly greeting: Promise<Reply>;
  /** True if the last reply that the caller fetched was a challenge: its next line is a secret. */
  awaitsSecret = false;
  /** Called when a part of a reply is here while a message's content is on its way. */
  partlyReplied: (() => void) | undefined;
  /** True while the caller's code runs. */
  isInCallerCode = false;
  /** True once an AUTH was answered with 235. */
  authenticated = false;
  /** True once a BDAT was answered with 2yz: no later reply says that the server does not know the command. */
  bdatAccepted = false;
  /**
   * What is known of the server and commands that come in groups (RFC 2920): "suspect" if the session was lost with
   * several commands unanswered and no group had been answered before.
   */
  pipeliningTrust: "untested" | "proven" | "suspect" = "untested";
  /** How often something was handed to the transport: what was put into the output since then has not left. */
  writes = 0;

  readonly #memory: WriteMemory;
  readonly #watchdog: Watchdog = new Watchdog((deadline) => this.#expired(deadline));
  readonly #replyDeadline: Deadline = this.#watchdog.add("greeting");
  readonly #writeDeadline: Deadline = this.#watchdog.add("dataBlock");
  readonly #ending = new Set<() => void>();
  readonly #secrets: Command[] = [];
  #flushing: Promise<void> | undefined;
  /** The command for whose reply the clock runs. */
  #timed: Awaited | undefined;
  /** True while replies are handed over; the clock is set when they are. */
  #isDispatching = false;
  #writeError: { readonly error: unknown } | undefined;
  #end: SessionEnd | undefined;
  #fault: Fault | undefined;
  #closing: Promise<void> | undefined;

  /** Takes over a connected stream; the greeting is awaited at once. */
  constructor(stream: ByteStream, settings: ConnectionSettings) {
    const greeting = Command.greeting();
    this.stream = stream;
    this.settings = settings;
    this.#memory = new WriteMemory(stream);
    this.dialogue = new Dialogue(greeting, settings);
    this.greeting = this.replyTo(greeting);
    this.greeting.catch(() => {});
    this.restartReplyTimer();
    void this.listen();
  }

  /** Both ends of the connection. */
  get peer(): PeerInfo {
    return this.stream.peer;
  }

  /** Why the session is over, or undefined while it lives. */
  get end(): SessionEnd | undefined {
    return this.#end;
  }

  /** What broke the protocol, if that is what ended the session. */
  get fault(): Fault | undefined {
    return this.#fault;
  }

  /** False once a write has failed: the reader then finds out why. */
  get writable(): boolean {
    return this.#end === undefined && this.#writeError === undefined;
  }

  /** Puts a command into the output; its receiver gets the reply. For DATA, `end` stands for the end of the message. */
  send(command: Command, end?: Command): void {
    this.dialogue.send(command, this.output, end);
    if (command.secret) this.#secrets.push(command);
    const { traceEnabled } = this.settings.events;
    if (traceEnabled === undefined) return;
    command.within = callerContext();
    if (end !== undefined) end.within = command.within;
    traceEnabled.sent(command.verb, command.shown);
  }

  /** Puts the commands of a group from `from` on into the output; `end` as for `send`. */
  sendGroup(commands: readonly Command[], from: number, end?: Command): void {
    const isTraced = this.settings.events.traceEnabled !== undefined;
    for (let at = from; at < commands.length; at++) {
      const command = commands[at];
      if (command === undefined) continue;
      const body = command.verb === "DATA" ? end : undefined;
      if (isTraced) this.send(command, body);
      else this.dialogue.send(command, this.output, body);
    }
  }

  /** Sends one command and returns the reply to it; `delivery` is what a lost connection says of the call's message. */
  request(command: Command, delivery?: DeliveryOutcome): Promise<Reply> {
    this.rejectUnsolicited();
    if (this.#end !== undefined) return Promise.reject(this.#end.toError({ delivery }));
    if (this.dialogue.needsReset(command.verb)) return this.#requestAfterReset(command, delivery);
    const reply = this.replyTo(command, delivery);
    this.send(command);
    this.flush();
    return reply;
  }

  /** Sends RSET after a transaction that failed (RFC 5321 4.1.1.5); a session that cannot be reset is dropped. */
  async reset(): Promise<void> {
    const reply = await this.request(Command.simple("RSET")).catch(() => undefined);
    if (reply === undefined || !isPositive(reply.code)) {
      this.drop(disconnected("the transaction that failed could not be reset"));
    }
  }

  /** The reply to a command, once the dialogue has it; `delivery` as for `request`. */
  replyTo(command: Command, delivery?: DeliveryOutcome): Promise<Reply> {
    return new Promise((resolve, reject) => {
      command.receiver = {
        replied: (_, { reply }) => resolve(reply),
        lost: () => reject(this.#end?.toError({ delivery })),
      };
    });
  }

  /** Hands the replies to their receivers. */
  dispatch({ replies, exchanges, fault }: Received): void {
    // Known before the replies are handed over: a receiver that would go on because of one of them must not.
    if (fault !== undefined) this.#fault = { ...fault, detail: this.#shown(fault.detail) };
    this.#isDispatching = true;
    for (const { command, reply } of exchanges) {
      if (command instanceof EnvelopeGroup) command.replied(reply);
      else if (command.within === undefined) this.#deal(command, reply);
      else command.within(() => this.#deal(command, reply));
    }
    this.#isDispatching = false;
    if (this.#fault !== undefined) this.#broken(this.#fault);
    else if (replies > 0) this.restartReplyTimer();
    if (this.partlyReplied !== undefined && this.dialogue.hasUnreadBytes) this.partlyReplied();
  }

  /** Call before the first command of a call: bytes that arrived unsolicited must not be taken for its reply. */
  rejectUnsolicited(): void {
    const { dialogue } = this;
    if (dialogue.oldestPending !== undefined || this.#end !== undefined) return;
    if (dialogue.unfetchedReason !== undefined) this.drop(disconnected(dialogue.unfetchedReason));
    else if (dialogue.hasUnreadBytes) {
      const cause = new Error(this.#shown(dialogue.unreadText));
      this.drop(disconnected("the server sent something that nothing asked for", cause));
    }
  }

  /**
   * Writes what the output holds. Undefined: the transport took it; a promise: it will. Failures do not show here:
   * they end the session, and with it all that is awaited.
   */
  flush(): Promise<void> | undefined {
    if (this.#flushing !== undefined) return this.#flushing.then(() => this.flush());
    if (this.output.length > 0) {
      this.#memory.reclaim();
      this.#flushing = this.#write(this.output.take(this.#memory), 0);
    }
    return this.#flushing;
  }

  /** Reads until the session ends, or until TLS has to begin. */
  async listen(): Promise<void> {
    const { dialogue, stream } = this;
    try {
      while (this.#end === undefined && dialogue.position !== "ready-for-tls") {
        const bytes = await stream.read();
        if (this.#end !== undefined) return;
        if (bytes === null) return this.#lost(this.#serverClosed());
        this.dispatch(dialogue.receive(bytes));
      }
    } catch (error) {
      this.#lost(error);
    }
  }

  /** The clock runs for the first reply awaited, from the moment its command has left or the reply before it came. */
  restartReplyTimer(): void {
    const { dialogue } = this;
    const isWriting = this.#flushing !== undefined || dialogue.position === "body";
    const timed = isWriting ? undefined : dialogue.oldestPending;
    this.#timed = timed;
    if (timed === undefined) this.#watchdog.disarm(this.#replyDeadline);
    else this.#watchdog.arm(this.#replyDeadline, timed.phase, this.settings.timeouts()[timed.phase]);
  }

  /** Whether the process lives as long as the connection, which it does at first; not while a pool has no use for it. */
  holdProcess(hold: boolean): void {
    if (this.#end !== undefined) return;
    if (hold) this.stream.ref?.();
    else this.stream.unref?.();
    this.#watchdog.hold(hold);
  }

  /** Sets a deadline of the caller's on this connection; when it is reached, the session ends. */
  setDeadline(phase: TimeoutPhase, seconds: number | undefined, end?: SessionEnd): { release(): void } {
    const deadline = this.#watchdog.add(phase);
    deadline.end = end;
    this.#watchdog.arm(deadline, phase, seconds);
    return { release: () => this.#watchdog.remove(deadline) };
  }

  /** The text without the secrets of this session, which a server may echo in a later reply, too. */
  redact(text: string): string {
    // The last first: LOGIN sends the user's name, which may be a part of the password, before that.
    return this.#secrets.reduceRight((rest, command) => command.hide(rest), text);
  }

  /** Calls back once when the session is over, at once if it is; the returned function ends that. */
  onEnd(callback: () => void): () => void {
    if (this.#end !== undefined) callback();
    else this.#ending.add(callback);
    return () => this.#ending.delete(callback);
  }

  /** Waits for the caller's own work, but not longer than the session lasts. */
  orEnded<T>(work: Promise<T>, delivery?: DeliveryOutcome): Promise<T> {
    return new Promise((resolve, reject) => {
      const unlink = this.onEnd(() => reject(this.#end?.toError({ delivery })));
      work.then(resolve, reject).finally(unlink);
    });
  }

  /** Runs the caller's code; a call of it on this session would wait for itself. */
  runCallerCode<T>(callback: () => T): T {
    this.isInCallerCode = true;
    try {
      return fromMechanism(callback);
    } finally {
      this.isInCallerCode = false;
    }
  }

  /** Drops the connection now. All that is awaited is told why; later calls change nothing. */
  drop(end: SessionEnd): void {
    if (!this.#finish(end)) return;
    this.stream.abort(end.toError({}));
    this.#tellAwaited();
  }

  /** Ends the session in order: what is queued is sent, then the stream is closed. */
  close(): Promise<void> {
    return this.#close(closed("the connection is closed"));
  }

  async #close(why: SessionEnd): Promise<void> {
    if (this.#finish(why)) {
      this.#closing = this.stream.close().catch(() => {});
      this.#tellAwaited();
    }
    await this.#closing;
  }

  async #requestAfterReset(command: Command, delivery: DeliveryOutcome | undefined): Promise<Reply> {
    await this.reset();
    return this.request(command, delivery);
  }

  #deal(command: Command, reply: RawReply): void {
    const { code } = reply;
    const { traceEnabled: listener } = this.settings.events;
    // A challenge holds what the next response is computed from.
    if (listener) listener.replied(command.shown, reply.reply, code === 334 ? MASK : this.redact(reply.message));
    if (code === 235 && command.verb !== ".") this.authenticated = true;
    if (code >= 400) noteRefusal(reply.reply, command.verb);
    command.receiver?.replied(command, reply);
    if (command.verb === "QUIT") void this.#close(closed("the session was ended by QUIT"));
  }

  /** Text of the server's as an error may have it: no secret, no control character, no end of it. */
  #shown(text: string): string {
    return escapeControls(this.redact(text)).slice(0, 300);
  }

  #broken({ kind, detail }: Fault): void {
    this.drop((kind === "closing" ? disconnected : protocolBroken)(detail, new Error(detail)));
  }

  /** A last line without its end is no reply, but may say why; a challenge is not shown. */
  #serverClosed(): Error {
    const unread = this.dialogue.unreadText.replace(/^334.*/s, MASK);
    const rest = this.#shown(this.#secrets.reduceRight((text, command) => command.hideCut(text), unread));
    if (rest === "") return new Error("the server closed the connection");
    const cause = new Error(rest);
    return new Error(`the server closed the connection within a line: ${rest}`, { cause });
  }

  #lost(error: unknown): void {
    this.#suspectPipelining();
    this.drop(disconnected(`connection lost: ${textOf(error)}`, this.#writeError?.error ?? error));
  }

  #write(pieces: readonly Uint8Array[], from: number): Promise<void> | undefined {
    for (let at = from; at < pieces.length; at++) {
      const blocked = this.#writePiece(pieces[at]);
      if (blocked !== undefined) return this.#unblocked(blocked).then(() => this.#write(pieces, at + 1));
    }
    this.#flushing = undefined;
    // What leaves behind a command gives the server no more time to answer that.
    if (!this.#isDispatching && this.#timed !== this.dialogue.oldestPending) this.restartReplyTimer();
    return undefined;
  }

  #writePiece(piece: Uint8Array | undefined): Promise<void> | undefined {
    if (piece === undefined || !this.writable) return undefined;
    try {
      this.writes++;
      return this.stream.write(piece);
    } catch (error) {
      this.#writeFailed(error);
      return undefined;
    }
  }

  async #unblocked(blocked: Promise<void>): Promise<void> {
    this.#watchdog.arm(this.#writeDeadline, "dataBlock", this.settings.timeouts().dataBlock);
    try {
      await blocked;
      if (this.writable) this.#watchdog.disarm(this.#writeDeadline);
    } catch (error) {
      this.#writeFailed(error);
    }
  }

  /** The reader may still find a reply that says why (SECURITY.md, rule 6); it gets a moment for it. */
  #writeFailed(error: unknown): void {
    if (!this.writable) return;
    this.#writeError = { error };
    this.#watchdog.arm(this.#writeDeadline, "dataBlock", GRACE);
  }

  #expired(deadline: Deadline): void {
    if (this.#writeError !== undefined) return this.#lost(this.#writeError.error);
    if (deadline === this.#replyDeadline) this.#suspectPipelining();
    this.drop(deadline.end ?? timedOut(deadline.phase, this.settings.timeouts()[deadline.phase]));
  }

  #suspectPipelining(): void {
    if (this.pipeliningTrust === "untested" && this.dialogue.pendingReplies > 1) this.pipeliningTrust = "suspect";
  }

  #finish(end: SessionEnd): boolean {
    if (this.#end !== undefined) return false;
    this.#end = end;
    this.#watchdog.close();
    return true;
  }

  #tellAwaited(): void {
    for (const command of this.dialogue.end()) {
      if (command instanceof EnvelopeGroup) command.lost();
      else command.receiver?.lost(command);
    }
    for (const ended of this.#ending) ended();
    this.#ending.clear();
  }
}
