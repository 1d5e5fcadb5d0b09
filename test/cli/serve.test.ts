/** `serve`: the messages that it accepts and stores and its replies, with our own client. */
import { readdir, readFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LMTP, SMTP, SMTP_SSL, SMTPAuthenticationError, type SMTPOptions, SMTPPool } from "../../src/index.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { reasonOf } from "../transports/bytes.ts";
import { cli, fileOf, type Serving, scratch, serve } from "./cli.ts";

const letter = "Subject: Hello\n\nHi!\n.\n";
const from = "ada@example.com";
const to = "charles@example.net";

async function session({ ca, port }: Serving, options: SMTPOptions = {}): Promise<SMTP> {
  const context = ca === undefined ? {} : { ca: await readFile(ca, "utf8") };
  return SMTP.connect("localhost", port, { context, ...options });
}

/** A server with a script. */
async function scripted(script: object, ...args: readonly string[]): Promise<Serving> {
  return serve("--script", await fileOf(JSON.stringify(script), "script.json"), ...args);
}

describe("serve", () => {
  it("takes messages, and tells of each", async () => {
    const server = await serve();
    const smtp = await session(server);
    await smtp.sendmail(from, [to, "mary@example.net"], letter);
    await smtp.quit();
    expect(server.messages).toEqual([
      { id: 1, session: 1, from, to: [to, "mary@example.net"], octets: 26, secure: false },
    ]);
    expect(await server.stop()).toMatchObject({ code: 0, stderr: "" });
  });

  it("speaks TLS by STARTTLS with a certificate of its own", async () => {
    const server = await serve("--starttls");
    const smtp = await session(server);
    await smtp.starttls();
    expect(smtp.peer?.tls?.verified).toBe(true);
    await smtp.sendmail(from, to, letter);
    await smtp.quit();
    expect(server.messages).toMatchObject([{ secure: true }]);
  });

  it("speaks TLS from the first byte on, and by addresses, too", async () => {
    const server = await serve("--tls");
    const ca = await readFile(server.ca ?? "", "utf8");
    for (const host of ["localhost", "127.0.0.1"]) {
      const smtp = await SMTP_SSL.connect(host, server.port, { context: { ca } });
      await smtp.sendmail(from, to, letter);
      await smtp.quit();
    }
    expect(server.messages).toMatchObject([{ secure: true }, { secure: true }]);
  });

  it("speaks LMTP, a reply for each recipient", async () => {
    const server = await scripted({ answers: { message: [{ address: "full@*", reply: "452 4.2.2 full" }] } }, "--lmtp");
    const lmtp = await LMTP.connect("localhost", server.port);
    const { accepted, refused } = await lmtp.deliver({ from, to: [to, "full@example.net"], body: letter });
    await lmtp.quit();
    expect({ accepted, refused: Object.keys(refused) }).toEqual({ accepted: [to], refused: ["full@example.net"] });
    expect(server.messages).toMatchObject([{ to: [to] }]);
  });

  it("lets those in who have the right password", async () => {
    const server = await serve("--auth", "ada:open:sesame", "--auth", "bob:x");
    for (const mechanism of ["PLAIN", "LOGIN"]) {
      const smtp = await session(server);
      await smtp.login("ada", "open:sesame", { mechanisms: [mechanism] });
      await smtp.sendmail(from, to, letter);
      await smtp.quit();
    }
    const smtp = await session(server);
    expect(await reasonOf(smtp.login("bob", "open:sesame"))).toBeInstanceOf(SMTPAuthenticationError);
    expect(await reasonOf(smtp.sendmail(from, to, letter))).toMatchObject({ smtp_code: 530 });
    await smtp.quit();
    expect(server.messages).toMatchObject([{ user: "ada" }, { user: "ada" }]);
    const { stdout, stderr } = await server.stop();
    expect(stderr).toMatch(/^warning: the password is in --auth/);
    expect(stdout + stderr).not.toContain("sesame");
  });

  it("keeps messages as files, as they came", async () => {
    const folder = await scratch();
    const server = await serve("--store", join(folder, "mail"));
    const smtp = await session(server);
    await smtp.sendmail(from, to, letter);
    await smtp.sendmail(from, to, "Subject: Second\n\nHi!\n");
    await smtp.quit();
    const files = (await readdir(join(folder, "mail"))).sort();
    expect(files.map((name) => name.replace(/^.*\./, ""))).toEqual(["eml", "eml"]);
    expect(await readFile(join(folder, "mail", files[0] ?? ""), "utf8")).toBe(letter.replaceAll("\n", "\r\n"));
  });

  it("keeps no message that it refuses", async () => {
    const folder = await scratch();
    const server = await scripted({ answers: { message: "554 5.7.1 spam" } }, "--store", folder);
    const smtp = await session(server);
    for (const _ of [1, 2]) expect(await reasonOf(smtp.sendmail(from, to, letter))).toMatchObject({ smtp_code: 554 });
    await smtp.quit();
    expect(await readdir(folder)).toEqual([]);
    expect(server.messages).toEqual([]);
  });

  it("keeps them in a Maildir", async () => {
    const folder = await scratch();
    const server = await serve("--store", folder, "--store-format", "maildir");
    const smtp = await session(server);
    await smtp.sendmail(from, to, letter);
    await smtp.quit();
    expect(await readdir(join(folder, "tmp"))).toEqual([]);
    const [name = ""] = await readdir(join(folder, "new"));
    expect(await readFile(join(folder, "new", name), "utf8")).toBe(letter);
  });

  it("passes messages on, and answers as the next server does", async () => {
    await using next = await startEmbeddedServer({ tls: "none" });
    const server = await serve("--forward", `smtp://localhost:${next.port}`);
    const smtp = await session(server);
    expect((await smtp.deliver({ from, to: [to], body: letter })).reply.message).toMatch(/passed on: .*queued as 1$/);
    expect(await reasonOf(smtp.sendmail(from, "refused@example.net", letter))).toMatchObject({ smtp_code: 554 });
    expect(await reasonOf(smtp.sendmail(from, "later@example.net", letter))).toMatchObject({ smtp_code: 451 });
    await smtp.quit();
    expect(next.messages).toMatchObject([{ from, to: [to] }]);
  });

  it("offers what it is told to", async () => {
    const server = await serve("--name", "mx.test", "--extension", "SIZE 100", "--extension", "X-TEST a b");
    const smtp = await session(server);
    await smtp.ehlo();
    expect({ ...smtp.esmtp_features }).toEqual({ size: "100", "x-test": "a b" });
    expect(smtp.ehlo_resp).toMatch(/^mx\.test/);
    await smtp.quit();
  });

  it("shows the dialogues, and no secret", async () => {
    const page = await fileOf("", "page.html");
    const server = await serve("--starttls", "--auth", "any", "--trace", "--html", page);
    const smtp = await session(server);
    await smtp.starttls();
    await smtp.login("ada", "open-sesame");
    await smtp.quit();
    const { stderr } = await server.stop();
    expect(stderr).toMatch(/^ +\d+\.\d {2}S: 220 /m);
    expect(stderr).toMatch(/^ +\d+\.\d {2}C: AUTH PLAIN \*\*\*$/m);
    expect(stderr + (await readFile(page, "utf8"))).not.toMatch(new RegExp(`sesame|${btoa("\0ada\0open-sesame")}`));
  });

  it("ends with 73 where it cannot listen", async () => {
    const { port } = await serve();
    expect(await cli(["serve", "--port", String(port)])).toMatchObject({ code: 73, stderr: /cannot be listened on/ });
  });

  it("serves many at once", async () => {
    const server = await serve("--starttls");
    const context = { ca: await readFile(server.ca ?? "", "utf8") };
    await using pool = new SMTPPool({ host: "localhost", port: server.port, starttls: "required", context });
    await Promise.all(Array.from({ length: 50 }, () => pool.sendmail(from, to, letter)));
    expect(server.messages).toHaveLength(50);
  });
});

describe("a script of serve", () => {
  it("refuses by patterns of addresses, always and for a while", async () => {
    const server = await scripted({
      answers: {
        rcpt: [{ address: "*@refused.example", reply: "550 5.1.1 no such user" }],
        mail: { address: "slow@*", delay: 0.01 },
      },
      once: { rcpt: [{ address: "grey@*", reply: "451 4.7.1 come again" }] },
    });
    const smtp = await session(server);
    const recipients = [to, "a@refused.example", "grey@example.net"];
    const refused = await smtp.sendmail("slow@example.com", recipients, letter);
    expect(Object.values(refused).map(({ code }) => code)).toEqual([550, 451]);
    expect(await smtp.sendmail(from, "grey@example.net", letter)).toEqual({});
    await smtp.quit();
  });

  it("dies after the dot, resets, stalls and cuts replies", async () => {
    const server = await scripted({
      once: {
        message: [{ end: "reset" }, { end: "close" }],
        mail: [
          { cut: 4, end: "close", times: 1, address: "cut@*" },
          { end: "stall", address: "stall@*" },
        ],
      },
    });
    const outcome = async (sender: string): Promise<unknown> => {
      const smtp = await session(server, { timeouts: { envelope: 0.2 } });
      const error = await reasonOf(smtp.sendmail(sender, to, letter));
      return error instanceof Error ? Reflect.get(error, "delivery") : undefined;
    };
    expect(await outcome(from)).toBe("unknown");
    expect(await outcome(from)).toBe("unknown");
    expect(await outcome("cut@example.com")).toBe("not-sent");
    expect(await outcome("stall@example.com")).toBe("not-sent");
  });

  it("drops a connection with RST", async () => {
    const { port } = await scripted({ once: { ehlo: { end: "reset" } } });
    const socket = net.connect(port, "127.0.0.1");
    const failed = new Promise((resolve) => socket.once("error", (error) => resolve(Reflect.get(error, "code"))));
    socket.resume().once("data", () => socket.write("EHLO me\r\n"));
    expect(await failed).toBe("ECONNRESET");
  });

  it("limits the messages in a time, by 450 and then by 421", async () => {
    const server = await scripted({
      limits: [
        { messages: 2, seconds: 60, reply: "450 4.7.1 slow down" },
        { messages: 3, seconds: 60, reply: "421 4.7.0 go away" },
      ],
    });
    const smtp = await session(server);
    const codes: unknown[] = [];
    for (let count = 0; count < 4; count += 1) {
      codes.push(
        await smtp.sendmail(from, to, letter).then(
          () => 250,
          (error) => error.smtp_code,
        ),
      );
    }
    expect(codes).toEqual([250, 250, 450, 421]);
    smtp.close();
  });

  it.each<[where: string, script: unknown]>([
    ["is no JSON", "{"],
    ["the script must be an object", []],
    ['the script has no "answer"', { answer: {} }],
    ["answers.rctp is no stage", { answers: { rctp: "550 no" } }],
    ["answers.rcpt must be a reply", { answers: { rcpt: "no" } }],
    ["answers.rcpt[1].reply must be a reply", { answers: { rcpt: [{ delay: 1 }, { reply: "600 x" }] } }],
    ['answers.rcpt has no "replly"', { answers: { rcpt: { replly: "550 no" } } }],
    ["answers.rcpt says nothing", { answers: { rcpt: { address: "a@b" } } }],
    ["once.data.end must be close, reset or stall", { once: { data: { end: "explode" } } }],
    ["once.data.delay must be a number", { once: { data: { delay: "1" } } }],
    ["limits must be a list", { limits: {} }],
    ["limits[0].messages must be a number", { limits: [{ seconds: 1 }] }],
    ["limits[0].stage is no stage", { limits: [{ messages: 1, seconds: 1, stage: "x" }] }],
  ])("is refused with 64 where %s", async (where, script) => {
    const file = await fileOf(typeof script === "string" ? script : JSON.stringify(script));
    const { code, stderr } = await cli(["serve", "--script", file]);
    expect(code).toBe(64);
    expect(stderr).toMatch(/^smtplib serve: --script cannot be read: [^\n]*\n$/);
    expect(stderr).toContain(where);
  });
});
