/** The number of connections that a pool permits itself when the server complains. */
import { describe, expect, it } from "vitest";
import { makeReply } from "../../src/core/reply.ts";
import { SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPSenderRefused } from "../../src/index.ts";
import { complaintIn } from "../../src/pool/retry.ts";
import { Throttle } from "../../src/pool/throttle.ts";

/** Records this many deliveries at this time. */
function deliver(throttle: Throttle, times: number, now: number): void {
  for (let i = 0; i < times; i++) throttle.delivered(now);
}

describe("the throttle", () => {
  it("halves the connections at a complaint, and opens none for a second", () => {
    const throttle = new Throttle(10);
    expect(throttle.opensAt(1)).toBe(Number.NEGATIVE_INFINITY);
    throttle.complained(10, 0);
    expect([throttle.limit, throttle.opensAt(1)]).toEqual([5, 1000]);
    throttle.complained(10, 999);
    expect([throttle.limit, throttle.opensAt(1)]).toEqual([5, 1000]);
    throttle.complained(5, 1000);
    expect([throttle.limit, throttle.opensAt(1)]).toEqual([2, 3000]);
  });

  it("waits longer at each complaint, but no longer than a minute, and a second if there is no connection at all", () => {
    const throttle = new Throttle(4);
    let now = 0;
    for (let i = 0; i < 20; i++) {
      throttle.complained(throttle.limit, now);
      now = throttle.opensAt(1);
    }
    throttle.complained(throttle.limit, now);
    expect(throttle.limit).toBe(1);
    expect(throttle.opensAt(1) - now).toBe(60_000);
    expect(throttle.opensAt(0) - now).toBe(1_000);
  });

  it("allows one more after ten deliveries by each, until all are back", () => {
    const throttle = new Throttle(4);
    throttle.complained(4, 0);
    deliver(throttle, 100, 500);
    expect(throttle.limit).toBe(2);
    deliver(throttle, 19, 1000);
    expect(throttle.limit).toBe(2);
    deliver(throttle, 1, 1000);
    expect(throttle.limit).toBe(3);
    deliver(throttle, 30, 1000);
    expect(throttle.limit).toBe(4);
    throttle.complained(4, 2000);
    expect(throttle.opensAt(1)).toBe(3000);
  });

  it("takes single refusals for a recipient's trouble, and several in a row for its own", () => {
    const throttle = new Throttle(4);
    for (let i = 0; i < 50; i++) {
      throttle.refused(4, i);
      deliver(throttle, 10, i);
    }
    expect(throttle.limit).toBe(4);
    for (let i = 0; i < 3; i++) throttle.refused(4, 100);
    expect(throttle.limit).toBe(2);
  });

  it("asks for no more connections than the server took", () => {
    const throttle = new Throttle(10);
    throttle.full(7, 0);
    expect([throttle.limit, throttle.opensAt(7)]).toEqual([7, 1000]);
    throttle.full(0, 5000);
    expect(throttle.limit).toBe(1);
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
