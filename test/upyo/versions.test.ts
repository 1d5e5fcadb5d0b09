/** smtplib/upyo with all versions of Upyo: one transport for all of them. */
import type { Receipt, ReceiptError, Transport, TransportOptions } from "@upyo/core";
import { createMessage, type Receipt as Receipt04, type Transport as Transport04 } from "@upyo/core-0.4";
import type { TransportEntry } from "@upyo/pool";
import { describe, expect, expectTypeOf, it } from "vitest";
import type { SmtplibReceipt, SmtplibReceiptError, SmtplibTransport } from "../../src/upyo/index.ts";
import { faked } from "./harness.ts";

/** The interface in Upyo 0.6. */
type VerifiableTransport<Id extends string> = Transport<Id> & { verify(options?: TransportOptions): Promise<void> };

describe("the transport", () => {
  it("is one of Upyo 0.5's and 0.6's, and its receipts are theirs", () => {
    expectTypeOf<SmtplibTransport>().toExtend<Transport>();
    expectTypeOf<SmtplibTransport>().toExtend<Transport<"smtplib">>();
    expectTypeOf<SmtplibTransport>().toExtend<VerifiableTransport<"smtplib">>();
    expectTypeOf<{ transport: SmtplibTransport }>().toExtend<TransportEntry<"smtplib">>();
    expectTypeOf<SmtplibReceipt>().toExtend<Receipt<"smtplib">>();
    expectTypeOf<SmtplibReceiptError>().toExtend<ReceiptError<"smtplib">>();
  });

  it("is one of Upyo 0.4's, and takes its messages", async () => {
    expectTypeOf<SmtplibTransport>().toExtend<Transport04>();
    expectTypeOf<SmtplibReceipt>().toExtend<Receipt04>();
    const { server, transport } = faked();
    const upyo: Transport04 = transport;
    const message = createMessage({
      ...{ from: "ada@example.com", to: "charles@example.net", subject: "Hello", content: { text: "Hi!" } },
      attachments: new File(["x"], "x.txt", { type: "text/plain" }),
    });
    expect(await upyo.send(message)).toMatchObject({ successful: true });
    expect(server.messages).toHaveLength(1);
  });
});
