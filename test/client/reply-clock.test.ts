/** The timeout of a reply runs from the time its command was sent; later writes do not extend it. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SMTP, type SMTPOptions, SMTPTimeoutError } from "../../src/index.ts";
import { type Answer, FakeServer } from "./fake-server.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A session with a server that is silent from the end of the second message on. */
async function session(ehlo: string[], options: SMTPOptions): Promise<{ server: FakeServer; smtp: SMTP }> {
  const answer = (): Answer => (server.messages.length > 1 ? undefined : "250 ok");
  const server: FakeServer = new FakeServer({
    ehlo,
    on: { RSET: answer, MAIL: answer, RCPT: answer, DATA: () => answer() && "354 go", BDAT: answer, ".": answer },
  });
  const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport, ...options });
  await smtp.sendmail("a@b.c", "d@e.f", "what is loaded late is loaded now");
  return { server, smtp };
}

test.each<[string, string[], SMTPOptions]>([
  ["pipelined", ["PIPELINING"], {}],
  ["by BDAT", ["PIPELINING", "CHUNKING"], { chunking: true }],
  ["eager", ["PIPELINING", "CHUNKING"], { pipelining: "eager" }],
])("an unanswered message times out although another one is sent behind it, %s", async (_, ehlo, options) => {
  const { server, smtp } = await session(ehlo, { timeouts: { dataDone: 600 }, ...options });
  const began = performance.now();
  let seconds = 0;
  const first = smtp.sendmail("a@b.c", "d@e.f", "1").catch((error: unknown) => {
    seconds = (performance.now() - began) / 1000;
    return error;
  });
  await server.until(({ messages }) => messages.length === 2);
  await vi.advanceTimersByTimeAsync(400_000);
  const second = smtp.sendmail("a@b.c", "d@e.f", "2").catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(900_000);
  expect(await first).toBeInstanceOf(SMTPTimeoutError);
  expect(await first).toMatchObject({ phase: "dataDone", delivery: "unknown" });
  expect(seconds).toBe(600);
  expect(await second).toMatchObject({ delivery: options.pipelining === "eager" ? "unknown" : "not-sent" });
});
