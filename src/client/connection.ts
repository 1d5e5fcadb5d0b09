/**
 * One connection: a byte stream joined to a dialogue. It has one writer, and one reader that always runs, so that a
 * server's last reply and its disconnect are seen at once, during a transfer and while the session is idle.
 */
import type { ByteStream, PeerInfo } from "../byte-stream.ts";
import { Command, MASK } from "../core/command.ts";
import { Dialogue, type Fault, type Group, type PendingCommand, type Received } from "../core/dialogue.ts";
import type { SessionLimits } from "../core/limits.ts";
import { Output } from "../core/output.ts";
import { PipeliningGroup } from "../core/pipelining-group.ts";
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

/** Settings of a connection. */
export type ConnectionSettings = {
  readonly protocol: "smtp" | "lmtp";
  readonly limits: SessionLimits;
  /** Called each time: the caller may change them during a session. */
  readonly timeouts: () => Timeouts;
  readonly events: Events;
  readonly chunking: Chunking;
};

/** Seconds to wait for a last reply after a failed write, or for the rest of a reply that has begun. */
export const GRACE = 1;

/** One session's connection. */
export class Connection {
  /** The protocol's state. */
  readonly dialogue: Dialogue;
  /** The bytes that the next `flush()` writes. */
  readonly output: Output = new Output();
  /** The underlying bytes; call `listen()` again after upgrading them to TLS. */
  readonly stream: ByteStream;
  /** The settings of the connection. */
  readonly settings: ConnectionSettings;
  /** The server's greeting. */
  readonly greeting: Promise<Reply>;
  /** True if the last reply that the caller fetched was a challenge: the next line is a secret. */
  awaitsSecret = false;
  /** Called when part of a reply arrives during the transfer of a message's content. */
  partlyReplied: (() => void) | undefined;
  /** True while the caller's code runs. */
  isInCallerCode = false;
  /** True once an AUTH got the reply 235. */
  authenticated = false;
  /** True once a BDAT got a 2yz reply: later replies do not mean that the server does not know the command. */
  bdatAccepted = false;
  /**
   * Whether the server handles commands in groups (RFC 2920): "suspect" if the session was lost with several commands
   * unanswered before any group was answered.
   */
  pipeliningTrust: "untested" | "proven" | "suspect" = "untested";
  /** The number of writes to the transport; if unchanged, output added since then has not been sent. */
  writes = 0;

  readonly #memory: WriteMemory;
  readonly #watchdog: Watchdog = new Watchdog((deadline) => this.#expired(deadline));
  readonly #replyDeadline: Deadline = this.#watchdog.add("greeting");
  readonly #writeDeadline: Deadline = this.#watchdog.add("dataBlock");
  readonly #ending = new Set<() => void>();
  readonly #secrets: Command[] = [];
  #flushing: Promise<void> | undefined;
  /** The command whose reply the timer limits. */
  #timed: PendingCommand | undefined;
  /** True while replies are dispatched; the timer is set afterwards. */
  #isDispatching = false;
  #writeError: { readonly error: unknown } | undefined;
  #end: SessionEnd | undefined;
  #fault: Fault | undefined;
  #closing: Promise<void> | undefined;

  /** Uses a connected stream; waits for the greeting at once. */
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

  /** The reason for the session's end; undefined while it lasts. */
  get end(): SessionEnd | undefined {
    return this.#end;
  }

  /** The protocol violation, if one ended the session. */
  get fault(): Fault | undefined {
    return this.#fault;
  }

  /** False once a write has failed: the reader then finds the reason. */
  get writable(): boolean {
    return this.#end === undefined && this.#writeError === undefined;
  }

  /** Puts a command into the output; its receiver gets the reply. For DATA, `end` represents the end of the message. */
  send(command: Command, end?: Command): void {
    this.dialogue.send(command, this.output, end);
    if (command.secret) this.#secrets.push(command);
    const { traceEnabled } = this.settings.events;
    if (traceEnabled === undefined) return;
    command.within = callerContext();
    if (end !== undefined) end.within = command.within;
    traceEnabled.sent(command.verb, command.shown);
  }

  /** Puts the commands of a group into the output. */
  sendGroup(group: Group): void {
    this.dialogue.sendGroup(group, this.output);
    const { traceEnabled } = this.settings.events;
    if (traceEnabled === undefined) return;
    group.within = callerContext();
    for (const line of group.lines) traceEnabled.sent(line.slice(0, 4), line);
  }

  /** Sends a command and returns its reply. `delivery` is the outcome if the connection is lost. */
  request(command: Command, delivery?: DeliveryOutcome): Promise<Reply> {
    this.rejectUnsolicited();
    if (this.#end !== undefined) return Promise.reject(this.#end.toError({ delivery }));
    if (this.dialogue.needsReset(command.verb)) return this.#requestAfterReset(command, delivery);
    const reply = this.replyTo(command, delivery);
    this.send(command);
    this.flush();
    return reply;
  }

  /** Sends RSET after a failed transaction (RFC 5321 4.1.1.5); drops a session that cannot be reset. */
  async reset(): Promise<void> {
    const reply = await this.request(Command.simple("RSET")).catch(() => undefined);
    if (reply === undefined || !isPositive(reply.code)) {
      this.drop(disconnected("the transaction that failed could not be reset"));
    }
  }

  /** Resolves with the reply to a command; `delivery` as for `request`. */
  replyTo(command: Command, delivery?: DeliveryOutcome): Promise<Reply> {
    return new Promise((resolve, reject) => {
      command.receiver = {
        replied: (_, { reply }) => resolve(reply),
        lost: () => reject(this.#end?.toError({ delivery })),
      };
    });
  }

  /** Passes the replies to their receivers. */
  dispatch({ exchanges, fault }: Received): void {
    // Set before the replies are dispatched, so that no receiver continues because of one of them.
    if (fault !== undefined) this.#fault = { ...fault, detail: this.#shown(fault.detail) };
    this.#isDispatching = true;
    for (const { command, reply } of exchanges) {
      if (command.within === undefined) this.#deal(command, reply);
      else command.within(() => this.#deal(command, reply));
    }
    this.#isDispatching = false;
    if (this.#fault !== undefined) this.#broken(this.#fault);
    else if (exchanges.length > 0) this.restartReplyTimer();
    if (this.partlyReplied !== undefined && this.dialogue.hasUnreadBytes) this.partlyReplied();
  }

  /** Call before sending the first command of a call: unsolicited bytes must not be taken as its reply. */
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
   * Writes the output. Returns undefined if the transport accepted it, or a promise that it will. Failures do not
   * reject: they end the session, and with it all pending replies.
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

  /** Times the oldest pending reply, from the time its command was sent or the reply before it arrived. */
  restartReplyTimer(): void {
    const { dialogue } = this;
    const isWriting = this.#flushing !== undefined || dialogue.position === "body";
    const timed = isWriting ? undefined : dialogue.oldestPending;
    this.#timed = timed;
    if (timed === undefined) this.#watchdog.disarm(this.#replyDeadline);
    else this.#watchdog.arm(this.#replyDeadline, timed.phase, this.settings.timeouts()[timed.phase]);
  }

  /** Whether the connection keeps the process alive. It does by default, but not while a pool has no use for it. */
  holdProcess(hold: boolean): void {
    if (this.#end !== undefined) return;
    if (hold) this.stream.ref?.();
    else this.stream.unref?.();
    this.#watchdog.hold(hold);
  }

  /** Sets a deadline for the caller on this connection; when it expires, the session ends. */
  setDeadline(phase: TimeoutPhase, seconds: number | undefined, end?: SessionEnd): { release(): void } {
    const deadline = this.#watchdog.add(phase);
    deadline.end = end;
    this.#watchdog.arm(deadline, phase, seconds);
    return { release: () => this.#watchdog.remove(deadline) };
  }

  /** The text without the secrets of this session, which a server may echo in any later reply. */
  redact(text: string): string {
    // In reverse order: LOGIN sends the user name before the password, which may contain it.
    return this.#secrets.reduceRight((rest, command) => command.hide(rest), text);
  }

  /** Calls back once when the session ends, at once if it has ended; the returned function cancels that. */
  onEnd(callback: () => void): () => void {
    if (this.#end !== undefined) callback();
    else this.#ending.add(callback);
    return () => this.#ending.delete(callback);
  }

  /** Waits for the caller's own work until the session ends. */
  orEnded<T>(work: Promise<T>, delivery?: DeliveryOutcome): Promise<T> {
    return new Promise((resolve, reject) => {
      const unlink = this.onEnd(() => reject(this.#end?.toError({ delivery })));
      work.then(resolve, reject).finally(unlink);
    });
  }

  /** Runs the caller's code; if that called this session, it would wait for itself. */
  runCallerCode<T>(callback: () => T): T {
    this.isInCallerCode = true;
    try {
      return fromMechanism(callback);
    } finally {
      this.isInCallerCode = false;
    }
  }

  /** Drops the connection now. All pending commands get the reason; later calls change nothing. */
  drop(end: SessionEnd): void {
    if (!this.#finish(end)) return;
    this.stream.abort(end.toError({}));
    this.#tellAwaited();
  }

  /** Ends the session in order: sends queued bytes, then closes the stream. */
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

  #deal(command: PendingCommand, reply: RawReply): void {
    const { code } = reply;
    const { traceEnabled: listener } = this.settings.events;
    // A challenge contains input of the next response.
    if (listener) listener.replied(command.shown, reply.reply, code === 334 ? MASK : this.redact(reply.message));
    if (command instanceof PipeliningGroup) return command.dispatch(reply);
    if (code === 235 && command.verb !== ".") this.authenticated = true;
    if (code >= 400) noteRefusal(reply.reply, command.verb);
    command.receiver?.replied(command, reply);
    if (command.verb === "QUIT") void this.#close(closed("the session was ended by QUIT"));
  }

  /** Prepares the server's text for an error: without secrets and control characters, of limited length. */
  #shown(text: string): string {
    return escapeControls(this.redact(text)).slice(0, 300);
  }

  #broken({ kind, detail }: Fault): void {
    this.drop((kind === "closing" ? disconnected : protocolBroken)(detail, new Error(detail)));
  }

  /** An incomplete last line is no reply, but may contain the reason; a challenge is masked. */
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
    // Bytes sent after a command give the server no more time to reply to it.
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

  /** The reader may still find a reply with the reason (SECURITY.md, rule 6); wait a short time for it. */
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
      if (command instanceof PipeliningGroup) command.lost();
      else command.receiver?.lost(command);
    }
    for (const ended of this.#ending) ended();
    this.#ending.clear();
  }
}
