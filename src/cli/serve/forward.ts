/** `--forward URL`: each message goes on to another server before its sender is answered. */
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

/** Passes messages on. */
export class Forwarder {
  readonly #pool: SMTPPool;

  /** @throws {UsageError} for a URL that cannot be read; it is not shown */
  constructor(url: string) {
    try {
      this.#pool = new SMTPPool(url, { maxConnections: 2, reconnectFor: 0 });
    } catch (error) {
      throw new UsageError("--forward", error instanceof Error ? error.message : String(error));
    }
  }

  /** Sends a message on to these of its recipients; the reply that its sender is to have. */
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
 * The refusal of some recipients. There is one reply for all of them: one that accepts would lose the message for these,
 * so it is refused, and the text says that others have it.
 */
function partialRefusal(refused: Refused): string | undefined {
  const all = Object.entries(refused);
  if (all.length === 0) return undefined;
  const code = all.every(([, reply]) => reply.code >= 500) ? "554 5.0.0" : "451 4.4.0";
  const shown = all.map(([address, reply]) => `${address} (${reply.code} ${firstLine(reply.message)})`).join(", ");
  return `${code} passed on, but refused there for ${firstLine(shown)}`;
}

/** An unknown fate is told as one that may pass: the sender tries again, and may make two, as RFC 1047 has it. */
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
