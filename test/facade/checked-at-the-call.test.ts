/** Invalid arguments are refused at the call, even while an earlier call keeps the session busy. */
import { describe, expect, test } from "vitest";
import type { SMTP } from "../../src/index.ts";
import { plain } from "../../src/sasl/index.ts";
import { reasonOf, session } from "../support/session.ts";

const WRONG: [name: string, argument: RegExp, call: (smtp: SMTP) => Promise<unknown>][] = [
  ["connect", /host/, (smtp) => smtp.connect("a\r\nb")],
  ["helo", /name/, (smtp) => smtp.helo("a\r\nb")],
  ["ehlo", /name/, (smtp) => smtp.ehlo("a b")],
  ["mail", /sender/, (smtp) => smtp.mail("a\r\n@b.c")],
  ["mail with options", /BODY|option/, (smtp) => smtp.mail("a@b.c", ["BODY=\r\n"])],
  ["rcpt", /recipient/, (smtp) => smtp.rcpt("a\0@b.c")],
  ["rcpt with options", /NOTIFY|option/, (smtp) => smtp.rcpt("a@b.c", ["NOTIFY=\n"])],
  ["data", /message/, (smtp) => smtp.data(7 as unknown as string)],
  ["verify", /address/, (smtp) => smtp.verify("a\r\nb")],
  ["vrfy", /address/, (smtp) => smtp.vrfy("a, b <c>")],
  ["expn", /address/, (smtp) => smtp.expn("")],
  ["help", /argument/, (smtp) => smtp.help("a\nb")],
  ["docmd", /command/, (smtp) => smtp.docmd("NOOP\r\nQUIT")],
  ["docmd with arguments", /argument/, (smtp) => smtp.docmd("NOOP", "a\r\nb")],
  ["docmd of STARTTLS", /STARTTLS/, (smtp) => smtp.docmd("STARTTLS")],
  ["putcmd", /command/, (smtp) => smtp.putcmd("a\nb")],
  ["send", /bytes/, (smtp) => smtp.send(7 as unknown as string)],
  ["starttls", /tls/, (smtp) => smtp.starttls({ minVersion: 7 } as unknown as object)],
  ["login", /user/, (smtp) => smtp.login("a\0b", "secret")],
  ["login with a wrong password", /^password/, (smtp) => smtp.login("ada", "secret\n")],
  ["login with options", /initial_response_ok/, (smtp) => smtp.login("a", "b", { initial_response_ok: 1 as never })],
  ["login by unknown mechanisms", /mechanisms/, (smtp) => smtp.login("a", "b", { mechanisms: ["NONE"] })],
  ["auth", /mechanism/, (smtp) => smtp.auth("A B", plain({ user: "a", password: "b" }))],
  ["auth of another mechanism", /mechanism/, (smtp) => smtp.auth("LOGIN", plain({ user: "a", password: "b" }))],
  ["auth with no object", /authobject/, (smtp) => smtp.auth("PLAIN", 7 as never)],
  ["sendmail", /from_addr/, (smtp) => smtp.sendmail("a\r\n@b.c", "d@e.f", "x")],
  ["send_message", /msg/, (smtp) => smtp.send_message(7 as never)],
  ["deliver", /recipients|to/, (smtp) => smtp.deliver({ from: "a@b.c", to: ["d\n@e.f"], body: "x" })],
];

describe("a wrong argument", () => {
  test.each(WRONG)("of %s is refused while an earlier call waits for its reply", async (_, argument, call) => {
    const { smtp, server } = await session({ on: { NOOP: () => undefined } });
    const waiting = reasonOf(smtp.noop());
    const error = await reasonOf(call(smtp));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: expect.stringMatching(/^(Type|Range)Error$/),
      message: expect.stringMatching(argument),
    });
    expect(String(error)).not.toContain("secret");
    smtp.close();
    expect(await waiting).toMatchObject({ name: "SMTPServerDisconnected" });
    expect(server.lines).toEqual(["NOOP"]);
  });

  test.each(WRONG)("of %s is refused without a session", async (_, argument, call) => {
    const { smtp } = await session();
    smtp.close();
    expect(await reasonOf(call(smtp))).toMatchObject({ message: expect.stringMatching(argument) });
  });
});
