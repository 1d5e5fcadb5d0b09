/** The ticket on the wire: without it neither the final dot nor BDAT LAST is sent. */
import { describe, expect, it } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import { type Taking, TicketRefusedError, ticketedBody } from "../../src/outbox/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { failureOf } from "../servers/failure.ts";

const text = new TextEncoder().encode("Subject: Hello\r\n\r\nHi!\r\n");

/** Sends a message whose ticket `take` takes. */
async function send(
  take: (server: FakeServer) => Promise<Taking>,
  ehlo: readonly string[],
): Promise<{ readonly server: FakeServer; readonly outcome: unknown }> {
  const server = new FakeServer({ ehlo, on: { ".": "250 taken", BDAT: "250 taken" } });
  const pool = new SMTPPool({ host: "mail.example.com", transport: server.transport, chunking: true });
  const request = {
    from: "ada@example.com",
    to: ["charles@example.net"],
    body: ticketedBody([text], () => take(server)),
  };
  const outcome = await pool.deliver(request).catch((error: unknown) => error);
  await pool.close();
  return { server, outcome };
}

/** All written bytes. */
const written = ({ writes }: FakeServer): string => writes.join("");

describe.each([
  { verb: "DATA", ehlo: [], end: /\r\n\.\r\n/ },
  { verb: "BDAT", ehlo: ["CHUNKING"], end: /^BDAT \d+ LAST\r\n/m },
])("by $verb", ({ ehlo, end }) => {
  it("sends the end once the ticket is taken, after all of the content", async () => {
    let before = "";
    const { server, outcome } = await send(async (asked) => {
      before = written(asked);
      return "taken";
    }, ehlo);
    expect(before).toContain("RCPT");
    expect(outcome).toMatchObject({ accepted: ["charles@example.net"] });
    expect(before).not.toMatch(end);
    expect(written(server)).toMatch(end);
  });

  it.each(["refused", "late"] as const)("never sends the end of a message whose ticket is %s", async (taking) => {
    const { server, outcome } = await send(async () => taking, ehlo);
    expect(outcome).toMatchObject({ delivery: "not-sent", cause: { name: "TicketRefusedError", why: taking } });
    expect(written(server)).not.toMatch(end);
  });

  it("never sends the end of a message where the store does not answer", async () => {
    const { server, outcome } = await send(() => Promise.reject(new Error("the store is gone")), ehlo);
    expect(outcome).toMatchObject({ delivery: "not-sent" });
    expect(written(server)).not.toMatch(end);
  });
});

it("gives all chunks before it asks for the ticket", async () => {
  const order: string[] = [];
  const take = async (): Promise<Taking> => {
    order.push("take");
    return "taken";
  };
  for await (const chunk of ticketedBody([text, text], take)) order.push(String(chunk.length));
  expect(order).toEqual([String(text.length), String(text.length), "take"]);
  const refused = ticketedBody([], async () => "refused");
  expect(await failureOf(refused.next())).toBeInstanceOf(TicketRefusedError);
});
