/**
 * The ticket: the right to send the end of a message, which one attempt alone can hold. It is taken as the last step of
 * the body, so that no attempt without it sends the final dot or `BDAT … LAST`.
 */
import type { StoredRefused } from "./stored-reply.ts";

/** The outcome of the message of a ticket. */
export type TicketAnswer =
  | {
      /** The server took it, for at least one recipient. */
      readonly outcome: "delivered";
      readonly code: number;
      readonly text: string;
      /** The recipients of this attempt that the server refused, each with its reply. */
      readonly refused: StoredRefused;
    }
  | {
      /** The connection died before the reply, which will never come. */
      readonly outcome: "unknown";
      readonly text: string;
      /** The recipients that the server had refused by then, each with its reply. */
      readonly refused: StoredRefused;
      /** The recipients whose copy it had taken by then (LMTP). */
      readonly accepted?: readonly string[] | undefined;
      /** Set once a person has found that the others did not get it. */
      readonly found?: "not-delivered" | undefined;
    };

/**
 * The answer where a person or the policy "ask" has found that the server took the message: for all recipients, except for
 * those of whom the attempt knew that they were refused.
 */
export function foundDelivered({ answer }: Ticket): TicketAnswer {
  return { outcome: "delivered", code: 250, text: "found to be delivered", refused: answer?.refused ?? [] };
}

/** A ticket that was taken. */
export type Ticket = {
  /** Which attempt took it. */
  readonly token: string;
  /** When, in milliseconds since 1970, by the store's clock. */
  readonly at: number;
  /** Undefined: the attempt has not said yet what became of it. */
  readonly answer: TicketAnswer | undefined;
};

/**
 * How taking a ticket ended: "taken"; "refused", because another attempt has it; "late", because the attempt began longer
 * ago than tickets are kept, so that an earlier one may have been forgotten.
 */
export type Taking = "taken" | "refused" | "late";

/** The result of `answer()` and `giveBack()`. */
export type TicketChange = {
  /** False: another attempt has the ticket by now. */
  readonly changed: boolean;
  /** True: the message is held for this answer, and can go on. */
  readonly awaited: boolean;
};

/** Keeps tickets. Each method is atomic, and as durable as a queue whose loss would lose mail. */
export interface TicketStore {
  /** The ticket of a key, if one was taken, and the store's time in milliseconds. */
  read(key: string): Promise<{ readonly ticket: Ticket | undefined; readonly now: number }>;
  /**
   * Takes the ticket, unless it is taken, or the store's time is past `notAfter`. `over` is the token of a ticket to
   * replace: the caller answers for what that attempt may have sent.
   */
  take(
    key: string,
    token: string,
    limits: { readonly notAfter: number; readonly over?: string | undefined },
  ): Promise<Taking>;
  /** Writes the answer into the ticket of this token. */
  answer(key: string, token: string, answer: TicketAnswer): Promise<TicketChange>;
  /** Deletes the ticket of this token: the message was certainly not taken. */
  giveBack(key: string, token: string): Promise<TicketChange>;
  /** Marks the ticket as awaited by a held message; false: there is none, or it has its answer by now. */
  await(key: string): Promise<boolean>;
  /** The message is settled: the ticket is forgotten after so many seconds. */
  forget(key: string, seconds: number): Promise<void>;
}

/** Thrown by a body whose ticket could not be taken: the end of the message is not sent. */
export class TicketRefusedError extends Error {
  override readonly name: string = "TicketRefusedError";
  /** Why. */
  readonly why: Exclude<Taking, "taken">;
  /** Another attempt may take it later. */
  readonly temporary: boolean = true;

  constructor(why: Exclude<Taking, "taken">) {
    super(
      why === "refused"
        ? "another attempt holds the ticket of this message: its end must not be sent"
        : "the attempt took longer than tickets are kept: the end of the message must not be sent",
    );
    this.why = why;
  }
}

/** The body of an attempt: all chunks, then `take`, then the end of the iteration, which lets the message's end leave. */
export async function* ticketedBody(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  take: () => Promise<Taking>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
  const taking = await take();
  if (taking !== "taken") throw new TicketRefusedError(taking);
}
