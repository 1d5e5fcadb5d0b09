/** The rules of mail transactions: MAIL, RCPT, DATA and BDAT (RFC 5321 3.3, 2920, 3030, 6531, 1870, 3461). */
import { pathOf } from "./command-line.ts";
import { ChunkReader, ContentBytes, ContentReader } from "./content.ts";
import { JudgedTransaction } from "./judged-transaction.ts";
import { checkParameters } from "./parameters.ts";
import type { Circumstances, Fail, Features } from "./transcript.ts";

/** Judges the transactions of one connection. */
export class TransactionRules {
  readonly transactions: JudgedTransaction[] = [];
  /** True while a transaction is open: neither ended nor reset. */
  open = false;
  current: JudgedTransaction | undefined;
  readonly #circumstances: Circumstances;
  readonly #features: () => Features;
  readonly #fail: Fail;
  #content: ContentReader | undefined;
  #chunk: ChunkReader | undefined;
  /** The checks of the current transaction's chunks. */
  #bytes: ContentBytes | undefined;
  #resetInWrite = false;

  constructor(circumstances: Circumstances, features: () => Features, fail: Fail) {
    this.#circumstances = circumstances;
    this.#features = features;
    this.#fail = fail;
  }

  /** True while bytes of a content are awaited, rather than a command. */
  get takesContent(): boolean {
    return this.#content !== undefined || this.#chunk !== undefined;
  }

  /** Takes the beginning of a write. */
  write(): void {
    this.#resetInWrite = false;
  }

  /** Takes a command; `outstanding`: the number of awaited replies. Returns the command that its reply will answer. */
  command(verb: string, line: string, outstanding: number): string {
    if (outstanding === 0 && this.#chunkRefused && !/^(RSET|QUIT|EHLO|LHLO|HELO|BDAT)$/.test(verb)) {
      this.#fail("RFC 3030 2: RSET follows a chunk that was refused", line);
    }
    switch (verb) {
      case "MAIL":
        this.#mail(line);
        return verb;
      case "RCPT":
        this.#rcpt(line);
        return verb;
      case "DATA":
        this.#data(outstanding);
        return verb;
      case "BDAT":
        return this.#bdat(line, outstanding);
      case "RSET":
        this.open = false;
        this.#resetInWrite = true;
        return verb;
      default:
        return verb;
    }
  }

  get #chunkRefused(): boolean {
    const { current } = this;
    if (!this.open || current?.by !== "BDAT") return false;
    return current.refusedEarly !== undefined || (current.final[0] ?? 0) >= 400;
  }

  #mail(line: string): void {
    if (this.open) this.#fail("RFC 5321 4.1.4: no MAIL while a transaction is open", line);
    const { path = "", parameters } = pathOf(line, this.#fail);
    checkParameters("MAIL", parameters, this.#features(), this.#fail);
    const [, body] = / BODY=(\S*)/i.exec(parameters) ?? [];
    const declared = { body: body?.toUpperCase(), utf8: / SMTPUTF8( |$)/i.test(parameters) };
    const transaction = new JudgedTransaction(path, this.#resetInWrite, declared);
    this.current = transaction;
    this.transactions.push(transaction);
    this.open = true;
    this.#bytes = undefined;
    this.#checkAnnounced(path, line);
  }

  #rcpt(line: string): void {
    if (!this.open) this.#fail("RFC 5321 3.3: no RCPT without MAIL", line);
    else if (this.current?.by !== undefined || this.current?.endSent) {
      this.#fail("RFC 5321 3.3: RCPT comes before the content", line);
    }
    const { path = "", parameters } = pathOf(line, this.#fail);
    checkParameters("RCPT", parameters, this.#features(), this.#fail);
    this.current?.rcpt.push(undefined);
    this.current?.paths.push(path);
    this.#checkAnnounced(path, line);
  }

  #checkAnnounced(path: string, line: string): void {
    if (/[^\x00-\x7f]/.test(path) && this.current?.utf8 !== true) {
      this.#fail("RFC 6531 3.4: SMTPUTF8 announces an address that is not ASCII", line);
    }
  }

  #data(outstanding: number): void {
    const transaction = this.current;
    if (!this.open || !transaction || transaction.rcpt.length === 0) {
      return this.#fail("RFC 5321 3.3: no DATA without a recipient", "");
    }
    if (transaction.allRefused && outstanding === 0) {
      this.#fail("RFC 5321 3.3: no DATA when every recipient was refused", "");
    }
    if (transaction.by === "BDAT" || transaction.endSent) this.#fail("RFC 3030 2: no DATA behind BDAT", "");
    if (transaction.body === "BINARYMIME") this.#fail("RFC 3030 3: BINARYMIME goes by BDAT", "");
  }

  #bdat(line: string, outstanding: number): string {
    const [, octets = "0", last] = /^BDAT (\d+)( LAST)?$/i.exec(line) ?? [];
    if (!this.#features().has("CHUNKING")) this.#fail("RFC 3030 2: BDAT needs CHUNKING", line);
    if (!this.open || !this.current) this.#fail("RFC 3030 2: no BDAT without MAIL", line);
    else this.#chunkMayFollow(this.current, line, outstanding);
    const transaction = this.current;
    if (transaction?.body !== "BINARYMIME") this.#bytes ??= this.#contentBytes();
    const chunk = new ChunkReader(this.#bytes, Number(octets), last !== undefined);
    if (!chunk.ended) this.#chunk = chunk;
    if (transaction) {
      transaction.by = "BDAT";
      if (last !== undefined) transaction.endSent = true;
    }
    return last === undefined ? "BDAT" : "LAST";
  }

  #chunkMayFollow(transaction: JudgedTransaction, line: string, outstanding: number): void {
    const answered = transaction.mail !== undefined && transaction.rcpt.every((code) => code !== undefined);
    const flight = this.#circumstances.eager === true && transaction.afterReset;
    if (!answered && !flight) this.#fail("RFC 3030 2: BDAT follows the replies to MAIL and RCPT", line);
    if (answered && transaction.accepted === 0) this.#fail("RFC 3030 2: BDAT needs an accepted recipient", line);
    if (transaction.endSent) this.#fail("RFC 3030 2: nothing follows BDAT LAST", line);
    if (transaction.refusedEarly !== undefined && outstanding === 0) {
      this.#fail("RFC 3030 2: no BDAT after one that was refused", line);
    }
  }

  /** Consumes content from `at`; returns where it stops. */
  content(bytes: Uint8Array, at: number): number {
    const transaction = this.current;
    if (this.#content !== undefined) return this.#dataContent(this.#content, transaction, bytes, at);
    const next = this.#chunk?.push(bytes, at) ?? bytes.length;
    if (this.#chunk?.ended) this.#chunk = undefined;
    return next;
  }

  #dataContent(content: ContentReader, current: JudgedTransaction | undefined, bytes: Uint8Array, at: number): number {
    const { next, ended } = content.push(bytes, at);
    if (current) {
      current.by = "DATA";
      if (content.nearEnd || ended) current.endSent = true;
    }
    if (!ended) return next;
    this.#content = undefined;
    this.open = false;
    return next;
  }

  #contentBytes(): ContentBytes {
    const { current } = this;
    const declared = current?.body === "8BITMIME" || current?.body === "BINARYMIME";
    const fault = this.#features().has("8BITMIME")
      ? "RFC 6152 3: 8-bit content is declared by BODY=8BITMIME"
      : "RFC 5321 2.4: 8-bit content needs 8BITMIME";
    return new ContentBytes(declared || this.#circumstances.eightBitAllowed ? undefined : fault, this.#fail);
  }

  /** Takes the reply to MAIL, RCPT, DATA or a chunk that is not the last. */
  answer(verb: string, transaction: JudgedTransaction | undefined, code: number): void {
    if (transaction === undefined) return;
    const good = code < 300;
    if (verb === "MAIL") {
      transaction.mail = code;
      if (!good && this.current === transaction) this.open = false;
    } else if (verb === "RCPT") {
      const at = transaction.rcpt.indexOf(undefined);
      if (at >= 0) transaction.rcpt[at] = code;
    } else if (verb === "DATA") transaction.data = code;
    else if (verb === "BDAT" && !good) transaction.refusedEarly ??= code;
  }

  /** Takes the 354: content follows. */
  begin(): void {
    this.#content = new ContentReader(this.#contentBytes(), this.current?.allRefused === true, this.#fail);
  }

  /** Takes the reply to the end of a content; true: another reply answers it, too. */
  final(transaction: JudgedTransaction, code: number, by: "." | "LAST"): boolean {
    transaction.final.push(code);
    if (by === "LAST" && code < 300 && this.current === transaction) this.open = false;
    return !transaction.isAnswered(this.#circumstances.protocol);
  }

  /** RFC 5321 4.1.4: a good EHLO ends a transaction. */
  reset(): void {
    this.open = false;
  }

  /** Takes the end of a session without a cause. */
  closed(): void {
    if (this.takesContent) this.#fail("RFC 3030 2: a chunk has as many octets as its command says", "");
  }
}
