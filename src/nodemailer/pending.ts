/** Counts the unsettled mails: those that a transport has, and those that nodemailer is building for it. */
import { holdProcess } from "../client/timer.ts";

/** nodemailer's `Mail`, whose `sendMail()` builds a mail and then calls the transport's `send()`. */
type Mailer = { sendMail(mail: unknown, callback?: Done | null): unknown };
type Done = (...outcome: unknown[]) => void;
/** A mail with the `Mail` that built it. */
type Built = { readonly mailer?: unknown };

/** How long `none()` waits for mails that are still being built, in milliseconds. */
const BUILDING_TIMEOUT = 30_000;

/** Counts mails, and resolves when there are none. */
export class PendingMails {
  /** Mails that the transport has. */
  sending = 0;
  /**
   * The mails passed to `sendMail()` before `close()`, including those of the transport, with a function to refuse
   * each.
   */
  readonly #given = new Set<(error: Error) => void>();
  readonly #mailers = new WeakSet<object>();
  #isClosed = false;
  #hasGivenUp = false;
  #waiting: (() => void)[] = [];

  /** True if the mail may be sent: after `close()`, only a mail that was being built at that time. */
  takes(mail: Built): boolean {
    return !this.#isClosed || (!this.#hasGivenUp && this.#isBuilt(mail));
  }

  /** Accepts no more mails, except for those that are being built. */
  close(): void {
    this.#isClosed = true;
  }

  /** Counts a mail that the transport got. */
  begin(): void {
    this.sending++;
  }

  /** Counts a mail that is settled. */
  end(): void {
    this.sending--;
    this.#settled();
  }

  /** Resolves when no mail is pending; waits up to 30 seconds for mails that are still being built. */
  async none(): Promise<void> {
    if (this.#isDone()) return;
    const timer = setTimeout(() => this.giveUp(), BUILDING_TIMEOUT);
    holdProcess(timer, false);
    while (!this.#isDone()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    clearTimeout(timer);
  }

  /** Ends the wait for mails that are still being built: a plug-in of nodemailer may never call back. */
  giveUp(): void {
    this.#hasGivenUp = true;
    this.#settled();
  }

  /** Refuses the mails whose `sendMail()` has not ended, when the wait for them ends. */
  refuse(refusal: () => Error): void {
    if (this.#hasGivenUp) for (const refuse of [...this.#given]) refuse(refusal());
  }

  /** Counts the mails passed to `sendMail()`; refuses those after `close()`. */
  watch(mailer: Mailer, refusal: () => Error): void {
    this.#mailers.add(mailer);
    const sendMail = mailer.sendMail.bind(mailer);
    const value = (mail: unknown, callback?: Done | null): unknown => {
      if (!this.#isClosed) {
        return callback ? this.#withCallback(sendMail, mail, callback) : this.#withPromise(sendMail, mail);
      }
      if (!callback) return Promise.reject(refusal());
      void Promise.reject(refusal()).catch(callback);
      return undefined;
    };
    Object.defineProperty(mailer, "sendMail", { value, writable: true, configurable: true });
  }

  #withCallback(sendMail: Mailer["sendMail"], mail: unknown, callback: Done): unknown {
    const done: Done = (...outcome) => {
      // A refused mail may still be built later: its caller has its answer.
      if (this.#returned(done)) callback(...outcome);
    };
    this.#given.add(done);
    try {
      return sendMail(mail, done);
    } catch (error) {
      this.#returned(done);
      throw error;
    }
  }

  #withPromise(sendMail: Mailer["sendMail"], mail: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        this.#returned(fail);
        reject(error);
      };
      const succeed = (info: unknown): void => {
        this.#returned(fail);
        resolve(info);
      };
      this.#given.add(fail);
      try {
        void Promise.resolve(sendMail(mail)).then(succeed, fail);
      } catch (error) {
        fail(error);
      }
    });
  }

  /** Removes a mail from the list; false if it was not there. */
  #returned(refuse: (error: Error) => void): boolean {
    const wasGiven = this.#given.delete(refuse);
    this.#settled();
    return wasGiven;
  }

  #isBuilt({ mailer }: Built): boolean {
    return typeof mailer === "object" && mailer !== null && this.#mailers.has(mailer);
  }

  #isDone(): boolean {
    return this.sending === 0 && (this.#given.size === 0 || this.#hasGivenUp);
  }

  #settled(): void {
    if (this.#isDone()) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
