/** Commands of one message that are sent together (RFC 2920 3.1): one entry of the dialogue awaits their replies. */
import type { TimeoutPhase } from "../errors.ts";
import type { RawReply } from "./reply.ts";

/** The commands of a group, and the replies so far. */
export abstract class PipeliningGroup {
  /** The lines of the commands. */
  readonly wire: string;
  /** The replies so far, in order. */
  readonly replies: RawReply[] = [];
  /** False once a reply was negative: other than 2yz, or 354 to DATA. */
  isAccepted = true;
  /** Runs observers and the receiver in the context of the call; set if there are observers. */
  within: (<Result>(work: () => Result) => Result) | undefined = undefined;

  #lines: readonly string[] | undefined;

  /** @param wire - the lines of the commands, each with CRLF */
  constructor(wire: string) {
    this.wire = wire;
  }

  /** The verb that the next reply answers; "." for the message. */
  get verb(): string {
    return this.verbOf(this.replies.length);
  }

  /** The lines of the commands, without CRLF. */
  get lines(): readonly string[] {
    this.#lines ??= this.wire.split("\r\n").slice(0, -1);
    return this.#lines;
  }

  /** The timeout that limits the wait for the next reply. */
  abstract get phase(): TimeoutPhase;

  /** The number of pending replies. */
  abstract get pendingReplies(): number;

  /** The line that the next reply for `dispatch()` answers; "." for the message. */
  abstract get shown(): string;

  /** The verb that a reply answers; "." for the message. */
  abstract verbOf(index: number): string;

  /** Adds the next reply. Must not do more: bytes that arrived with it may end the session. */
  abstract take(reply: RawReply): void;

  /** Passes on a reply that was taken, in order. */
  abstract dispatch(reply: RawReply): void;

  /** Called if the missing replies will not come. */
  abstract lost(): void;
}
