/** One mail transaction (RFC 5321 3.3) as the judge saw it. */

/** One mail transaction, from MAIL to its last reply. */
export class JudgedTransaction {
  readonly sender: string;
  mail: number | undefined;
  /** The codes of the replies to RCPT, in order; undefined: outstanding. */
  readonly rcpt: (number | undefined)[] = [];
  data: number | undefined;
  /** The transaction begins with RSET in the same write, as one flight does. */
  readonly afterReset: boolean;
  /** The content is declared to be BINARYMIME. */
  readonly binary: boolean;
  /** The first byte of the end, or of BDAT LAST, left the client. */
  endSent = false;
  /** Replies after the end: one, or in LMTP one a recipient. */
  readonly final: number[] = [];
  /** A reply to a part of the content that refuses it. */
  refusedEarly: number | undefined;
  contentBegun = false;

  constructor(sender: string, afterReset: boolean, binary: boolean) {
    this.sender = sender;
    this.afterReset = afterReset;
    this.binary = binary;
  }

  get accepted(): number {
    return this.rcpt.filter((code) => code !== undefined && code < 300).length;
  }

  get allRefused(): boolean {
    const answered = this.rcpt.every((code) => code !== undefined);
    return (this.mail !== undefined && this.mail >= 300) || (this.rcpt.length > 0 && answered && this.accepted === 0);
  }
}
