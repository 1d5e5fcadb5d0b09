/**
 * Says what a client did wrong on the wire, by the texts of RFC 5321, 2920, 3030, 3207, 4954, 2033, 6531, 1870 and 3461.
 * It shares no code with the client. Each rule is named by the section that it comes from.
 */
import { ContentReader } from "./content.ts";
import { JudgedTransaction } from "./judged-transaction.ts";
import { checkParameters } from "./parameters.ts";
import { type JudgedReply, ReplyReader } from "./replies.ts";
import type { Circumstances, Violation, WireEvent } from "./transcript.ts";

/** A command whose reply is outstanding. */
type Pending = { readonly verb: string; readonly transaction: JudgedTransaction | undefined };

const GROUPED = new Set(["MAIL", "RCPT", "RSET", "BDAT", "LAST", "."]);
const SHOWS_SECRET = new Set(["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"]);

/** Judges one connection; feed it with `take()`, and read `violations`. */
export class WireJudge {
  readonly violations: Violation[] = [];
  readonly transactions: JudgedTransaction[] = [];
  readonly #circumstances: Circumstances;
  readonly #replies = new ReplyReader();
  /** Replies that came while no command was outstanding. */
  readonly #unclaimed: JudgedReply[] = [];
  readonly #pending: Pending[] = [{ verb: "greeting", transaction: undefined }];
  #features: ReadonlyMap<string, string> = new Map();
  #greeted = false;
  #welcome = false;
  #introduced = false;
  #tls: boolean;
  #awaitsTls = false;
  #authenticated = false;
  #authChosen = false;
  #clearTextAllowed: boolean;
  #challenged = false;
  #awaitsEhlo = false;
  #quit = false;
  /** Why nothing more may be sent: as soon as it was received, and once the client has acted on it. */
  #over: string | undefined;
  #overSettled: string | undefined;
  #manual = false;
  #transaction: JudgedTransaction | undefined;
  #open = false;
  #content: ContentReader | undefined;
  #chunk: { left: number; last: boolean } | undefined;
  #line = "";
  #resetInWrite = false;

  constructor(circumstances: Circumstances) {
    this.#circumstances = circumstances;
    this.#tls = circumstances.implicitTls === true;
    this.#clearTextAllowed = circumstances.clearTextAllowed;
  }

  /** True once the caller spoke for itself on this connection. */
  get manual(): boolean {
    return this.#manual;
  }

  /** Takes the next event. */
  take(event: WireEvent): void {
    switch (event.kind) {
      case "write":
        return this.#write(event.bytes);
      case "read":
        for (const reply of this.#replies.push(event.bytes)) this.#reply(reply);
        if (this.#replies.broken !== undefined) this.#over ??= this.#replies.broken;
        return;
      case "settled":
        // A command that left before the client has acted on these bytes is answered by them, for all it can know.
        if (this.#pending.length === 0 && (this.#unclaimed.length > 0 || this.#replies.partial)) {
          this.#over ??= "bytes that nothing asked for";
        }
        this.#overSettled = this.#over;
        return;
      case "tls":
        return this.#secured();
      case "manual":
        this.#manual = true;
        return;
      case "chosen-auth":
        this.#authChosen = true;
        return;
      case "clear-text-allowed":
        this.#clearTextAllowed = true;
        return;
      case "closed":
        return this.#closed();
      case "lost":
        // What is on its way within the client may still be written, until it has acted on this.
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
    if (this.#awaitsTls) this.#fail("RFC 3207 4: nothing is sent between STARTTLS and the handshake", "");
    this.#resetInWrite = false;
    let at = 0;
    while (at < bytes.length) at = this.#part(bytes, at);
  }

  /** Consumes content, a chunk, or a line; returns where the next part begins. */
  #part(bytes: Uint8Array, at: number): number {
    if (this.#content !== undefined) return this.#readContent(this.#content, bytes, at);
    if (this.#chunk !== undefined) return this.#readChunk(this.#chunk, bytes, at);
    const end = bytes.indexOf(10, at);
    this.#line += Buffer.from(bytes.subarray(at, end < 0 ? bytes.length : end + 1)).toString("latin1");
    if (end < 0) return bytes.length;
    const line = this.#line;
    this.#line = "";
    this.#command(line);
    return end + 1;
  }

  #readContent(content: ContentReader, bytes: Uint8Array, at: number): number {
    const transaction = this.#transaction;
    const { next, ended, faults } = content.push(bytes, at);
    for (const [rule, detail] of faults) this.#fail(rule, detail);
    if (transaction) transaction.contentBegun = true;
    if (content.nearEnd && transaction) transaction.endSent = true;
    if (!ended) return next;
    this.#content = undefined;
    this.#open = false;
    if (transaction) transaction.endSent = true;
    // The reply to the end was awaited since the 354: an early one answers the content.
    return next;
  }

  #readChunk(chunk: { left: number; last: boolean }, bytes: Uint8Array, at: number): number {
    const length = Math.min(chunk.left, bytes.length - at);
    this.#checkEightBit(bytes.subarray(at, at + length));
    chunk.left -= length;
    if (this.#transaction) this.#transaction.contentBegun = true;
    if (chunk.left === 0) this.#chunk = undefined;
    return at + length;
  }

  #checkEightBit(bytes: Uint8Array): void {
    const binary = this.#transaction?.binary === true;
    if (binary || this.#circumstances.eightBitAllowed || this.#features.has("8BITMIME")) return;
    if (bytes.some((byte) => byte > 127)) this.#fail("RFC 5321 2.4: 8-bit content needs 8BITMIME", "");
  }

  #command(wire: string): void {
    if (!wire.endsWith("\r\n")) this.#fail("RFC 5321 2.3.8: a line ends in CRLF", JSON.stringify(wire.slice(-20)));
    const line = wire.replace(/\r?\n$/, "");
    if (/[\x00-\x1f\x7f]/.test(line)) this.#fail("RFC 5321 4.1.2: no control character in a command", line);
    if (line.length > 12_286) this.#fail("RFC 4954 4: a line has 12,288 octets at most", `${line.length}`);
    if (!this.#greeted) this.#fail("RFC 5321 4.3.1: nothing is sent before the greeting", line);
    if (this.#quit) this.#fail("RFC 5321 4.1.1.10: nothing follows QUIT", line);
    if (this.#challenged) return this.#response(line);
    const [word = ""] = line.split(/[ :]/, 1);
    const verb = word.toUpperCase();
    this.#checkGroup(verb, line);
    if (this.#awaitsEhlo && !/^(EHLO|LHLO|HELO|QUIT|NOOP|RSET)$/.test(verb)) {
      this.#fail("RFC 3207 4.2: EHLO follows STARTTLS", line);
    }
    if (/[^\x00-\x7f]/.test(line) && !this.#features.has("SMTPUTF8")) {
      this.#fail("RFC 6531 3.4: a command that is not ASCII needs SMTPUTF8", line);
    }
    this.#verb(verb, line);
  }

  #verb(verb: string, line: string): void {
    switch (verb) {
      case "EHLO":
      case "HELO":
      case "LHLO":
        if ((verb === "LHLO") !== (this.#circumstances.protocol === "lmtp")) {
          this.#fail("RFC 2033 4.1: LMTP says LHLO, SMTP says EHLO or HELO", line);
        }
        if (!/^\S+ \S+$/.test(line)) this.#fail("RFC 5321 4.1.1.1: EHLO has a name", line);
        return this.#await(verb);
      case "MAIL":
        return this.#mail(line);
      case "RCPT":
        return this.#rcpt(line);
      case "DATA":
        return this.#data();
      case "BDAT":
        return this.#bdat(line);
      case "RSET":
        this.#open = false;
        this.#resetInWrite = true;
        return this.#await(verb);
      case "AUTH":
        return this.#auth(line);
      case "STARTTLS":
        if (this.#tls) this.#fail("RFC 3207 4.2: no STARTTLS under TLS", line);
        if (!this.#features.has("STARTTLS")) this.#fail("RFC 5321 4.1.1.1: STARTTLS is sent where it is offered", line);
        return this.#await(verb);
      case "QUIT":
        this.#quit = true;
        return this.#await(verb);
      default:
        return this.#await(verb);
    }
  }

  /** RFC 2920 3.1: which commands another one may follow before their reply. */
  #checkGroup(verb: string, line: string): void {
    const last = this.#pending.at(-1);
    if (last === undefined || last.verb === "greeting") return;
    if (!this.#features.has("PIPELINING")) {
      this.#fail("RFC 5321 4.3.1: one command, one reply without PIPELINING", `${verb} behind ${last.verb}`);
    } else if (!GROUPED.has(last.verb)) {
      this.#fail("RFC 2920 3.1: this command ends a group", `${last.verb} is followed by ${line}`);
    }
  }

  #mail(line: string): void {
    if (!this.#introduced && !this.#awaitsEhlo) this.#fail("RFC 5321 4.1.1.1: no MAIL before EHLO or HELO", line);
    if (this.#open) this.#fail("RFC 5321 4.1.4: no MAIL while a transaction is open", line);
    const [, sender, parameters = ""] = /^MAIL FROM:<((?:"(?:\\.|[^"\\])*"|[^<>"])*)>(.*)$/s.exec(line) ?? [];
    if (sender === undefined) this.#fail("RFC 5321 4.1.1.2: MAIL FROM:<path>", line);
    for (const fault of checkParameters("MAIL", parameters, this.#features)) this.#fail(...fault);
    const binary = / BODY=BINARYMIME( |$)/i.test(parameters);
    const transaction = new JudgedTransaction(sender ?? "", this.#resetInWrite, binary);
    this.#transaction = transaction;
    this.transactions.push(transaction);
    this.#open = true;
    this.#await("MAIL");
  }

  #rcpt(line: string): void {
    if (!this.#open) this.#fail("RFC 5321 3.3: no RCPT without MAIL", line);
    const [, path, parameters = ""] = /^RCPT TO:<((?:"(?:\\.|[^"\\])*"|[^<>"])*)>(.*)$/s.exec(line) ?? [];
    if (path === undefined || path === "") this.#fail("RFC 5321 4.1.1.3: RCPT TO:<path>", line);
    for (const fault of checkParameters("RCPT", parameters, this.#features)) this.#fail(...fault);
    this.#transaction?.rcpt.push(undefined);
    this.#await("RCPT");
  }

  #data(): void {
    const transaction = this.#transaction;
    if (!this.#open || !transaction || transaction.rcpt.length === 0) {
      this.#fail("RFC 5321 3.3: no DATA without a recipient", "");
    } else if (transaction.allRefused && this.#pending.length === 0) {
      this.#fail("RFC 5321 3.3: no DATA when every recipient was refused", "");
    }
    this.#await("DATA");
  }

  #bdat(line: string): void {
    const [, octets, last] = /^BDAT (\d+)( LAST)?$/i.exec(line) ?? [];
    const transaction = this.#transaction;
    if (octets === undefined) this.#fail("RFC 3030 2: BDAT chunk-size [LAST]", line);
    if (!this.#features.has("CHUNKING")) this.#fail("RFC 3030 2: BDAT needs CHUNKING", line);
    if (!this.#open || !transaction) this.#fail("RFC 3030 2: no BDAT without MAIL", line);
    else {
      const answered = transaction.mail !== undefined && transaction.rcpt.every((code) => code !== undefined);
      const flight = this.#circumstances.eager === true && transaction.afterReset;
      if (!answered && !flight) this.#fail("RFC 3030 2: BDAT follows the replies to MAIL and RCPT", line);
      if (answered && transaction.accepted === 0) this.#fail("RFC 3030 2: BDAT needs an accepted recipient", line);
      if (transaction.endSent) this.#fail("RFC 3030 2: nothing follows BDAT LAST", line);
      if (transaction.refusedEarly !== undefined && this.#pending.length === 0) {
        this.#fail("RFC 3030 2: no BDAT after one that was refused", line);
      }
    }
    const left = Number(octets ?? 0);
    if (left > 0) this.#chunk = { left, last: last !== undefined };
    if (last !== undefined && transaction) transaction.endSent = true;
    this.#await(last === undefined ? "BDAT" : "LAST");
  }

  #auth(line: string): void {
    const [, mechanism = ""] = line.split(" ");
    if (!this.#authChosen && !this.#features.has("AUTH"))
      this.#fail("RFC 4954 3: AUTH is sent where it is offered", "AUTH");
    if (this.#authenticated && !this.#authChosen) this.#fail("RFC 4954 4: no AUTH after a successful one", "AUTH");
    if (this.#open) this.#fail("RFC 4954 4: no AUTH during a transaction", "AUTH");
    if (SHOWS_SECRET.has(mechanism.toUpperCase()) && !this.#tls && !this.#clearTextAllowed) {
      this.#fail("RFC 4954 9: no password in clear", mechanism);
    }
    if (!/^AUTH [\w-]+( (=|[\w+/]+={0,2}))?$/i.test(line)) this.#fail("RFC 4954 4: AUTH mechanism [base64]", mechanism);
    this.#await("AUTH");
  }

  #response(line: string): void {
    this.#challenged = false;
    if (!/^(\*|[\w+/]*={0,2})$/.test(line)) this.#fail("RFC 4954 4: a response is base64 or *", "");
    this.#await("AUTH");
  }

  #await(verb: string): void {
    this.#pending.push({ verb, transaction: this.#transaction });
    const early = this.#unclaimed.shift();
    if (early !== undefined) this.#reply(early);
  }

  #reply(reply: JudgedReply): void {
    const { code } = reply;
    const pending = this.#pending[0];
    if (code === 421) this.#over ??= "421";
    if (pending === undefined) {
      this.#unclaimed.push(reply);
      return;
    }
    const stays = this.#answer(pending, reply);
    if (!stays) this.#pending.shift();
  }

  /** What a reply means for the command that it answers; true: another reply answers the same command. */
  #answer({ verb, transaction }: Pending, { code, lines }: JudgedReply): boolean {
    const good = code < 300;
    switch (verb) {
      case "greeting":
        this.#greeted = true;
        this.#welcome = code === 220;
        return false;
      case "EHLO":
      case "LHLO":
      case "HELO":
        this.#hello(verb, good, lines);
        return false;
      case "MAIL":
        if (transaction) transaction.mail = code;
        if (!good && this.#transaction === transaction) this.#open = false;
        return false;
      case "RCPT": {
        const at = transaction?.rcpt.indexOf(undefined) ?? -1;
        if (transaction && at >= 0) transaction.rcpt[at] = code;
        return false;
      }
      case "DATA":
        if (transaction) transaction.data = code;
        if (code === 354) this.#begin();
        return false;
      case ".":
      case "LAST":
        return this.#final(transaction, code, verb);
      case "BDAT":
        if (!good && transaction) transaction.refusedEarly ??= code;
        return false;
      case "AUTH":
        this.#challenged = code === 334;
        if (code === 235) this.#authenticated = true;
        return false;
      case "STARTTLS":
        this.#awaitsTls = code === 220;
        return false;
      default:
        return false;
    }
  }

  #hello(verb: string, good: boolean, lines: readonly string[]): void {
    if (good) {
      this.#introduced = true;
      this.#awaitsEhlo = false;
      this.#open = false;
    }
    if (verb === "HELO") return;
    const keywords = good ? lines.slice(1) : [];
    this.#features = new Map(
      keywords.map((line) => {
        const [keyword = "", ...parameters] = line.trim().split(/[ =]+/);
        return [keyword.toUpperCase(), parameters.join(" ").toUpperCase()];
      }),
    );
  }

  #begin(): void {
    const sevenBit = !this.#circumstances.eightBitAllowed && !this.#features.has("8BITMIME");
    this.#content = new ContentReader(sevenBit);
    this.#await(".");
  }

  #final(transaction: JudgedTransaction | undefined, code: number, verb: string): boolean {
    if (transaction === undefined) return false;
    if (!transaction.endSent) {
      transaction.refusedEarly ??= code;
      this.#over ??= `an answer to the content before its end: ${code}`;
      return false;
    }
    transaction.final.push(code);
    if (verb === "LAST" && code < 300 && this.#transaction === transaction) this.#open = false;
    const expected = this.#circumstances.protocol === "lmtp" ? Math.max(1, transaction.accepted) : 1;
    return transaction.final.length < expected;
  }

  #secured(): void {
    // Of a caller that makes the dialogue its own, the commands were not read.
    if (!this.#circumstances.implicitTls && !this.#awaitsTls && !this.#manual) {
      this.#fail("RFC 3207 4: TLS begins after the 220 to STARTTLS", "");
    }
    if (this.#replies.partial) this.#fail("RFC 3207 4.2: nothing in clear survives STARTTLS", "");
    this.#replies.reset();
    if (this.#awaitsTls) this.#awaitsEhlo = true;
    this.#awaitsTls = false;
    this.#tls = true;
    this.#features = new Map();
    this.#introduced = false;
  }

  #closed(): void {
    const orderly = this.#welcome && !this.#manual && this.#over === undefined;
    if (orderly && !this.#quit) this.#fail("RFC 5321 4.1.1.10: QUIT before the end of the connection", "");
    this.#over ??= "the client closed the connection";
    this.#overSettled = this.#over;
  }
}
