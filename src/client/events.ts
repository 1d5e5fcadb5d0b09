/** What a session tells of itself, where anyone listens. Nobody mostly does: who tells is loaded with a connection. */
import type { Endpoint } from "../byte-stream.ts";
import { lazy } from "./lazy.ts";
import type { Logger } from "./logger.ts";
import type { Observer, Subject } from "./observer.ts";
import type { Delivery } from "./outcome.ts";

const observers = lazy(() => import("./observer.ts"));

/** A session's events, as far as every session has to know of them. */
export class Events {
  /** Python's debug level: 1 prints the dialogue with `console.error`, 2 with the time of day as well. */
  debuglevel = 0;
  /** Which of the two is spoken. */
  readonly protocol: "smtp" | "lmtp";
  /** The caller's logger. */
  readonly logger: Logger | undefined;
  /** Where the session goes, as soon as that is known. */
  endpoint: Endpoint | undefined;
  #observer: Observer | undefined;

  constructor(logger?: Logger, protocol: "smtp" | "lmtp" = "smtp") {
    this.logger = logger;
    this.protocol = protocol;
  }

  /** Whoever is to be told of what happens now: to be asked before an event is made. */
  get observer(): Observer | undefined {
    return this.#observer?.heard ? this.#observer : undefined;
  }

  /** Whoever is to be told of a command or a reply now: what is asked for each of them. */
  get listener(): Observer | undefined {
    return this.#observer?.hearsDialogue ? this.#observer : undefined;
  }

  /** Gets ready to tell. */
  load(): Observer | Promise<Observer> {
    return observers(({ Observer }) => {
      this.#observer ??= new Observer(this);
      return this.#observer;
    });
  }

  /** Delivers a message, and tells of it. */
  delivering(subject: Subject | Promise<Subject>, deliver: () => Promise<Delivery>): Promise<Delivery> {
    const loading = this.load();
    if (!(loading instanceof Promise)) return this.observer?.delivering(subject, deliver) ?? deliver();
    const outcome = deliver();
    // Whoever listens is told in the caller's context all the same: promises keep it.
    loading.then(
      () => void this.observer?.delivering(subject, () => outcome),
      () => {},
    );
    return outcome;
  }
}
