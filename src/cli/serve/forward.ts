/** `--forward URL`: each message goes on to another server before its sender is answered. */
import { type DeliveryRequest, SMTPException, SMTPPool, SMTPResponseException } from "../../index.ts";
import type { Reaction, TestMessage } from "../../testing/index.ts";
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

  /** Sends a message on; what its sender is to be told. */
  async forward({ content, from, parameters, to }: TestMessage): Promise<Reaction> {
    const asked: Partial<DeliveryRequest> = parameters["SMTPUTF8"] === true ? { smtputf8: true } : {};
    try {
      const { reply } = await this.#pool.deliver({ ...asked, from, to, body: content });
      return `250 2.0.0 passed on: ${firstLine(reply.message)}`;
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

/** An unknown fate is told as one that may pass: the sender tries again, and may make two, as RFC 1047 has it. */
function refusalOf(error: SMTPException): string {
  const text = firstLine(error instanceof SMTPResponseException ? error.smtp_error : error.message);
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
