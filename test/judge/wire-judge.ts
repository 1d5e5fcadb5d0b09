/**
 * Finds a client's violations on the wire, by the texts of RFC 5321, 2920, 3030, 3207, 4954, 2033, 6531, 1870 and 3461.
 * It shares no code with the client. Each rule is named by its section.
 */
import { checkForm, checkLine } from "./command-line.ts";
import type { JudgedTransaction } from "./judged-transaction.ts";
import { LoginRules } from "./login-rules.ts";
import { type JudgedReply, ReplyReader } from "./replies.ts";
import { SessionRules } from "./session-rules.ts";
import { TransactionRules } from "./transaction-rules.ts";
import { type Circumstances, latin1, type Violation, type WireEvent } from "./transcript.ts";

/** A command whose reply is outstanding. "." and "LAST" stand for the ends of DATA and BDAT. */
type Pending = { readonly verb: string; readonly transaction: JudgedTransaction | undefined };

/** The commands that another one may follow before their reply (RFC 2920 3.1, RFC 3030 4.2). */
const GROUPED = new Set(["MAIL", "RCPT", "RSET", "BDAT", "LAST", "."]);

/** Judges one connection; feed it with `take()`, and read `violations`. */
export class WireJudge {
  readonly violations: Violation[] = [];
  readonly #session: SessionRules;
  readonly #login: LoginRules;
  readonly #mail: TransactionRules;
  readonly #replies = new ReplyReader();
  /** Replies that came while no command was outstanding. */
  readonly #unclaimed: JudgedReply[] = [];
  readonly #pending: Pending[] = [{ verb: "greeting", transaction: undefined }];
  /** The code of the last reply to each command. */
  readonly #answered = new Map<string, number>();
  /** The reason why nothing more may be sent: when it was received, and once the client has acted on it. */
  #over: string | undefined;
  #overSettled: string | undefined;
  #manual = false;
  #line = "";

  constructor(circumstances: Circumstances) {
    const fail = (rule: string, detail: string): void => this.#fail(rule, detail);
    this.#session = new SessionRules(circumstances, fail);
    this.#login = new LoginRules(circumstances.clearTextAllowed, fail);
    this.#mail = new TransactionRules(circumstances, () => this.#session.features, fail);
  }

  /** The transactions so far. */
  get transactions(): JudgedTransaction[] {
    return this.#mail.transactions;
  }

  /** True once the caller has sent its own bytes on this connection. */
  get manual(): boolean {
    return this.#manual;
  }

  /** True once no more replies can come on this connection. */
  get over(): boolean {
    return this.#over !== undefined;
  }

  /** Takes the next event. */
  take(event: WireEvent): void {
    switch (event.kind) {
      case "write":
        return this.#write(event.bytes);
      case "read":
        return this.#read(event.bytes);
      case "settled":
        return this.#settled();
      case "tls":
        this.#session.secured(this.#replies.partial || this.#unclaimed.length > 0, this.#manual);
        this.#replies.reset();
        this.#login.forget();
        return;
      case "credited":
        return this.#credited(event.verb.toUpperCase(), event.code);
      case "manual":
        this.#manual = true;
        return;
      case "chosen-auth":
        this.#login.chosen = true;
        return;
      case "clear-text-allowed":
        this.#login.clearTextAllowed = true;
        return;
      case "closed":
        return this.#closed();
      case "lost":
        // The client may still write until it has acted on this.
        this.#over ??= "the server ended the connection";
        return;
      case "dropped":
        this.#over ??= "the connection is over";
        this.#overSettled = this.#over;
    }
  }

  #fail(rule: string, detail: string): void {
    this.violations.push({ rule, detail });
  }

  #write(bytes: Uint8Array): void {
    if (this.#manual || bytes.length === 0) return;
    if (this.#overSettled !== undefined) {
      return this.#fail("RFC 5321 3.8: nothing is sent once the session is over", this.#overSettled);
    }
    this.#session.write();
    this.#mail.write();
    let at = 0;
    while (at < bytes.length) at = this.#mail.takesContent ? this.#mail.content(bytes, at) : this.#text(bytes, at);
  }

  /** Consumes a line, or the beginning of one; returns where the next part begins. */
  #text(bytes: Uint8Array, at: number): number {
    const end = bytes.indexOf(10, at);
    this.#line += latin1(bytes.subarray(at, end < 0 ? bytes.length : end + 1));
    if (end < 0) return bytes.length;
    const line = this.#line;
    this.#line = "";
    this.#command(line);
    return end + 1;
  }

  #command(wire: string): void {
    const { challenged } = this.#login;
    const fail = (rule: string, detail: string): void => this.#fail(rule, detail);
    const line = checkLine(wire, challenged, fail);
    this.#session.line(challenged ? "" : line);
    if (challenged) {
      this.#login.challenged = false;
      return this.#await("AUTH");
    }
    const verb = checkForm(line, fail);
    this.#checkGroup(verb);
    this.#session.command(verb, line);
    if (verb === "AUTH") {
      const { tls, features } = this.#session;
      this.#login.command(line, features, { tls, inTransaction: this.#mail.open });
    }
    this.#await(this.#mail.command(verb, line, this.#pending.length));
  }

  /** RFC 2920 3.1: the commands that another one may follow before their reply. */
  #checkGroup(verb: string): void {
    const last = this.#pending.at(-1);
    if (last === undefined || last.verb === "greeting") return;
    if (!this.#session.features.has("PIPELINING")) {
      this.#fail("RFC 5321 4.3.1: one command, one reply without PIPELINING", `${verb} behind ${last.verb}`);
    } else if (!GROUPED.has(last.verb)) {
      this.#fail("RFC 2920 3.1: this command ends a group", `${last.verb} is followed by ${verb}`);
    }
  }

  #await(verb: string): void {
    this.#pending.push({ verb, transaction: this.#mail.current });
    const early = this.#unclaimed.shift();
    if (early !== undefined) this.#reply(early);
  }

  #read(bytes: Uint8Array): void {
    for (const reply of this.#replies.push(bytes)) this.#reply(reply);
    if (this.#replies.broken !== undefined) this.#over ??= this.#replies.broken;
  }

  #settled(): void {
    // A command that was sent before the client acted on these bytes may be answered by them.
    if (this.#pending.length === 0 && (this.#unclaimed.length > 0 || this.#replies.partial)) {
      this.#over ??= "bytes that nothing asked for";
    }
    this.#overSettled = this.#over;
  }

  #reply(reply: JudgedReply): void {
    const pending = this.#pending[0];
    if (reply.code === 421) this.#over ??= "421";
    if (pending === undefined) {
      this.#unclaimed.push(reply);
      return;
    }
    const stays = this.#answer(pending, reply);
    if (!stays) this.#pending.shift();
  }

  /** Applies a reply to the command that it answers; true: another reply answers the same command. */
  #answer({ verb, transaction }: Pending, reply: JudgedReply): boolean {
    const { code } = reply;
    this.#answered.set(verb, code);
    if (verb === "." || verb === "LAST") return this.#final(verb, transaction, code);
    this.#session.answer(verb, reply);
    this.#mail.answer(verb, transaction, code);
    if (verb === "AUTH") this.#login.answer(code);
    if (/^[EHL][HEL]LO$/.test(verb) && code < 300) this.#mail.reset();
    if (verb === "DATA" && code === 354) {
      this.#mail.begin();
      // The reply to the end is awaited from the 354 on: an early one answers the content.
      this.#await(".");
    }
    return false;
  }

  #final(verb: "." | "LAST", transaction: JudgedTransaction | undefined, code: number): boolean {
    if (transaction === undefined) return false;
    if (transaction.endSent) return this.#mail.final(transaction, code, verb);
    transaction.refusedEarly ??= code;
    this.#over ??= `an answer to the content before its end: ${code}`;
    return false;
  }

  #credited(verb: string, code: number): void {
    if (this.#manual || this.#answered.get(verb) === code) return;
    const was = this.#answered.get(verb) ?? "none";
    this.#fail("RFC 5321 4.2: a reply answers its own command", `${verb}: ${code}, but the last reply to it is ${was}`);
  }

  #closed(): void {
    if (!this.#manual && this.#over === undefined) {
      this.#session.closed();
      this.#mail.closed();
    }
    this.#over ??= "the client closed the connection";
    this.#overSettled = this.#over;
  }
}
