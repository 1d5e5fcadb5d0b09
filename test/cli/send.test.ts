/** `send`: the message that arrives, the output, and the exit code. */
import { readFile } from "node:fs/promises";
import { simpleParser } from "mailparser";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startScriptedProxy } from "../proxy/scripted-proxy.ts";
import { type EmbeddedOptions, type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { close, ehlo, server as friendly, inOrder, reset, startScriptedServer } from "../support/scripted-server.ts";
import { type Around, cli, fileOf, type Ran } from "./cli.ts";
import { closedPort, implicitTls, pairs, scripted, withStartTls } from "./planted.ts";

const letter = "From: Ada <ada@example.com>\nTo: charles@example.net\nBcc: mary@example.net\nSubject: Hello\n\nHi!\n";
const envelope = ["--from", "ada@example.com", "--to", "charles@example.net"];
let ca = "";

beforeAll(async () => {
  ca = (await pairs()).ca;
});

async function start(options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer(options);
  onTestFinished(() => server.close());
  return server;
}

/** Sends to a port of this machine. */
async function send(port: number, args: readonly string[], around: Around = {}): Promise<Ran> {
  const trusted = await fileOf(ca, "ca.pem");
  return cli(["send", "--server", `localhost:${port}`, "--ca", trusted, ...args], around);
}

describe("send", () => {
  it("sends a finished message to those whom its header names, without Bcc, over TLS where that is offered", async () => {
    const server = await start();
    const { code, stdout, stderr } = await send(server.port, [await fileOf(letter)]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^accepted for charles@example\.net, mary@example\.net: 250 /);
    expect(server.messages).toMatchObject([
      { from: "ada@example.com", to: ["charles@example.net", "mary@example.net"], secure: true },
    ]);
    expect(text(server)).not.toContain("Bcc");
  });

  it("sends what standard input has, to those whom the options name", async () => {
    const server = await start();
    const to = ["--to", "Mary <mary@example.net>, bob@example.net", "--from", "<>"];
    expect((await send(server.port, ["-", ...to], { stdin: letter })).code).toBe(0);
    expect(server.messages).toMatchObject([{ from: "", to: ["mary@example.net", "bob@example.net"] }]);
  });

  it("builds a message of options, attachments included", async () => {
    const server = await start();
    const attached = await fileOf("one,two\n", "table.csv");
    const html = await fileOf("<p>Grüße</p>", "letter.html");
    const { code, stderr } = await send(
      server.port,
      [
        ...["--from", "Ada <ada@example.com>", "--to", "charles@example.net", "--bcc", "mary@example.net"],
        ...["--subject", "Grüße", "--text", "-", "--html", `@${html}`, "--attach", attached, "--header", "X-Test: yes"],
      ],
      { stdin: "Hello\n" },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(server.messages).toMatchObject([
      { from: "ada@example.com", to: ["charles@example.net", "mary@example.net"] },
    ]);
    const mail = await simpleParser(text(server));
    expect(mail).toMatchObject({ subject: "Grüße", text: "Hello\n", html: "<p>Grüße</p>" });
    expect(mail.bcc).toBeUndefined();
    expect(mail.headers.get("x-test")).toBe("yes");
    expect(mail.attachments).toMatchObject([{ filename: "table.csv", content: Buffer.from("one,two\n") }]);
  });

  it("sends a small message for a test", async () => {
    const server = await start();
    expect((await send(server.port, ["--test", ...envelope])).code).toBe(0);
    expect(await simpleParser(text(server))).toMatchObject({ subject: expect.stringMatching(/^Test of 20/) });
  });

  it("sends a message that is longer than what it reads into memory", async () => {
    const server = await start();
    const long = `${letter}${`${"0123456789".repeat(7)}\n`.repeat(120_000)}`;
    expect((await send(server.port, [await fileOf(long)])).code).toBe(0);
    const [message] = server.messages;
    expect(message?.content.length).toBe(long.replace(/Bcc.*\n/, "").replaceAll("\n", "\r\n").length);
  });

  it("takes the server from SMTP_URL", async () => {
    const server = await start({ auth: { user: "ada", password: "open sesame" } });
    const env = { SMTP_URL: `smtp://ada:open%20sesame@localhost:${server.port}` };
    const { code, stderr } = await cli(["send", "--test", ...envelope, "--ca", await fileOf(ca)], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(server.messages).toMatchObject([{ user: "ada", secure: true }]);
  });

  it("speaks TLS from the first byte on, and LMTP", async () => {
    const secure = await start({ tls: "implicit" });
    expect((await send(secure.port, ["--tls", "--test", ...envelope])).code).toBe(0);
    const lmtp = await start({ lmtp: true });
    const to = ["--from", "ada@example.com", "--to", "charles@example.net,mary@example.net"];
    expect((await send(lmtp.port, ["--lmtp", "--test", ...to])).code).toBe(0);
    expect([secure.messages, lmtp.messages]).toMatchObject([[{ secure: true }], [{}]]);
  });

  it("goes through a proxy, and from an address of its own", async () => {
    const server = await start();
    const proxy = await startScriptedProxy({ kind: "SOCKS5" });
    const args = ["--test", ...envelope, "--proxy", `socks5h://127.0.0.1:${proxy.port}`];
    expect((await send(server.port, args)).code).toBe(0);
    expect((await send(server.port, ["--test", ...envelope, "--source-address", "127.0.0.1"])).code).toBe(0);
    expect(server.messages).toHaveLength(2);
  });

  it("asks the server for what the options ask for", async () => {
    const script = await startScriptedServer(
      friendly({
        EHLO: ehlo("DSN", "SIZE", "8BITMIME", "MT-PRIORITY", "DELIVERBY", "FUTURERELEASE 999 2040-01-01T00:00:00Z"),
      }),
    );
    onTestFinished(() => script.finish());
    const { code } = await send(script.port, [
      ...["--test", ...envelope, "--ret", "hdrs", "--envid", "id 1", "--notify", "success,failure"],
      ...["--orcpt", "rfc822;charles@example.net", "--mt-priority", "-3", "--by", "120:return", "--hold-for", "60"],
    ]);
    expect(code).toBe(0);
    expect(script.first.lines.filter((line) => /^(MAIL|RCPT)/.test(line))).toEqual([
      expect.stringMatching(
        /^MAIL FROM:<ada@example\.com> SIZE=\d+ RET=HDRS ENVID=id\+201 BY=120;R HOLDFOR=60 MT-PRIORITY=-3$/,
      ),
      "RCPT TO:<charles@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;charles@example.net",
    ]);
  });

  it("sends many by a pool, and adds up what came of them", async () => {
    const server = await start();
    const { code, stdout } = await send(server.port, [
      ...["--test", "--from", "ada@example.com", "--to", "charles@example.net"],
      ...["--repeat", "20", "--connections", "3", "--rate", "1000/1"],
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "20 accepted\n" });
    expect(server.messages).toHaveLength(20);
    expect(server.connections).toBeLessThanOrEqual(3);
  });

  it("shows on a terminal how far it is, and nowhere else", async () => {
    const server = await start();
    const args = ["--test", ...envelope, "--repeat", "5"];
    const shown = await send(server.port, args, { isTerminal: true });
    expect(shown.stderr).toMatch(/\r\[#* *-*\] +\d+ % {2}\d messages of 5 messages/);
    expect((await send(server.port, args)).stderr).toBe("");
  });

  it("prints the outcome as JSON", async () => {
    const server = await start();
    const to = ["--from", "ada@example.com", "--to", "charles@example.net,refused@example.net"];
    const { code, stdout } = await send(server.port, ["--test", ...to, "--json"]);
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      exitCode: code,
      messages: [
        {
          exitCode: 80,
          accepted: ["charles@example.net"],
          refused: [{ address: "refused@example.net", code: 550, text: "5.1.1 no such user" }],
          reply: { code: 250, text: expect.stringContaining("queued as 1") },
        },
      ],
    });
  });
});

describe("the exit code of send", () => {
  it.each([
    [65, ["--to", "refused@example.net"], /refused for refused@example\.net: 550 5\.1\.1 no such user/],
    [75, ["--to", "later@example.net"], /refused for later@example\.net: 450 4\.2\.1 try later/],
    [80, ["--to", "charles@example.net,refused@example.net"], /refused for refused@example\.net/],
    [80, ["--to", "charles@example.net", "--to", "later@example.net"], /refused for later@example\.net/],
  ])("is %i where the server refuses %j", async (expected, to, says) => {
    const server = await start();
    const { code, stderr } = await send(server.port, ["--test", "--from", "ada@example.com", ...to]);
    expect(code).toBe(expected);
    expect(stderr).toMatch(says);
  });

  it("is 65 or 75 where the message is refused, and 79 where its fate is unknown", async () => {
    const refused = await scripted(friendly({ ".": "554 5.7.1 spam" }));
    expect(await send(refused, ["--test", ...envelope])).toMatchObject({
      code: 65,
      stderr: /rejected: 554 5\.7\.1 spam/,
    });
    const deferred = await scripted(friendly({ ".": "451 4.3.0 later" }));
    expect((await send(deferred, ["--test", ...envelope])).code).toBe(75);
    const dead = await scripted(friendly({ ".": reset }));
    const { code, stderr } = await send(dead, ["--test", ...envelope]);
    expect(code).toBe(79);
    expect(stderr).toMatch(/^unknown: .*: it may have been delivered, and sending it again may make two$/m);
  });

  it("is the worst of many", async () => {
    const port = await scripted(friendly({ ".": inOrder("250 ok", "554 no", "250 ok") }));
    const { code, stdout, stderr } = await send(port, ["--test", ...envelope, "--repeat", "3", "--pipelining", "off"]);
    expect(code).toBe(65);
    expect(stdout).toBe("2 accepted\n");
    expect(stderr).toMatch(/^1 rejected: 554 no$/m);
  });

  it("is 69 where nothing answers or the server refuses us, and 75 where it does so for now", async () => {
    expect((await send(await closedPort(), ["--test", ...envelope])).code).toBe(69);
    expect((await send(await scripted(["554 go away", close]), ["--test", ...envelope])).code).toBe(69);
    expect((await send(await scripted(["421 too busy", close]), ["--test", ...envelope])).code).toBe(75);
    expect((await send(await scripted(friendly({ DATA: close })), ["--test", ...envelope])).code).toBe(75);
  });

  it("is 76 where the server cannot do what is asked for", async () => {
    const { wrongName } = await pairs();
    const clear = await scripted(friendly());
    const cases = [
      send(clear, ["--test", ...envelope, "--starttls", "required"]),
      send(clear, ["--test", ...envelope, "--requiretls"]),
      send(await withStartTls(wrongName), ["--test", ...envelope]),
      send(await implicitTls(wrongName), ["--test", ...envelope, "--tls"]),
    ];
    expect((await Promise.all(cases)).map(({ code }) => code)).toEqual([76, 76, 76, 76]);
  });

  it("is 77 where the login is refused, or not possible", async () => {
    const server = await start({ auth: { user: "ada", password: "open sesame" } });
    const env = { SMTP_PASSWORD: "wrong" };
    expect((await send(server.port, ["--test", ...envelope, "--user", "ada"], { env })).code).toBe(77);
    const clear = await scripted(friendly());
    const args = ["--test", ...envelope, "--user", "ada", "--starttls", "never"];
    expect((await send(clear, args, { env })).code).toBe(77);
  });

  it("is 66 where a file cannot be read, and 73 where one cannot be written", async () => {
    const server = await start();
    expect(await send(server.port, ["/no/such/file"])).toMatchObject({
      code: 66,
      stderr: /\/no\/such\/file cannot be read/,
    });
    expect(await send(server.port, ["-", ...envelope])).toMatchObject({
      code: 66,
      stderr: "smtplib send: the message is empty\n",
    });
    const picture = ["--test", ...envelope, "--trace-html", "/no/such/folder/x.html"];
    expect(await send(server.port, picture)).toMatchObject({ code: 73, stderr: /--trace-html .* cannot be written/ });
    const attached = ["--text", "x", ...envelope, "--attach", "/no/such/file"];
    expect(await send(server.port, attached)).toMatchObject({
      code: 66,
      stderr: /--attach \/no\/such\/file cannot be read: it does not exist/,
    });
    expect(server.messages).toEqual([]);
  });
});

describe("a login of send", () => {
  it("takes its password from a file, the environment or a terminal", async () => {
    const server = await start({ auth: { user: "ada", password: "open sesame" } });
    const file = await fileOf("open sesame\nand more\n");
    const args = ["--test", ...envelope, "--user", "ada"];
    expect((await send(server.port, [...args, "--password-file", file])).code).toBe(0);
    expect((await send(server.port, args, { env: { SMTP_PASSWORD: "open sesame" } })).code).toBe(0);
    expect((await send(server.port, args, { typed: "open sesame" })).code).toBe(0);
    expect(await send(server.port, args)).toMatchObject({ code: 64, stderr: /--user needs a password/ });
    expect(server.messages.map(({ user }) => user)).toEqual(["ada", "ada", "ada"]);
  });

  it("warns of a password in an argument", async () => {
    const server = await start({ auth: { user: "ada", password: "open sesame" } });
    const args = ["--test", ...envelope, "--user", "ada", "--password", "open sesame"];
    const { code, stderr } = await send(server.port, args);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: the password is in --password: others can read it/);
    expect(stderr).not.toContain("sesame");
  });

  it("takes a token from a command", async () => {
    const server = await start({ auth: { user: "ada", password: "x", token: "t0ken-of-ada" } });
    const args = ["--test", ...envelope, "--user", "ada", "--token-command", "echo t0ken-of-$NAME"];
    const { code, stderr } = await send(server.port, args, { env: { NAME: "ada", PATH: process.env["PATH"] ?? "" } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const failing = ["--test", ...envelope, "--user", "ada", "--token-command", "echo s3cret; exit 3"];
    const failed = await send(server.port, failing);
    expect(failed).toMatchObject({ code: 77, stderr: /--token-command failed: exit code 3/ });
    expect(failed.stderr).not.toContain("s3cret");
  });

  it("uses the mechanism that it is told to", async () => {
    const server = await start({ auth: { user: "ada", password: "open sesame" } });
    const env = { SMTP_PASSWORD: "open sesame" };
    for (const mechanism of ["PLAIN", "login", "CRAM-MD5"]) {
      const args = ["--test", ...envelope, "--user", "ada", "--auth", mechanism, "--trace"];
      const { code, stderr } = await send(server.port, args, { env });
      expect(code).toBe(0);
      expect(stderr).toContain(`C: AUTH ${mechanism.toUpperCase()}`);
    }
  });
});

describe("send --stop-after", () => {
  it.each([
    ["connect", ["220"]],
    ["ehlo", ["220", "250"]],
    ["tls", ["220", "250", "250"]],
    ["auth", ["220", "250", "250", "235"]],
    ["mail", ["220", "250", "250", "235", "250"]],
    ["rcpt", ["220", "250", "250", "235", "250", "250", "550"]],
  ])("goes as far as %s", async (stage, codes) => {
    const server = await start({ auth: { user: "ada", password: "open sesame" } });
    const to = ["--from", "ada@example.com", "--to", "charles@example.net,refused@example.net", "--user", "ada"];
    const { code, stdout } = await send(server.port, ["--stop-after", stage, ...to], {
      env: { SMTP_PASSWORD: "open sesame" },
    });
    expect(Array.from(stdout.matchAll(/^[a-z]+.*?: (\d{3}) /gm), ([, found]) => found)).toEqual(codes);
    expect(code).toBe(stage === "rcpt" ? 80 : 0);
    expect(server.messages).toEqual([]);
  });
});

describe("send --dry-run", () => {
  it("shows what would be said to this server, and why, and sends nothing", async () => {
    const { good } = await pairs();
    const offers = ["PIPELINING", "SIZE 1000000", "8BITMIME", "DSN", "AUTH PLAIN SCRAM-SHA-256"];
    const port = await withStartTls(good, offers);
    const { code, stdout } = await send(
      port,
      ["-", "--dry-run", ...envelope, "--to", "mary@example.net", "--notify", "FAILURE", "--user", "ada"],
      { stdin: `${letter}Grüße\n`, env: { SMTP_PASSWORD: "open sesame" } },
    );
    expect(code).toBe(0);
    expect(stdout).toBe(`(TLSv1.3)
    the session is encrypted, and the server verified
AUTH SCRAM-SHA-256 ***
    the strongest of PLAIN, SCRAM-SHA-256: proves the password by SHA-256 without revealing it
MAIL FROM:<ada@example.com> SIZE=86 BODY=8BITMIME
    SIZE=86: the server takes the size beforehand (RFC 1870)
    BODY=8BITMIME: the content has octets over 127, and the server offers 8BITMIME (RFC 6152)
RCPT TO:<charles@example.net> NOTIFY=FAILURE
    NOTIFY=FAILURE: asked for by --notify, and the server offers it
    leaves in one write with the line before it (PIPELINING)
RCPT TO:<mary@example.net> NOTIFY=FAILURE
    NOTIFY=FAILURE: asked for by --notify, and the server offers it
    leaves in one write with the line before it (PIPELINING)
DATA
    the server does not offer CHUNKING
    leaves in one write with the line before it (PIPELINING)
`);
  });

  it("says nothing to the server but EHLO and QUIT", async () => {
    const script = await startScriptedServer(friendly({ EHLO: ehlo("CHUNKING", "PIPELINING", "AUTH PLAIN") }));
    onTestFinished(() => script.finish());
    const env = { SMTP_PASSWORD: "open sesame" };
    for (const more of [[], ["--pipelining", "eager"], ["--chunking", "on", "--user", "ada", "--starttls", "never"]]) {
      const { code } = await send(script.port, ["--test", ...envelope, "--dry-run", ...more], { env });
      expect(code).toBe(0);
    }
    const said = script.conversations.flatMap(({ lines }) => lines.map((line) => line.split(" ", 1)[0]));
    expect(said).toEqual(["EHLO", "QUIT", "EHLO", "QUIT", "EHLO", "QUIT"]);
  });

  it("says that without the login nothing would be sent", async () => {
    const port = await scripted(friendly());
    const args = ["--test", ...envelope, "--dry-run", "--user", "ada", "--starttls", "never"];
    const { code, stdout } = await send(port, args, { env: { SMTP_PASSWORD: "open sesame" } });
    expect({ code, stdout }).toEqual({
      code: 77,
      stdout: expect.stringMatching(/^\(no login\)\n.*: nothing is sent\n$/),
    });
  });

  it("says what the server lacks", async () => {
    const port = await scripted(friendly({ EHLO: ehlo("SIZE 20") }));
    expect(await send(port, ["--test", ...envelope, "--dry-run"])).toMatchObject({ code: 76, stderr: /SIZE/ });
    expect(await send(port, ["--test", ...envelope, "--dry-run", "--ret", "FULL"])).toMatchObject({
      code: 76,
      stderr: /DSN/,
    });
  });

  it("shows BDAT where that carries the message", async () => {
    const port = await scripted(friendly({ EHLO: ehlo("CHUNKING") }));
    const { stdout } = await send(port, ["--test", ...envelope, "--dry-run", "--chunking", "on"]);
    expect(stdout).toMatch(/^BDAT \d+ LAST\n {4}--chunking on, and the server offers CHUNKING/m);
  });
});

describe("send --trace and --trace-html", () => {
  it("show the dialogue with its times, and no secret", async () => {
    const server = await start({ auth: { user: "ada", password: "open sesame" } });
    const page = await fileOf("");
    const args = ["--test", ...envelope, "--user", "ada", "--trace", "--trace-html", page, "--auth", "LOGIN"];
    const { code, stderr } = await send(server.port, args, { env: { SMTP_PASSWORD: "open sesame" } });
    expect(code).toBe(0);
    expect(stderr).toMatch(/^ +\d+\.\d {2}CONNECT localhost:\d+$/m);
    expect(stderr).toMatch(/^ +\d+\.\d {2}C: \*\*\*$/m);
    expect(stderr).toMatch(/^ +\d+\.\d {2}C: MAIL FROM:<ada@example\.com>/m);
    const html = await readFile(page, "utf8");
    for (const secret of ["open sesame", btoa("open sesame"), "sesame"]) {
      expect(stderr).not.toContain(secret);
      expect(html).not.toContain(secret);
    }
  });
});

function text({ messages }: EmbeddedServer): string {
  return new TextDecoder().decode(messages[0]?.content);
}
