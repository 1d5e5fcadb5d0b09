/** `--forward URL`: forwards each message to another server before the sender is answered. */
import {
  type DeliveryRequest,
  type Refused,
  SMTPException,
  SMTPNotSupportedError,
  SMTPPool,
  SMTPResponseException,
} from "../../index.ts";
import type { TestMessage } from "../../testing/index.ts";
import { UsageError } from "../exit-codes.ts";

/** Forwards messages. */
export class Forwarder {
  readonly #pool: SMTPPool;

  /** @throws {UsageError} for an invalid URL, which the error does not show */
  constructor(url: string) {
    try {
      this.#pool = new SMTPPool(url, { maxConnections: 2, reconnectFor: 0 });
    } catch (error) {
      throw new UsageError("--forward", error instanceof Error ? error.message : String(error));
    }
  }

  /** Forwards a message to these recipients; returns the reply for its sender. */
  async forward({ content, from, parameters }: TestMessage, to: readonly string[]): Promise<string> {
    const asked: Partial<DeliveryRequest> = parameters["SMTPUTF8"] === true ? { smtputf8: true } : {};
    try {
      const { refused, reply } = await this.#pool.deliver({ ...asked, from, to, body: content });
      return partialRefusal(refused) ?? `250 2.0.0 passed on: ${firstLine(reply.message)}`;
    } catch (error) {
      if (!(error instanceof SMTPException)) throw error;
      return refusalOf(error);
    }
  }

  /** Ends its connections. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}

/**
 * The reply if some recipients were refused. It is one reply for all: a positive one would lose the message for these,
 * so it refuses the message, and its text says that others have it.
 */
function partialRefusal(refused: Refused): string | undefined {
  const all = Object.entries(refused);
  if (all.length === 0) return undefined;
  const code = all.every(([, reply]) => reply.code >= 500) ? "554 5.0.0" : "451 4.4.0";
  const shown = all.map(([address, reply]) => `${address} (${reply.code} ${firstLine(reply.message)})`).join(", ");
  return `${code} passed on, but refused there for ${firstLine(shown)}`;
}

/** An unknown outcome is reported as temporary: the sender tries again, which may duplicate the message (RFC 1047). */
function refusalOf(error: SMTPException): string {
  const text = firstLine(error instanceof SMTPResponseException ? error.smtp_error : error.message);
  if (error instanceof SMTPNotSupportedError) return `554 5.0.0 cannot be passed on: ${text}`;
  if (error.delivery === "rejected" && !error.temporary) return `554 5.0.0 refused there: ${text}`;
  return `451 4.4.0 not passed on: ${text}`;
}

function firstLine(text: string): string {
  return (
    text
      .split("\n", 1)[0]
      ?.replace(/[^\x20-\x7e]/g, "?")
      .slice(0, 400) ?? ""
  );
}
