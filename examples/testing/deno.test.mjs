/** With Deno's own tests: `deno test deno.test.mjs` */
import assert from "node:assert/strict";
import { startServer } from "smtplib/testing";
import { welcome } from "./welcome.mjs";

Deno.test("greets a member", async () => {
  await using server = startServer({ auth: { user: "club", password: "open sesame" } });
  assert.equal(await welcome("ada@example.net", { transport: server.transport }), true);
  const message = await server.next();
  assert.deepEqual(message.to, ["ada@example.net"]);
  assert.match(message.text, /^Subject: Welcome\r\n/);
});

Deno.test("says that a member cannot be reached", async () => {
  await using server = startServer({ auth: "any", answers: { rcpt: "550 5.1.1 no such user" } });
  assert.equal(await welcome("nobody@example.net", { transport: server.transport }), false);
});
