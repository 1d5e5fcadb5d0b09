/** Helpers of the tests of a client: a session with a scripted server, and the reason of a rejection. */
import { SMTP, type SMTPOptions } from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";

/** A connected session and its server. */
export async function session(
  script: Script = {},
  options: SMTPOptions = {},
  port = 25,
): Promise<{ server: FakeServer; smtp: SMTP }> {
  const server = new FakeServer(script);
  const smtp = await SMTP.connect("mail.example.com", port, { transport: server.transport, ...options });
  return { server, smtp };
}

/** A session after EHLO, or after `prepare`, whose commands so far the server does not record. */
export async function preparedSession(
  script: Script = {},
  options: SMTPOptions = {},
  prepare: (smtp: SMTP) => Promise<unknown> = (smtp) => smtp.ehlo("client"),
): Promise<{ server: FakeServer; smtp: SMTP }> {
  const { server, smtp } = await session(script, options);
  await prepare(smtp);
  for (const kept of [server.writes, server.lines, server.messages]) kept.length = 0;
  return { server, smtp };
}

/** Returns the reason of a promise's rejection. */
export function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "no rejection",
    (reason: unknown) => reason,
  );
}
