/** Emits a session's events. Usually nothing listens, so each event checks for a listener first. */
import type { Endpoint } from "../byte-stream.ts";
import type { Logger } from "./logger.ts";
import { Observer, type Subject } from "./observer.ts";
import type { Delivery } from "./outcome.ts";
import type { ReadOutcome } from "./pending-call.ts";

/** A session's events. */
export class Events {
  /** Python's debug level: 1 prints the dialogue with `console.error`, 2 adds the time of day. */
  debuglevel = 0;
  /** The protocol of the session. */
  readonly protocol: "smtp" | "lmtp";
  /** The caller's logger. */
  readonly logger: Logger | undefined;
  /** The server's address, once it is known. */
  endpoint: Endpoint | undefined;
  /** Reports every event, even without a listener. */
  readonly observer: Observer;

  constructor(logger?: Logger, protocol: "smtp" | "lmtp" = "smtp") {
    this.logger = logger;
    this.protocol = protocol;
    this.observer = new Observer(this);
  }

  /** The observer if any event has a listener: check before creating an event. */
  get enabled(): Observer | undefined {
    return this.observer.heard ? this.observer : undefined;
  }

  /** The observer if commands and replies have a listener. */
  get traceEnabled(): Observer | undefined {
    return this.observer.hearsDialogue ? this.observer : undefined;
  }

  /**
   * Reports a message, delivers it, and reports the outcome. `deliver` resolves with the value that `read` makes of the
   * outcome. Call it if `enabled` is defined.
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
