/** The mails that are not settled: those that a transport has, and those that nodemailer is building for it. */
import { holdProcess } from "../client/timer.ts";

/** What nodemailer makes of a transport: its `Mail`, whose `sendMail()` builds a mail and then calls `send()`. */
type Mailer = { sendMail(mail: unknown, callback?: Done | null): unknown };
type Done = (...outcome: unknown[]) => void;
/** A mail, as far as it tells where it comes from. */
type Built = { readonly mailer?: unknown };

/** How long `none()` waits for mails that are still being built: milliseconds. */
const BUILDING_TIMEOUT = 30_000;

/** Counts mails, and tells when there are none. */
export class PendingMails {
  /** Mails that the transport has. */
  sending = 0;
  /** Mails that were given to `sendMail()` before `close()`, those that the transport has included: how to refuse each. */
  readonly #given = new Set<(error: Error) => void>();
  readonly #mailers = new WeakSet<object>();
  #isClosed = false;
  #hasGivenUp = false;
  #waiting: (() => void)[] = [];

  /** True if the mail is to be sent: after `close()`, only one that was being built then, and is waited for. */
  takes(mail: Built): boolean {
    return !this.#isClosed || (!this.#hasGivenUp && this.#isBuilt(mail));
  }

  /** Takes no more mails, except for those that are being built. */
  close(): void {
    this.#isClosed = true;
  }

  /** The transport got a mail. */
  begin(): void {
    this.sending++;
  }

  /** That mail is settled. */
  end(): void {
    this.sending--;
    this.#settled();
  }

  /** Resolves when no mail is pending; mails that are still being built are waited for 30 seconds. */
  async none(): Promise<void> {
    if (this.#isDone()) return;
    const timer = setTimeout(() => this.giveUp(), BUILDING_TIMEOUT);
    holdProcess(timer, false);
    while (!this.#isDone()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    clearTimeout(timer);
  }

  /** Ends the wait for mails that are still being built: a plug-in of nodemailer's may never call back. */
  giveUp(): void {
    this.#hasGivenUp = true;
    this.#settled();
  }

  /** Refuses the mails whose `sendMail()` has not ended, once the wait for them was given up. */
  refuse(refusal: () => Error): void {
    if (this.#hasGivenUp) for (const refuse of [...this.#given]) refuse(refusal());
  }

  /** Counts the mails that are given to `sendMail()`; those that come after `close()` are refused. */
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
      // A mail that was refused may be built later: its caller has its answer.
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

  /** Takes a mail off the list; false if it was off already. */
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
