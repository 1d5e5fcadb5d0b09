/** The embedded server itself, tested with another client. */
import nodemailer from "nodemailer";
import { expect, it } from "vitest";
import { type EmbeddedOptions, startEmbeddedServer } from "./embedded-server.ts";

it.each<[string, EmbeddedOptions]>([
  ["in the clear", { tls: "none" }],
  ["after STARTTLS", { tls: "starttls" }],
  ["over implicit TLS", { tls: "implicit" }],
  ["after authentication", { tls: "none", auth: { user: "u", password: "p" } }],
])("receives a message %s, octet for octet", async (_, options) => {
  const server = await startEmbeddedServer(options);
  const client = nodemailer.createTransport({
    host: server.host,
    port: server.port,
    secure: options.tls === "implicit",
    requireTLS: options.tls === "starttls",
    tls: { ca: server.ca },
    ...(options.auth === undefined ? {} : { auth: { user: "u", pass: "p" } }),
  });
  const envelope = { from: "a@client.test", to: ["b@lab.test", "refused@lab.test", "later@lab.test"] };
  const sent = await client.sendMail({ envelope, raw: "X-Test: 1\r\n\r\n.dot\r\nGr\u00fc\u00dfe\r\n" });
  expect(sent.rejected).toEqual(["refused@lab.test", "later@lab.test"]);
  expect(server.messages).toMatchObject([
    {
      from: "a@client.test",
      to: ["b@lab.test"],
      secure: options.tls !== "none",
      user: options.auth?.user,
    },
  ]);
  const [message] = server.messages;
  expect(new TextDecoder().decode(message?.content)).toBe("X-Test: 1\r\n\r\n.dot\r\nGr\u00fc\u00dfe\r\n");
  expect(server.connections).toBe(1);
  client.close();
  await server.close();
});
