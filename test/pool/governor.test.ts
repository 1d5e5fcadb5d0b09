/** How many connections a pool allows itself when the server complains. */
import { describe, expect, it } from "vitest";
import { makeReply } from "../../src/core/reply.ts";
import { SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPSenderRefused } from "../../src/index.ts";
import { Governor } from "../../src/pool/governor.ts";
import { complaintIn } from "../../src/pool/verdict.ts";

/** Delivers so many messages at this moment. */
function deliver(governor: Governor, times: number, now: number): void {
  for (let i = 0; i < times; i++) governor.delivered(now);
}

describe("the governor", () => {
  it("halves the connections at a complaint, and opens none for a second", () => {
    const governor = new Governor(10);
    expect(governor.opensAt(1)).toBe(Number.NEGATIVE_INFINITY);
    governor.complained(10, 0);
    expect([governor.limit, governor.opensAt(1)]).toEqual([5, 1000]);
    governor.complained(10, 999);
    expect([governor.limit, governor.opensAt(1)]).toEqual([5, 1000]);
    governor.complained(5, 1000);
    expect([governor.limit, governor.opensAt(1)]).toEqual([2, 3000]);
  });

  it("waits longer at each complaint, but no longer than a minute, and a second if there is no connection at all", () => {
    const governor = new Governor(4);
    let now = 0;
    for (let i = 0; i < 20; i++) {
      governor.complained(governor.limit, now);
      now = governor.opensAt(1);
    }
    governor.complained(governor.limit, now);
    expect(governor.limit).toBe(1);
    expect(governor.opensAt(1) - now).toBe(60_000);
    expect(governor.opensAt(0) - now).toBe(1_000);
  });

  it("allows one more after ten deliveries by each, until all are back", () => {
    const governor = new Governor(4);
    governor.complained(4, 0);
    deliver(governor, 100, 500);
    expect(governor.limit).toBe(2);
    deliver(governor, 19, 1000);
    expect(governor.limit).toBe(2);
    deliver(governor, 1, 1000);
    expect(governor.limit).toBe(3);
    deliver(governor, 30, 1000);
    expect(governor.limit).toBe(4);
    governor.complained(4, 2000);
    expect(governor.opensAt(1)).toBe(3000);
  });

  it("takes single refusals for a recipient's trouble, and several in a row for its own", () => {
    const governor = new Governor(4);
    for (let i = 0; i < 50; i++) {
      governor.refused(4, i);
      deliver(governor, 10, i);
    }
    expect(governor.limit).toBe(4);
    for (let i = 0; i < 3; i++) governor.refused(4, 100);
    expect(governor.limit).toBe(2);
  });

  it("asks for no more connections than the server took", () => {
    const governor = new Governor(10);
    governor.full(7, 0);
    expect([governor.limit, governor.opensAt(7)]).toEqual([7, 1000]);
    governor.full(0, 5000);
    expect(governor.limit).toBe(1);
  });
});

describe("a complaint", () => {
  const refused = (...codes: number[]): SMTPRecipientsRefused =>
    new SMTPRecipientsRefused(
      Object.fromEntries(codes.map((code, index) => [`r${index}@b.test`, makeReply(code, ["no"])])),
    );

  const replyOf = (line: string) => makeReply(Number(line.slice(0, 3)), [line.slice(4)]);
  const data = (line: string): SMTPDataError => {
    const reply = replyOf(line);
    return new SMTPDataError(reply.code, reply.message, { reply });
  };
  const recipients = (...lines: string[]): SMTPRecipientsRefused =>
    new SMTPRecipientsRefused(Object.fromEntries(lines.map((line, index) => [`r${index}@b.test`, replyOf(line)])));

  it.each([
    [new SMTPSenderRefused(421, "bye", "a@a.test"), "complaint"],
    [new SMTPDataError(451, "later"), "refusal"],
    [new SMTPDataError(452, "full"), undefined],
    [new SMTPDataError(550, "no"), undefined],
    [data("432 4.3.2 sender thread limit exceeded"), "refusal"],
    [data("452 4.3.1 insufficient system storage"), "refusal"],
    [data("452 4.2.2 mailbox full"), undefined],
    [data("452 4.5.3 too many recipients"), undefined],
    [data("450 4.2.2 mailbox full"), undefined],
    [data("450 4.1.1 unverified address"), undefined],
    [data("451 4.1.8 sender's domain does not resolve"), undefined],
    [data("450 4.7.1 slow down"), "refusal"],
    [data("422 4.7.0 slow down"), "refusal"],
    [data("450 4.4.2 bad connection"), "refusal"],
    [data("421 4.2.1 mailbox busy"), "complaint"],
    [data("554 5.7.1 policy"), undefined],
    [data("432 no room"), "refusal"],
    [recipients("452 4.3.1 full", "450 4.7.1 slow down"), "refusal"],
    [recipients("452 4.2.2 mailbox full", "450 4.7.1 slow down"), undefined],
    [refused(450, 450), "refusal"],
    [refused(450, 550), undefined],
    [refused(450, 421), "complaint"],
    [new SMTPException("what"), undefined],
    [new Error("what"), undefined],
  ])("%s: %s", (error, complaint) => {
    expect(complaintIn(error)).toBe(complaint);
  });
});
