/**
 * One connection: a byte stream joined to a dialogue. One writer, and one reader that always runs, so that a server's
 * last words and its going away are seen at once, while a body is written and while the session rests.
 */
import type { ByteStream, PeerInfo } from "../byte-stream.ts";
import { Output } from "../core/bytes.ts";
import { Command, MASK } from "../core/command.ts";
import { type Dialogue, type Fault, makeDialogue, type Received, type SessionLimits } from "../core/dialogue.ts";
import { noteRefusal } from "../core/refused-command.ts";
import type { RawReply, Reply } from "../core/reply.ts";
import { type DeliveryOutcome, escapeControls, type TimeoutPhase } from "../errors.ts";
import { callerContext } from "./caller-context.ts";
import { fromMechanism } from "./caller-errors.ts";
import type { Chunking } from "./chunking.ts";
import { type Deadline, makeWatchdog, type Timeouts } from "./deadline.ts";
import type { Events } from "./events.ts";
import { reset } from "./reset.ts";
import { closed, disconnected, protocolBroken, type SessionEnd, textOf, timedOut } from "./session-end.ts";

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
export type Connection = {
  /** The protocol's state. */
  readonly dialogue: Dialogue;
  /** What will leave with the next `flush()`. */
  readonly output: Output;
  /** The bytes underneath; who upgrades them calls `listen()` afterwards. */
  readonly stream: ByteStream;
  /** How the connection behaves. */
  readonly settings: ConnectionSettings;
  /** The server's greeting. */
  readonly greeting: Promise<Reply>;
  /** True if the last reply that the caller fetched was a challenge: his next line is a secret. */
  challenged: boolean;
  /** Called when a part of a reply is here while a message's content is on its way. */
  partlyReplied: (() => void) | undefined;
  /** True while the caller's code runs. */
  callingOut: boolean;
  /** True once an AUTH was answered with 235. */
  authenticated: boolean;
  /** True once a BDAT was answered with 2yz: no later reply says that the server does not know the command. */
  bdatAccepted: boolean;
  /**
   * What is known of the server and commands that come in groups (RFC 2920): "suspect" if the session was lost with
   * several commands unanswered and no group had been answered before.
   */
  grouping: "untested" | "proven" | "suspect";
  /** Both ends of the connection. */
  readonly peer: PeerInfo;
  /** Why the session is over, or undefined while it lives. */
  readonly end: SessionEnd | undefined;
  /** What broke the protocol, if that is what ended the session. */
  readonly fault: Fault | undefined;
  /** False once a write has failed: the reader then finds out why. */
  readonly writable: boolean;

  /** Puts a command into the output; its receiver will be told. For DATA, `end` will stand for the end of the message. */
  send(command: Command, end?: Command): void;
  /** Sends one command and gives the reply to it; `delivery` is what a lost connection says of the call's message. */
  request(command: Command, delivery?: DeliveryOutcome): Promise<Reply>;
  /** The reply to a command, once the dialogue has it; `delivery` as for `request`. */
  replyTo(command: Command, delivery?: DeliveryOutcome): Promise<Reply>;
  /** Hands the replies to those who wait for them. */
  take(received: Received): void;
  /** To be asked before a call sends its first command: what came while nothing was awaited can never answer it. */
  checkIdle(): void;
  /**
   * Writes what the output holds. Undefined: the transport took it; a promise: it will. Failures do not show here:
   * they end the session, and with it all that is awaited.
   */
  flush(): Promise<void> | undefined;
  /** Reads until the session ends, or until TLS has to begin. */
  listen(): Promise<void>;
  /** The clock runs for the first reply awaited, from the moment its command has left or the reply before it came. */
  armReply(): void;
  /** Whether the process lives as long as the connection, which it does at first; not while a pool has no use for it. */
  holdProcess(hold: boolean): void;
  /** A deadline of the caller's on this connection; when it is reached, the session ends. */
  bound(phase: TimeoutPhase, seconds: number | undefined, end?: SessionEnd): { release(): void };
  /** The text without the secrets of this session, which a server may echo in a later reply, too. */
  hide(text: string): string;
  /** Calls back once when the session is over, at once if it is; the returned function ends that. */
  onEnd(callback: () => void): () => void;
  /** Waits for the caller's own work, but not longer than the session lasts. */
  unlessEnded<T>(work: Promise<T>, delivery?: DeliveryOutcome): Promise<T>;
  /** Calls back into the caller's code; a call of his on this session would wait for itself there. */
  callOut<T>(callback: () => T): T;
  /** Drops the connection now. All that is awaited is told why; later calls change nothing. */
  drop(end: SessionEnd): void;
  /** Ends the session in order: what is queued is sent, then the stream is closed. */
  close(): Promise<void>;
};

/** Takes over a connected stream; the greeting is awaited at once. */
export function makeConnection(stream: ByteStream, settings: ConnectionSettings): Connection {
  const { events, timeouts } = settings;
  const watchdog = makeWatchdog(expired);
  const replyDeadline = watchdog.add("greeting");
  const writeDeadline = watchdog.add("dataBlock");
  const output = new Output();
  const ending = new Set<() => void>();
  const secrets: Command[] = [];
  let flushing: Promise<void> | undefined;
  let armedFor: Command | undefined;
  let writeError: { readonly error: unknown } | undefined;
  let sessionEnd: SessionEnd | undefined;
  let fault: Fault | undefined;
  let closing: Promise<void> | undefined;

  const greeting = Command.greeting();
  const dialogue = makeDialogue(greeting, settings);

  const connection: Connection = {
    dialogue,
    output,
    stream,
    settings,
    greeting: replyTo(greeting),
    challenged: false,
    partlyReplied: undefined,
    callingOut: false,
    authenticated: false,
    bdatAccepted: false,
    grouping: "untested",

    get peer() {
      return stream.peer;
    },

    get end() {
      return sessionEnd;
    },

    get fault() {
      return fault;
    },

    get writable() {
      return isWritable();
    },

    send,

    request(command, delivery) {
      checkIdle();
      if (sessionEnd) return Promise.reject(sessionEnd.toError({ delivery }));
      if (dialogue.needsReset(command.verb)) return reset(connection).then(() => connection.request(command, delivery));
      const reply = replyTo(command, delivery);
      send(command);
      flush();
      return reply;
    },

    replyTo,
    take,
    checkIdle,
    flush,
    listen,
    armReply,

    holdProcess(hold) {
      if (sessionEnd) return;
      if (hold) stream.ref?.();
      else stream.unref?.();
      watchdog.hold(hold);
    },

    bound(phase, seconds, end) {
      const deadline = watchdog.add(phase);
      deadline.end = end;
      watchdog.arm(deadline, phase, seconds);
      return { release: () => watchdog.remove(deadline) };
    },

    hide,
    onEnd,

    unlessEnded(work, delivery) {
      return new Promise((resolve, reject) => {
        const unlink = onEnd(() => reject(sessionEnd?.toError({ delivery })));
        work.then(resolve, reject).finally(unlink);
      });
    },

    callOut(callback) {
      connection.callingOut = true;
      try {
        return fromMechanism(callback);
      } finally {
        connection.callingOut = false;
      }
    },

    drop,

    close: () => end(closed("the connection is closed")),
  };

  async function end(why: SessionEnd): Promise<void> {
    if (finish(why)) {
      closing = stream.close().catch(() => {});
      tellAwaited();
    }
    await closing;
  }

  function isWritable(): boolean {
    return !(sessionEnd || writeError);
  }

  function send(command: Command, end?: Command): void {
    dialogue.send(command, output, end);
    if (command.secret) secrets.push(command);
    const { traceEnabled } = events;
    if (traceEnabled === undefined) return;
    command.within = callerContext();
    if (end !== undefined) end.within = command.within;
    traceEnabled.sent(command.verb, command.shown);
  }

  function replyTo(command: Command, delivery?: DeliveryOutcome): Promise<Reply> {
    return new Promise((resolve, reject) => {
      command.receiver = {
        replied: (_, { reply }) => resolve(reply),
        lost: () => reject(sessionEnd?.toError({ delivery })),
      };
    });
  }

  function take({ exchanges, fault: found }: Received): void {
    // Known before the replies are told: who would go on because of one of them must not.
    if (found) fault = { ...found, detail: shown(found.detail) };
    for (const { command, reply } of exchanges) {
      if (command.within === undefined) deal(command, reply);
      else command.within(() => deal(command, reply));
    }
    if (fault) broken(fault);
    else if (exchanges.length > 0) armReply();
    if (connection.partlyReplied !== undefined && dialogue.leftover) connection.partlyReplied();
  }

  function deal(command: Command, reply: RawReply): void {
    // A challenge holds what the next response is computed from.
    const { traceEnabled: listener } = events;
    if (listener) listener.replied(command.shown, reply.reply, reply.code === 334 ? MASK : hide(reply.message));
    if (reply.code === 235 && command.verb !== ".") connection.authenticated = true;
    if (reply.code >= 400) noteRefusal(reply.reply, command.verb);
    command.receiver?.replied(command, reply);
    if (command.verb === "QUIT") void end(closed("the session was ended by QUIT"));
  }

  function checkIdle(): void {
    if (dialogue.owed > 0 || sessionEnd) return;
    if (dialogue.unfetched) drop(disconnected(dialogue.unfetched));
    else if (dialogue.leftover) {
      const cause = new Error(shown(dialogue.rest));
      drop(disconnected("the server sent something that nothing asked for", cause));
    }
  }

  function flush(): Promise<void> | undefined {
    if (flushing) return flushing.then(flush);
    if (output.length > 0) flushing = write(output.take(), 0);
    return flushing;
  }

  async function listen(): Promise<void> {
    try {
      while (!sessionEnd && dialogue.position !== "ready-for-tls") {
        const bytes = await stream.read();
        if (sessionEnd) return;
        if (bytes === null) return lost(serverClosed());
        take(dialogue.receive(bytes));
      }
    } catch (error) {
      lost(error);
    }
  }

  function armReply(): void {
    armedFor = flushing || dialogue.position === "body" ? undefined : dialogue.head;
    if (armedFor) watchdog.arm(replyDeadline, armedFor.phase, timeouts()[armedFor.phase]);
    else watchdog.disarm(replyDeadline);
  }

  function hide(text: string): string {
    // The last first: LOGIN sends the user's name, which may be a part of the password, before that.
    return secrets.reduceRight((rest, command) => command.hide(rest), text);
  }

  function onEnd(callback: () => void): () => void {
    if (sessionEnd) callback();
    else ending.add(callback);
    return () => ending.delete(callback);
  }

  function drop(end: SessionEnd): void {
    if (!finish(end)) return;
    stream.abort(end.toError({}));
    tellAwaited();
  }

  /** Text of the server's as an error may have it: no secret, no control character, no end of it. */
  function shown(text: string): string {
    return escapeControls(hide(text)).slice(0, 300);
  }

  function broken({ kind, detail }: Fault): void {
    drop((kind === "closing" ? disconnected : protocolBroken)(detail, new Error(detail)));
  }

  /** A last line without its end is no reply, but may say why; a challenge is not shown. */
  function serverClosed(): Error {
    const cut = secrets.reduceRight((text, command) => command.hideCut(text), dialogue.rest.replace(/^334.*/s, MASK));
    const rest = shown(cut);
    if (rest === "") return new Error("the server closed the connection");
    const cause = new Error(rest);
    return new Error(`the server closed the connection within a line: ${rest}`, { cause });
  }

  function lost(error: unknown): void {
    suspect();
    drop(disconnected(`connection lost: ${textOf(error)}`, writeError?.error ?? error));
  }

  function write(pieces: readonly Uint8Array[], from: number): Promise<void> | undefined {
    for (let at = from; at < pieces.length; at++) {
      const blocked = writePiece(pieces[at]);
      if (blocked) return unblocked(blocked).then(() => write(pieces, at + 1));
    }
    flushing = undefined;
    // What leaves behind a command gives the server no more time to answer that.
    if (armedFor !== dialogue.head) armReply();
    return undefined;
  }

  function writePiece(piece: Uint8Array | undefined): Promise<void> | undefined {
    try {
      return piece && isWritable() ? stream.write(piece) : undefined;
    } catch (error) {
      writeFailed(error);
      return undefined;
    }
  }

  async function unblocked(blocked: Promise<void>): Promise<void> {
    watchdog.arm(writeDeadline, "dataBlock", timeouts().dataBlock);
    try {
      await blocked;
      if (isWritable()) watchdog.disarm(writeDeadline);
    } catch (error) {
      writeFailed(error);
    }
  }

  /** The reader may still find a reply that says why (SECURITY 6.2); it gets a moment for it. */
  function writeFailed(error: unknown): void {
    if (!isWritable()) return;
    writeError = { error };
    watchdog.arm(writeDeadline, "dataBlock", GRACE);
  }

  function expired(deadline: Deadline): void {
    if (writeError) return lost(writeError.error);
    if (deadline === replyDeadline) suspect();
    drop(deadline.end ?? timedOut(deadline.phase, timeouts()[deadline.phase]));
  }

  function suspect(): void {
    if (connection.grouping === "untested" && dialogue.owed > 1) connection.grouping = "suspect";
  }

  function finish(end: SessionEnd): boolean {
    if (sessionEnd) return false;
    sessionEnd = end;
    watchdog.close();
    return true;
  }

  function tellAwaited(): void {
    for (const command of dialogue.end()) command.receiver?.lost(command);
    for (const ended of ending) ended();
    ending.clear();
  }

  connection.greeting.catch(() => {});
  armReply();
  listen();
  return connection;
}
