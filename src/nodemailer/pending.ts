/** The mails that are not settled: those that a transport has, and those that nodemailer is building for it. */

/** What nodemailer makes of a transport: its `Mail`, whose `sendMail()` builds a mail and then calls `send()`. */
type Mailer = { sendMail(mail: unknown, callback?: Done | null): unknown };
type Done = (...outcome: unknown[]) => void;

/** Counts mails, and tells when there are none. */
export class PendingMails {
  /** Mails that the transport has. */
  sending = 0;
  /** Mails that were given to `sendMail()` before `close()`, those that the transport has included. */
  #given = 0;
  #isClosed = false;
  #waiting: (() => void)[] = [];

  /** True if no mail is taken: after `close()`, once all have come that were being built then. */
  get closed(): boolean {
    return this.#isClosed && this.#given <= this.sending;
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

  /** Resolves when no mail is pending. */
  async none(): Promise<void> {
    while (this.sending + this.#given > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Counts the mails that are given to `sendMail()`; those that come after `close()` are refused. */
  watch(mailer: Mailer, refusal: () => Error): void {
    const sendMail = mailer.sendMail.bind(mailer);
    const value = (mail: unknown, callback?: Done | null): unknown => {
      if (!this.#isClosed) return this.#counted(sendMail, mail, callback);
      if (!callback) return Promise.reject(refusal());
      void Promise.reject(refusal()).catch(callback);
      return undefined;
    };
    Object.defineProperty(mailer, "sendMail", { value, writable: true, configurable: true });
  }

  #counted(sendMail: Mailer["sendMail"], mail: unknown, callback: Done | null | undefined): unknown {
    this.#given++;
    try {
      if (callback) {
        return sendMail(mail, (...outcome) => {
          this.#returned();
          callback(...outcome);
        });
      }
      const sent = sendMail(mail);
      const returned = (): void => this.#returned();
      void Promise.resolve(sent).then(returned, returned);
      return sent;
    } catch (error) {
      this.#returned();
      throw error;
    }
  }

  #returned(): void {
    this.#given--;
    this.#settled();
  }

  #settled(): void {
    if (this.sending + this.#given === 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
