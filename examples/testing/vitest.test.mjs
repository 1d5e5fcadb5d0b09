/** With vitest: `npx vitest run vitest.test.mjs` */

import { replayTranscript, startServer } from "smtplib/testing";
import { afterEach, expect, it } from "vitest";
import { welcome } from "./welcome.mjs";

let server;
afterEach(() => server?.close());

it("greets a member", async () => {
  server = startServer({ auth: { user: "club", password: "open sesame" } });
  expect(await welcome("ada@example.net", { transport: server.transport })).toBe(true);
  const message = await server.next();
  expect(message).toMatchObject({ to: ["ada@example.net"], secure: true, user: "club" });
  expect(message.text).toMatch(/^Subject: Welcome\r\n/);
});

it("says that a member cannot be reached", async () => {
  server = startServer({ auth: "any", answers: { rcpt: "550 5.1.1 no such user" } });
  expect(await welcome("nobody@example.net", { transport: server.transport })).toBe(false);
});

it("fails where the connection is lost with the message in flight", async () => {
  server = startServer({ auth: "any", answers: { message: { end: "reset" } } });
  const greeting = welcome("ada@example.net", { transport: server.transport });
  await expect(greeting).rejects.toMatchObject({ cause: expect.anything() });
  expect(server.messages).toHaveLength(1); // accepted nevertheless: sending it again would deliver it twice
});

it("speaks as it did to the real server", async () => {
  const replay = replayTranscript(`
CONNECT mail.example.com:587
S: 220 mail.example.com ESMTP
C: EHLO club.example.com
S: 250-mail.example.com
S: 250 STARTTLS
C: STARTTLS
S: 220 go ahead
TLS
C: EHLO club.example.com
S: 250-mail.example.com
S: 250 AUTH PLAIN
C: AUTH PLAIN ***
S: 235 2.7.0 welcome
C: MAIL FROM:<club@example.com>
S: 250 OK
C: RCPT TO:<ada@example.net>
S: 250 OK
C: DATA
S: 354 go on
C: Subject: Welcome
C:
C: Good to have you!
C: .
S: 250 queued as 1A2B3C
C: QUIT
S: 221 bye
`);
  const options = { transport: replay.transport, local_hostname: "club.example.com" };
  expect(await welcome("ada@example.net", options)).toBe(true);
  await replay.finish();
});
