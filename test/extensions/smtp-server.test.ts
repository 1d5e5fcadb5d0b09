/** REQUIRETLS and XOAUTH2 with npm's smtp-server, which offers the former only over TLS (RFC 8689). */
import { afterAll, beforeAll, expect } from "vitest";
import { SMTP, SMTP_SSL, SMTPNotSupportedError } from "../../src/index.ts";
import { xoauth2 } from "../../src/sasl/index.ts";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { reasonOf } from "../support/session.ts";
import { proof } from "./proof.ts";

let server: EmbeddedServer;
let encrypted: EmbeddedServer;

beforeAll(async () => {
  const settings = { hideREQUIRETLS: false };
  server = await startEmbeddedServer({ settings });
  encrypted = await startEmbeddedServer({ settings, tls: "implicit" });
});

afterAll(() => Promise.all([server.close(), encrypted.close()]));

const send = (smtp: SMTP): Promise<unknown> => smtp.sendmail("a@b.test", "c@d.test", "", { requiretls: true });

proof("REQUIRETLS", "smtp-server", "is asked for after STARTTLS with a verified certificate", async () => {
  const smtp = await SMTP.connect(server.host, server.port);
  expect(await reasonOf(send(smtp))).toMatchObject({ name: "SMTPNotSupportedError", capability: "REQUIRETLS" });
  await smtp.starttls({ ca: server.ca, servername: "localhost" });
  expect(await send(smtp)).toEqual({});
  expect(server.messages.at(-1)).toMatchObject({ secure: true, parameters: { REQUIRETLS: true } });
  await smtp.quit();
});

proof("REQUIRETLS", "smtp-server", "is asked for over implicit TLS", async () => {
  const context = { ca: encrypted.ca, servername: "localhost" };
  const smtp = await SMTP_SSL.connect(encrypted.host, encrypted.port, { context });
  expect(await send(smtp)).toEqual({});
  expect(encrypted.messages.at(-1)).toMatchObject({ parameters: { REQUIRETLS: true } });
  await smtp.quit();
});

proof("REQUIRETLS", "smtp-server", "is refused before MAIL where nobody verified the certificate", async () => {
  const before = encrypted.messages.length;
  const context = { rejectUnauthorized: false };
  const smtp = await SMTP_SSL.connect(encrypted.host, encrypted.port, { context });
  expect(await reasonOf(send(smtp))).toBeInstanceOf(SMTPNotSupportedError);
  expect(await reasonOf(send(smtp))).toMatchObject({ capability: "REQUIRETLS", delivery: "not-sent" });
  expect(encrypted.messages).toHaveLength(before);
  await smtp.quit();
});

proof("XOAUTH2", "smtp-server", "takes the token, and no other", async () => {
  const auth = { user: "user", password: "password", token: "good-token" };
  await using members = await startEmbeddedServer({ auth });
  const smtp = await SMTP.connect(members.host, members.port);
  await smtp.starttls({ ca: members.ca, servername: "localhost" });
  const refused = await reasonOf(smtp.auth("XOAUTH2", xoauth2({ user: "user", token: "bad-token" })));
  expect(refused).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535 });
  expect(String(refused)).not.toContain("bad-token");
  await smtp.auth("XOAUTH2", xoauth2({ user: "user", token: async () => "good-token" }));
  await smtp.sendmail("a@b.test", "c@d.test", "Subject: x\n\n");
  expect(members.messages).toMatchObject([{ user: "user" }]);
  await smtp.quit();
});
