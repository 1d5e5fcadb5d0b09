/** `serve` with clients other than this one: they see the configured behaviour. */
import { readFile } from "node:fs/promises";
import { createTransport } from "nodemailer";
import { describe, expect, it } from "vitest";
import { fileOf, serve } from "./cli.ts";
import { curl, has, itWith, python, swaks } from "./foreign.ts";

const letter = "Subject: Hello\r\n\r\nHi!\r\n";
const from = "ada@example.com";
const to = "charles@example.net";

const SCRIPT = {
  answers: { rcpt: [{ address: "nobody@*", reply: "550 5.1.1 no such user" }] },
  once: { message: [{ address: "dead@*", end: "reset" }] },
  limits: [{ messages: 2, seconds: 60, reply: "450 4.7.1 slow down" }],
};

async function scripted(...args: readonly string[]) {
  return serve("--script", await fileOf(JSON.stringify(SCRIPT)), ...args);
}

describe("nodemailer", () => {
  it("sends over STARTTLS with a login", async () => {
    const server = await serve("--starttls", "--auth", "ada:open sesame");
    const transport = createTransport({
      host: "localhost",
      port: server.port,
      requireTLS: true,
      auth: { user: "ada", pass: "open sesame" },
      tls: { ca: await readFile(server.ca ?? "", "utf8") },
    });
    await transport.sendMail({ from, to, subject: "Hello", text: "Hi!" });
    expect(server.messages).toMatchObject([{ from, to: [to], secure: true, user: "ada" }]);
  });

  it("sees refusals, limits and death after the dot", async () => {
    const server = await scripted();
    const transport = createTransport({ host: "localhost", port: server.port, ignoreTLS: true });
    const outcome = (recipient: string): Promise<unknown> =>
      transport.sendMail({ from, to: recipient, text: "Hi!" }).then(
        ({ response }) => response,
        (error) => error.responseCode ?? error.code,
      );
    expect(await outcome("nobody@example.net")).toBe(550);
    expect(await outcome("dead@example.net")).toMatch(/^E(CONNECTION|SOCKET|CONNRESET)$/);
    expect(await outcome(to)).toBe(450);
  });
});

describe("Python's smtplib", () => {
  const test = itWith(has("python3", "--version"), "Python");

  test("sends over STARTTLS with a login", async () => {
    const server = await serve("--starttls", "--auth", "ada:open sesame");
    const { code, output } = await python(
      server.port,
      `
context = ssl.create_default_context(cafile=${JSON.stringify(server.ca)})
smtp.starttls(context=context)
smtp.login("ada", "open sesame")
print(smtp.sendmail("${from}", ["${to}"], "Subject: Hello\\n\\nHi!\\n"))
smtp.quit()`,
    );
    expect({ code, output }).toEqual({ code: 0, output: "{}\n" });
    expect(server.messages).toMatchObject([{ from, to: [to], secure: true, user: "ada" }]);
  });

  test("sees refusals, limits and death after the dot", async () => {
    const server = await scripted();
    const outcomes = `
def outcome(to):
    global smtp
    try:
        return smtp.sendmail("${from}", [to], "Subject: Hello\\n\\nHi!\\n")
    except smtplib.SMTPRecipientsRefused as error:
        return error.recipients[to][0]
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    except smtplib.SMTPServerDisconnected:
        smtp = smtplib.SMTP("localhost", ${server.port}, timeout=10)
        return "lost"
print(outcome("nobody@example.net"), outcome("dead@example.net"), outcome("${to}"))`;
    expect(await python(server.port, outcomes)).toEqual({ code: 0, output: "550 lost 450\n" });
  });
});

describe("swaks", () => {
  const test = itWith(has("swaks", "--version"), "swaks");

  test("sends over STARTTLS with a login", async () => {
    const server = await serve("--starttls", "--auth", "ada:open sesame");
    const args = ["--from", from, "--to", to, "--tls", "--auth", "PLAIN", "-au", "ada", "-ap", "open sesame"];
    const { code, output } = await swaks(server.port, ...args);
    expect({ code, output }).toMatchObject({ code: 0, output: /<~ {2}250 2\.0\.0 taken/ });
    expect(server.messages).toMatchObject([{ from, to: [to], secure: true, user: "ada" }]);
  });

  test("sees refusals, limits and death after the dot", async () => {
    const server = await scripted();
    const refused = await swaks(server.port, "--from", from, "--to", "nobody@example.net");
    expect(refused).toMatchObject({ code: 24, output: /<\*\* 550 5\.1\.1 no such user/ });
    const dead = await swaks(server.port, "--from", from, "--to", "dead@example.net");
    expect(dead.code).not.toBe(0);
    expect(dead.output).toMatch(/Remote host closed connection unexpectedly|\*\*\*/);
    const late = await swaks(server.port, "--from", from, "--to", to);
    expect(late).toMatchObject({ code: 23, output: /<\*\* 450 4\.7\.1 slow down/ });
  });
});

describe("curl", () => {
  const test = itWith(has("curl", "--version"), "curl");
  const envelope = (recipient: string): string[] => ["--mail-from", from, "--mail-rcpt", recipient];

  test("sends over STARTTLS with a login", async () => {
    const server = await serve("--starttls", "--auth", "ada:open sesame");
    const security = ["--ssl-reqd", "--cacert", server.ca ?? "", "--user", "ada:open sesame"];
    expect(await curl(server.port, letter, ...envelope(to), ...security)).toEqual({ code: 0, output: "" });
    expect(server.messages).toMatchObject([{ from, to: [to], secure: true, user: "ada" }]);
  });

  test("sees refusals, limits and death after the dot", async () => {
    const server = await scripted();
    expect(await curl(server.port, letter, ...envelope("nobody@example.net"))).toMatchObject({
      code: 55,
      output: /550/,
    });
    const dead = await curl(server.port, letter, ...envelope("dead@example.net"));
    expect([8, 52, 55, 56]).toContain(dead.code);
    expect(await curl(server.port, letter, ...envelope(to))).toMatchObject({ code: 55, output: /450/ });
  });
});
