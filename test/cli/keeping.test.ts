/** `serve --store` and `--forward`: a message is stored and forwarded if and only if its sender is told so. */
import { watch } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { LMTP, SMTP, SMTPRecipientsRefused } from "../../src/index.ts";
import { ehlo, server as friendly } from "../support/scripted-server.ts";
import { reasonOf } from "../transports/bytes.ts";
import { cli, fileOf, type Serving, scratch, serve } from "./cli.ts";
import { closedPort, scripted } from "./planted.ts";

const letter = "Subject: Hello\n\nHi!\n";
const from = "ada@example.com";
const [to, full] = ["charles@example.net", "full@example.net"];

/** A server with a script. */
async function serving(script: object, ...args: readonly string[]): Promise<Serving> {
  return serve("--script", await fileOf(JSON.stringify(script), "script.json"), ...args);
}

function urlOf({ port }: Serving): string {
  return `smtp://localhost:${port}`;
}

describe("serve --store", () => {
  it("keeps no message that is larger than it takes", async () => {
    const folder = await scratch();
    const server = await serve("--extension", "SIZE 1000", "--store", folder);
    const smtp = await SMTP.connect("localhost", server.port);
    await smtp.ehlo();
    // A client that does not declare the size beforehand.
    await smtp.mail(from);
    await smtp.rcpt(to);
    expect(await smtp.data(`${letter}${"x".repeat(2_000)}\n`)).toMatchObject({ code: 552 });
    await smtp.quit();
    expect([await readdir(folder), server.messages]).toEqual([[], []]);
  });

  it("keeps no message that the next server refuses", async () => {
    const folder = await scratch();
    const next = await serving({ answers: { message: "554 5.7.1 spam" } });
    const server = await serve("--store", folder, "--forward", urlOf(next));
    const smtp = await SMTP.connect("localhost", server.port);
    expect(await reasonOf(smtp.sendmail(from, to, letter))).toMatchObject({ smtp_code: 554 });
    await smtp.quit();
    expect([await readdir(folder), server.messages]).toEqual([[], []]);
  });

  it("refuses for all recipients of LMTP what it cannot keep", async () => {
    const folder = await scratch();
    const server = await serve("--lmtp", "--store", join(folder, "mail"), "--store-format", "maildir");
    // Replaces the folder by a file, so that nothing, not even root, can write there.
    await rm(join(folder, "mail"), { recursive: true });
    await writeFile(join(folder, "mail"), "");
    const lmtp = await LMTP.connect("localhost", server.port);
    const error = await reasonOf(lmtp.deliver({ from, to: [to, full], body: letter }));
    expect(error).toBeInstanceOf(SMTPRecipientsRefused);
    expect(error).toMatchObject({ recipients: { [to]: { code: 451 }, [full]: { code: 451 } } });
    await lmtp.quit();
  });

  it("gives a file its name only once it is whole", async () => {
    const folder = await scratch();
    const server = await serve("--store", folder);
    const names: string[] = [];
    const written = new Promise<void>((resolve) => {
      const watcher = watch(folder, (_, name) => {
        names.push(name ?? "");
        if (name?.endsWith(".eml")) resolve();
      });
      onTestFinished(() => watcher.close());
    });
    const smtp = await SMTP.connect("localhost", server.port);
    await smtp.sendmail(from, to, letter);
    await smtp.quit();
    await written;
    expect(names[0]).toMatch(/^\..*\.tmp$/);
    expect((await readdir(folder)).map((name) => name.replace(/^.*\./, ""))).toEqual(["eml"]);
  });
});

describe("serve --forward", () => {
  it("tells of a recipient that the next server refuses", async () => {
    const next = await serving({ answers: { rcpt: [{ address: "full@*", reply: "452 4.2.2 mailbox full" }] } });
    const server = await serve("--forward", urlOf(next));
    const smtp = await SMTP.connect("localhost", server.port);
    const error = await reasonOf(smtp.sendmail(from, [to, full], letter));
    expect(error).toMatchObject({ smtp_code: 451, smtp_error: expect.stringMatching(/full@example\.net.*452 .*full/) });
    await smtp.quit();
    expect(next.messages).toMatchObject([{ to: [to] }]);
  });

  it("answers for each recipient of LMTP by itself", async () => {
    const next = await serving({ answers: { rcpt: [{ address: "full@*", reply: "552 5.2.2 mailbox full" }] } });
    const server = await serve("--lmtp", "--forward", urlOf(next));
    const lmtp = await LMTP.connect("localhost", server.port);
    const { accepted, refused } = await lmtp.deliver({ from, to: [to, full], body: letter });
    await lmtp.quit();
    expect({ accepted, refused: Object.keys(refused) }).toEqual({ accepted: [to], refused: [full] });
    expect(next.messages).toMatchObject([{ to: [to] }]);
  });

  it("passes on to nobody whom the script of LMTP refuses", async () => {
    const next = await serve();
    const script = { answers: { message: [{ address: "full@*", reply: "452 4.2.2 full" }] } };
    const server = await serving(script, "--lmtp", "--forward", urlOf(next));
    const lmtp = await LMTP.connect("localhost", server.port);
    const { accepted, refused } = await lmtp.deliver({ from, to: [to, full], body: letter });
    await lmtp.quit();
    expect({ accepted, refused: Object.keys(refused) }).toEqual({ accepted: [to], refused: [full] });
    expect(next.messages).toMatchObject([{ to: [to] }]);
  });

  it.each<[what: string, reaction: unknown]>([
    ["only delays the answer", { delay: 0.001 }],
    ["accepts in words of its own", "250 2.0.0 as you wish"],
  ])("passes on where the script %s, and refuses as the next server does", async (_, reaction) => {
    const next = await serving({ answers: { rcpt: [{ address: "full@*", reply: "552 5.2.2 mailbox full" }] } });
    const server = await serving({ answers: { message: reaction } }, "--forward", urlOf(next));
    const smtp = await SMTP.connect("localhost", server.port);
    await smtp.sendmail(from, to, letter);
    expect(await reasonOf(smtp.sendmail(from, full, letter))).toMatchObject({ smtp_code: 451 });
    await smtp.quit();
    expect(next.messages).toMatchObject([{ to: [to] }]);
  });

  it("says that nothing was passed on where the next server cannot be reached, or lacks what the message needs", async () => {
    const down = await serve("--forward", `smtp://localhost:${await closedPort()}`);
    const plain = await scripted(friendly({ EHLO: ehlo() }));
    const lacking = await serve("--forward", `smtp://localhost:${plain}`);
    for (const [{ port }, code] of [[down, 451] as const, [lacking, 554] as const]) {
      const smtp = await SMTP.connect("localhost", port);
      expect(await reasonOf(smtp.sendmail(from, to, `${letter}Grüße\n`))).toMatchObject({ smtp_code: code });
      await smtp.quit();
    }
    expect([...down.messages, ...lacking.messages]).toEqual([]);
  });

  it("warns of a password in its URL, and shows it nowhere", async () => {
    const next = await serve("--auth", "any");
    const server = await serve("--trace", "--forward", `smtp://ada:s3cret-w0rd@localhost:${next.port}?starttls=never`);
    const smtp = await SMTP.connect("localhost", server.port);
    await smtp.sendmail(from, to, letter);
    await smtp.quit();
    const { stdout, stderr } = await server.stop();
    expect(stderr).toMatch(/^warning: the password is in --forward: /m);
    expect(stdout + stderr).not.toContain("s3cret");
    const wrong = await cli(["serve", "--port", "0", "--forward", "smtp://ada:s3cret-w0rd@localhost:x"]);
    expect(wrong).toMatchObject({ code: 64, stderr: expect.stringMatching(/^smtplib serve: --forward [^\n]*\n$/) });
    expect(wrong.stderr).not.toContain("s3cret");
  });
});
