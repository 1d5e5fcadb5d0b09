/** With Bun's own tests: `bun test ./bun.test.mjs` */
import { expect, test } from "bun:test";
import { startServer } from "smtplib/testing";
import { welcome } from "./welcome.mjs";

test("greets a member", async () => {
  await using server = startServer({ auth: { user: "club", password: "open sesame" } });
  expect(await welcome("ada@example.net", { transport: server.transport })).toBe(true);
  const message = await server.next();
  expect(message.to).toEqual(["ada@example.net"]);
  expect(message.text).toStartWith("Subject: Welcome\r\n");
});

test("says that a member cannot be reached", async () => {
  await using server = startServer({ auth: "any", answers: { rcpt: "550 5.1.1 no such user" } });
  expect(await welcome("nobody@example.net", { transport: server.transport })).toBe(false);
});
