/**
 * A program that prints an instance of each kind by the runtime's own `console.log`; bundled and run by
 * `inspect.test.ts`.
 */
import { LMTP, SMTP, SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { plain } from "../../src/sasl/index.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { FakeServer } from "../client/fake-server.ts";

class Newsletter extends LMTP {}

const auth = { user: "ada", password: "s3cret" };
const on = { AUTH: "535 5.7.8 no\x1b[31m" };
const { transport } = new FakeServer({ ehlo: ["AUTH PLAIN LOGIN"], on, peer: { loopback: true } });
const smtp = await SMTP.connect("mail.example.com", 587, { transport });
const refusal = await smtp.login(auth.user, auth.password).catch((error: unknown) => error);
const options = { host: "mail.example.com", auth };

const kinds = {
  session: smtp,
  subclass: new Newsletter(),
  pool: new SMTPPool(options),
  upyo: new SmtplibTransport(options),
  nodemailer: smtplib(options),
  reply: await smtp.noop(),
  nested: { session: smtp },
  delivery: await smtp.deliver({ from: "a@a.test", to: ["b@b.test"], body: "hello" }),
  mechanism: plain(auth),
  refusal,
};
for (const [kind, value] of Object.entries(kinds)) {
  console.log(`== ${kind}`);
  console.log(value);
}
console.log("== end");
smtp.close();
