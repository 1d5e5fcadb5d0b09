/** smtplib/nodemailer with each version of nodemailer in the peer range. */
import type { createTransport } from "nodemailer";
import { describe, expect, it } from "vitest";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { FakeServer } from "../client/fake-server.ts";

/** The versions of the peer range, each under the name of its installation. */
const VERSIONS = { "7": "nodemailer-7", "8": "nodemailer-8", "9": "nodemailer-9", "10": "nodemailer" };

type Nodemailer = { createTransport: typeof createTransport };

const MAIL = {
  from: "Ada <ada@example.com>",
  to: ["charles@example.net", "nobody@example.net"],
  subject: "Hello",
  text: "Hi!",
  attachments: [{ filename: "note-g.csv", content: "operation,variable\n" }],
};

async function load(name: string): Promise<Nodemailer> {
  const loaded: { default?: unknown } = await import(name);
  const module = "createTransport" in loaded ? loaded : loaded.default;
  if (isNodemailer(module)) return module;
  throw new Error(`${name} is not nodemailer`);
}

function isNodemailer(module: unknown): module is Nodemailer {
  return typeof Reflect.get(Object(module), "createTransport") === "function";
}

describe.each(Object.entries(VERSIONS))("under nodemailer %s", (major, name) => {
  async function transporterFor(server: FakeServer) {
    const nodemailer = await load(name);
    const options = { host: "mail.example.com", transport: server.transport, starttls: "never" } as const;
    return nodemailer.createTransport(smtplib(options));
  }

  it("is the version that it is meant to be", async () => {
    const { default: found }: { default: { version: string } } = await import(`${name}/package.json`, {
      with: { type: "json" },
    });
    expect(found.version.split(".")[0]).toBe(major);
  });

  it("a mail is built and sent, and the result tells who was rejected", async () => {
    const server = new FakeServer({ on: { RCPT: ["250 ok", "550 5.1.1 no such user"] } });
    const transporter = await transporterFor(server);
    const info = await transporter.sendMail(MAIL);
    expect(info).toMatchObject({
      accepted: ["charles@example.net"],
      rejected: ["nobody@example.net"],
      rejectedErrors: [{ code: "EENVELOPE", command: "RCPT TO", responseCode: 550, recipient: "nobody@example.net" }],
    });
    expect(server.messages[0]).toContain("note-g.csv");
    await transporter.close();
    expect(server.lines.at(-1)).toBe("QUIT");
  });

  it("an error has nodemailer's fields, by promise and by callback", async () => {
    const transporter = await transporterFor(new FakeServer({ on: { MAIL: "550 5.1.8 no" } }));
    const fields = { code: "EENVELOPE", command: "MAIL FROM", responseCode: 550, response: "550 5.1.8 no" };
    await expect(transporter.sendMail(MAIL)).rejects.toMatchObject(fields);
    const error = await new Promise((resolve) => transporter.sendMail(MAIL, resolve));
    expect(error).toMatchObject(fields);
    await transporter.close();
  });

  it("verify(), isIdle() and the event idle are the transport's", async () => {
    const transporter = await transporterFor(new FakeServer());
    await new Promise<void>((resolve) => transporter.once("idle", resolve));
    expect(transporter.isIdle()).toBe(true);
    expect(await transporter.verify()).toBe(true);
    await transporter.close();
  });

  it("a mail that was given to sendMail() before close() is sent", async () => {
    const server = new FakeServer();
    const transporter = await transporterFor(server);
    const sent = transporter.sendMail(MAIL);
    await transporter.close();
    expect(server.messages).toHaveLength(1);
    expect(await sent).toMatchObject({ rejected: [] });
  });
});
