/** One mail transaction (RFC 5321 3.3) as the judge observed it. */

/** One mail transaction, from MAIL to its last reply. */
export class JudgedTransaction {
  readonly sender: string;
  mail: number | undefined;
  /** The paths of RCPT, in order. */
  readonly paths: string[] = [];
  /** The codes of the replies to RCPT, in order; undefined: outstanding. */
  readonly rcpt: (number | undefined)[] = [];
  data: number | undefined;
  /** The transaction begins with RSET in the same write, as one flight does. */
  readonly afterReset: boolean;
  /** The value of BODY. */
  readonly body: string | undefined;
  /** MAIL announces addresses beyond ASCII. */
  readonly utf8: boolean;
  /** The first byte of the end, or of BDAT LAST, left the client. */
  endSent = false;
  /** Replies after the end: one, or in LMTP one for each recipient. */
  readonly final: number[] = [];
  /** A reply to a part of the content that refuses it. */
  refusedEarly: number | undefined;
  /** Content has left the client by DATA, or by BDAT. */
  by: "DATA" | "BDAT" | undefined;

  constructor(sender: string, afterReset: boolean, declared: { body: string | undefined; utf8: boolean }) {
    this.sender = sender;
    this.afterReset = afterReset;
    this.body = declared.body;
    this.utf8 = declared.utf8;
  }

  get accepted(): number {
    return this.rcpt.filter((code) => code !== undefined && code < 300).length;
  }

  get allRefused(): boolean {
    const answered = this.rcpt.every((code) => code !== undefined);
    return (this.mail !== undefined && this.mail >= 300) || (this.rcpt.length > 0 && answered && this.accepted === 0);
  }

  /** True once no more replies can come. */
  isAnswered(protocol: "smtp" | "lmtp"): boolean {
    return this.final.length >= (protocol === "lmtp" ? Math.max(1, this.accepted) : 1);
  }
}
