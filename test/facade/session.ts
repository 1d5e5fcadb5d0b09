/** What the facade's tests begin with: a session with a fake server, and the reason of a rejection. */
import { SMTP, type SMTPOptions } from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";

/** A connected session and its server. */
export async function session(
  script: Script = {},
  options: SMTPOptions = {},
): Promise<{ server: FakeServer; smtp: SMTP }> {
  const server = new FakeServer(script);
  const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport, ...options });
  return { server, smtp };
}

/** What a promise rejects with. */
export function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "no rejection",
    (reason: unknown) => reason,
  );
}
