/** The stack of the error in a receipt has the functions of the sending program. */
import { createMessage, type Message } from "@upyo/core";
import { expect, it } from "vitest";
import { type SmtplibReceipt, SmtplibTransport } from "../../src/upyo/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { CALLERS, callersOf } from "../support/callers.ts";

const LETTER: Message = createMessage({
  from: "ada@example.com",
  to: "charles@example.net",
  subject: "Note G",
  content: { text: "Hi!" },
});

function refusing(): SmtplibTransport {
  const { transport } = new FakeServer({ on: { MAIL: "550 no" } });
  return new SmtplibTransport({ host: "mail.example.com", transport });
}

function throwErrorOf(receipt: SmtplibReceipt | undefined): void {
  if (receipt?.successful === false) throw receipt.error;
}

it("send", async () => {
  await using transport = refusing();
  const callers = await callersOf(async () => {
    throwErrorOf(await transport.send(LETTER));
  });
  expect(callers).toEqual(CALLERS);
});

// JavaScriptCore does not follow asynchronous generators.
it.skipIf("Bun" in globalThis)("sendMany", async () => {
  await using transport = refusing();
  const callers = await callersOf(async () => {
    for await (const receipt of transport.sendMany([LETTER, LETTER])) throwErrorOf(receipt);
  });
  expect(callers).toEqual(CALLERS);
});
