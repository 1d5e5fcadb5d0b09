/** With node:test: `node --test node.test.mjs` */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "smtplib/testing";
import { welcome } from "./welcome.mjs";

test("greets a member", async (t) => {
  const server = startServer({ auth: { user: "club", password: "open sesame" } });
  t.after(() => server.close());
  assert.equal(await welcome("ada@example.net", { transport: server.transport }), true);
  const message = await server.next();
  assert.deepEqual(message.to, ["ada@example.net"]);
  assert.match(message.text, /^Subject: Welcome\r\n/);
});

test("says that a member cannot be reached", async (t) => {
  const server = startServer({ auth: "any", answers: { rcpt: "550 5.1.1 no such user" } });
  t.after(() => server.close());
  assert.equal(await welcome("nobody@example.net", { transport: server.transport }), false);
});
