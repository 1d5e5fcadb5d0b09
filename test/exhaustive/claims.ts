/** Compares the outcome of a call with the server's ledger. */
import {
  type Reply,
  SMTPConnectError,
  SMTPDataError,
  SMTPException,
  SMTPHeloError,
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
} from "../../src/index.ts";
import type { Finding } from "./checks.ts";
import type { Taken } from "./mail-store.ts";
import { type MessageCall, SourceFailed, shownError } from "./message-call.ts";
import type { World } from "./world.ts";

/** Checks the claims of a settled call. */
export function checkClaim(world: World, message: MessageCall): Finding[] {
  const claim = new Claim(world, message);
  claim.check();
  return claim.findings;
}

class Claim {
  readonly findings: Finding[] = [];
  readonly #world: World;
  readonly #message: MessageCall;
  readonly #taken: readonly Taken[];
  readonly #perhaps: readonly Taken[];

  constructor(world: World, message: MessageCall) {
    this.#world = world;
    this.#message = message;
    const ours = ({ content }: Taken): boolean => content.startsWith(`Id: ${message.id}\r\n`);
    this.#taken = world.connections.flatMap(({ server }) => server.taken).filter(ours);
    this.#perhaps = world.connections.flatMap(({ server }) => server.mayTake()).filter(ours);
  }

  check(): void {
    const { outcome } = this.#message;
    for (const taken of [...this.#taken, ...this.#perhaps]) this.#checkTaken(taken);
    const addresses = this.#taken.map(({ address }) => address);
    if (new Set(addresses).size < addresses.length) this.#fail("no message is accepted twice", addresses);
    if (outcome?.delivered === true) this.#checkDelivered(outcome.refused, outcome.delivery);
    else if (outcome !== undefined) this.#checkFailed(outcome.error);
  }

  #fail(rule: string, detail: unknown): void {
    this.findings.push({ rule, detail: `message ${this.#message.id}: ${detail}` });
  }

  /** The server has the caller's content, under the caller's envelope. */
  #checkTaken({ by, content, from, address }: Taken): void {
    const message = this.#message;
    if (content !== message.contentBy(by))
      this.#fail("a message arrives whole, or not at all", JSON.stringify(content));
    if (from !== message.from || !message.to.includes(address)) {
      this.#fail("a message has its own envelope", `${from} to ${address}`);
    }
    if (message.source && message.source.ended !== "whole") {
      this.#fail("what its source has not ended is not delivered", message.source);
    }
  }

  #checkDelivered(
    refused: Readonly<Record<string, Reply>>,
    delivery: { reply: Reply; accepted: string[] } | undefined,
  ): void {
    const { to } = this.#message;
    const addresses = this.#taken.map(({ address }) => address);
    const accepted = to.filter((address) => !(address in refused));
    for (const address of accepted) {
      if (!addresses.includes(address)) this.#fail("who counts as accepted has the message", address);
    }
    if (accepted.length === 0) this.#fail("a delivery has a recipient", Object.keys(refused));
    this.#checkRefused(refused);
    if (delivery === undefined) return;
    if (String(delivery.accepted) !== String(accepted))
      this.#fail("accepted and refused complement", delivery.accepted);
    this.#checkSaid(delivery.reply, [".", "LAST"]);
  }

  /** Each refused recipient was refused, with this reply, and has no message. */
  #checkRefused(refused: Readonly<Record<string, Reply>>): void {
    for (const [address, reply] of Object.entries(refused)) {
      if (!this.#message.to.includes(address)) this.#fail("who is refused is a recipient", address);
      // The library's own reply for a portion of the message that a lost connection cut off.
      if (reply[0] === 451 && reply[1].startsWith("4.4.2")) continue;
      if (this.#taken.some((one) => one.address === address))
        this.#fail("who counts as refused has no message", address);
      if (this.#inPortions) this.#checkSaid(reply, ["MAIL", "RCPT", "DATA", ".", "BDAT", "LAST", "EARLY"], address);
      else this.#checkSaid(reply, ["RCPT", ".", "LAST"], address);
    }
  }

  get #inPortions(): boolean {
    return this.#world.transactionsOf(this.#message).length > 1;
  }

  #checkFailed(error: unknown): void {
    if (this.#message.isReason(error)) {
      if (!this.#message.aborted) this.#fail("an abort is the caller's", error);
      return;
    }
    if (!(error instanceof SMTPException)) return this.#fail("a call fails with an SMTPException", error);
    const cause = error.cause instanceof SourceFailed;
    if (this.#message.source?.ended === "failed" && !cause && this.#world.deviations.length === 1) {
      this.#fail("the source's error is the cause", shownError(error));
    }
    this.#checkOutcome(error);
    this.#checkReply(error);
  }

  #checkOutcome(error: SMTPException): void {
    const { delivery } = error;
    const perhaps = this.#perhaps.length > 0;
    if (this.#taken.length > 0 && delivery !== "unknown")
      this.#fail("a message that was taken has not failed", shownError(error));
    if (perhaps && delivery !== "unknown") this.#fail("a message that may be taken is unknown", shownError(error));
    if (delivery === "unknown" && this.#taken.length === 0 && !perhaps && !this.#endSent) {
      this.#fail("a message that cannot be taken is not unknown", shownError(error));
    }
    if (delivery === undefined) this.#fail("a failure says what became of the message", shownError(error));
  }

  /** Whether the client has written the end, as the judge has observed. */
  get #endSent(): boolean {
    const transactions = this.#world.connections.flatMap(({ tap }) => tap.judge.transactions);
    return transactions.some(({ sender, endSent }) => sender === this.#message.from && endSent);
  }

  /** The reply in an error is the server's reply to that command. */
  #checkReply(error: SMTPException): void {
    if (error instanceof SMTPRecipientsRefused) return this.#checkRefused(error.recipients);
    if (!(error instanceof SMTPResponseException) || error.smtp_code === -1) return;
    const reply: [number, string] = [error.smtp_code, error.smtp_error];
    if (error instanceof SMTPSenderRefused) return this.#checkSaid(reply, ["MAIL"]);
    if (error instanceof SMTPDataError) return this.#checkSaid(reply, ["DATA", ".", "BDAT", "LAST", "EARLY"]);
    if (error instanceof SMTPHeloError) return this.#checkSaid(reply, ["EHLO", "LHLO", "HELO"]);
    if (error instanceof SMTPConnectError) return this.#checkSaid(reply, ["greeting"]);
    this.#fail("a refusal has a class of its own", shownError(error));
  }

  /** The server sent this reply, to one of these commands of this message. */
  #checkSaid(reply: readonly [number, string], verbs: readonly string[], address?: string): void {
    const [code, text] = reply;
    const [first = ""] = text.split("\n");
    const [verb = "", subject] = first.split(" ");
    const said = this.#world.connections.some(({ server }) => server.said.has(`${code} ${first}`));
    const subjects = [undefined, this.#message.from, ...(address === undefined ? this.#message.to : [address])];
    if (said && verbs.includes(verb) && subjects.includes(subject)) return;
    this.#fail("a reply is credited to the command that it answers", `${code} ${text}`);
  }
}
