/** What a session reports of itself. Usually nobody listens, so each event asks first whether anyone does. */
import type { Endpoint } from "../byte-stream.ts";
import type { Logger } from "./logger.ts";
import { Observer, type Subject } from "./observer.ts";
import type { Delivery } from "./outcome.ts";
import type { ReadOutcome } from "./pending-call.ts";

/** A session's events. */
export class Events {
  /** Python's debug level: 1 prints the dialogue with `console.error`, 2 with the time of day as well. */
  debuglevel = 0;
  /** The protocol of the session. */
  readonly protocol: "smtp" | "lmtp";
  /** The caller's logger. */
  readonly logger: Logger | undefined;
  /** The server's address, as soon as it is known. */
  endpoint: Endpoint | undefined;
  /** Reports every event, whether anyone listens or not. */
  readonly observer: Observer;

  constructor(logger?: Logger, protocol: "smtp" | "lmtp" = "smtp") {
    this.logger = logger;
    this.protocol = protocol;
    this.observer = new Observer(this);
  }

  /** The observer if anyone listens to anything now: ask before an event is made. */
  get enabled(): Observer | undefined {
    return this.observer.heard ? this.observer : undefined;
  }

  /** The observer if anyone listens to commands and replies now. */
  get traceEnabled(): Observer | undefined {
    return this.observer.hearsDialogue ? this.observer : undefined;
  }

  /**
   * Reports a message, delivers it, and reports the outcome. `deliver` resolves with what `read` makes of the outcome. To be
   * called if `enabled` says that anyone listens.
   */
  delivering<Result>(
    subject: Subject | Promise<Subject>,
    read: ReadOutcome<Result>,
    deliver: <Read>(read: ReadOutcome<Read>) => Promise<Read>,
  ): Promise<Result> {
    return this.observer.delivering(subject, () => deliver(unchanged)).then(read);
  }
}

function unchanged(outcome: Delivery): Delivery {
  return outcome;
}
