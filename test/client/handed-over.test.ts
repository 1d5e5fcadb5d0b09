/** A message behind a write that the transport has not accepted was not sent, whatever happens to the connection. */
import { expect, test } from "vitest";
import { SMTP, type SMTPException, type SMTPOptions, type Transport } from "../../src/index.ts";
import { FakeServer } from "./fake-server.ts";

const from = "a@example.com";
const to = "b@example.com";

/** A session whose transport passes on everything up to a write that begins with this text, and nothing after it. */
async function stuckAt(begin: string, extensions: string[], options: SMTPOptions = {}): Promise<Stuck> {
  const server = new FakeServer({ ehlo: extensions });
  let stuck = false;
  let failed: (error: Error) => void = () => {};
  const transport: Transport = async (endpoint, connectOptions) => {
    const stream = await server.transport(endpoint, connectOptions);
    const { write } = stream;
    stream.write = (data) => {
      if (stuck) throw new Error("a write follows before the last one was taken");
      void write.call(stream, data);
      stuck = new TextDecoder().decode(data).startsWith(begin);
      if (!stuck) return undefined;
      return new Promise((_, reject) => {
        failed = reject;
      });
    };
    return stream;
  };
  const smtp = await SMTP.connect("mail.example.com", 25, { transport, ...options });
  const reset = (): void => {
    failed(new Error("reset"));
    server.streams.at(-1)?.abort();
  };
  return { smtp, server, reset };
}

type Stuck = { readonly smtp: SMTP; readonly server: FakeServer; readonly reset: () => void };

async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => "ok",
    (error: SMTPException) => error.delivery,
  );
}

/** Runs everything that can run in memory. */
const everything = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a message of an eager session", async () => {
  const { smtp, reset } = await stuckAt("RSET", ["PIPELINING", "CHUNKING"], { pipelining: "eager" });
  await smtp.ehlo();
  const first = outcomeOf(smtp.sendmail(from, to, "1"));
  await Promise.resolve();
  const second = outcomeOf(smtp.sendmail(from, to, "2"));
  reset();
  expect([await first, await second]).toEqual(["unknown", "not-sent"]);
});

test.each([
  ["DATA", [], {}],
  ["MAIL", ["PIPELINING"], {}],
  ["RCPT", ["CHUNKING"], { chunking: true }],
])("a content whose turn the server gives before it takes %s", async (begin, extensions, options) => {
  const { smtp, server, reset } = await stuckAt(begin, extensions, options);
  const message = outcomeOf(smtp.sendmail(from, to, "1"));
  await everything();
  expect(server.lines.at(-1)).toMatch(/^(DATA|RCPT)/);
  reset();
  expect(await message).toBe("not-sent");
});
