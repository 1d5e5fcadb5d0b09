/**
 * The output of `console.log` for a session, a pool, a reply and an exception: useful, without repetition or
 * credentials.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  LMTP,
  SMTP,
  SMTP_SSL,
  SMTPAuthenticationError,
  SMTPException,
  SMTPHeloError,
  SMTPNotSupportedError,
  SMTPPool,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import * as sasl from "../../src/sasl/index.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { running } from "../support/runtimes.ts";
import { reasonOf, session } from "../support/session.ts";

const AUTH = { user: "ada", password: "s3cret" };
const SECRETS = /s3cret|t0ken|czNjcmV0|AGFkYQBzM2NyZXQ/;

describe("a session shows", () => {
  it("its class and its state, before and after it was connected", async () => {
    expect(inspect(new SMTP())).toBe("SMTP { state: 'not connected' }");
    const { smtp } = await session({ ehlo: ["PIPELINING", "SIZE 1000"] });
    await smtp.ehlo();
    expect(inspect(smtp)).toBe(
      [
        "SMTP {",
        "  host: 'mail.example.com',",
        "  port: 25,",
        "  state: 'connected',",
        "  tls: false,",
        "  features: [ 'PIPELINING', 'SIZE' ]",
        "}",
      ].join("\n"),
    );
    await smtp.quit();
    expect(inspect(smtp)).toBe("SMTP { host: 'mail.example.com', port: 25, state: 'closed' }");
  });

  it("that it is being connected", async () => {
    const { transport } = new FakeServer();
    const smtp = new SMTP("mail.example.com", 2525, { transport });
    const opened = reasonOf(smtp.noop());
    expect(inspect(smtp)).toContain("state: 'connecting'");
    smtp.close();
    await opened;
  });

  it("the TLS session, on a real connection", async () => {
    const server = await startEmbeddedServer();
    await using smtp = await SMTP.connect("localhost", server.port, { context: { ca: server.ca } });
    await smtp.starttls();
    const shown = inspect(smtp);
    await server.close();
    expect(shown).toMatch(/tls: \{ protocol: 'TLSv1\.3', verified: true \}/);
  });

  it("the name of a subclass", () => {
    class Newsletter extends SMTP {
      apiKey = "s3cret";
    }
    expect([new LMTP(), new SMTP_SSL(), new Newsletter()].map((smtp) => inspect(smtp))).toEqual([
      "LMTP { state: 'not connected' }",
      "SMTP_SSL { state: 'not connected' }",
      "Newsletter { state: 'not connected' }",
    ]);
  });

  it("what a subclass wants it to", () => {
    class Newsletter extends SMTP {
      [inspect.custom](): string {
        return "newsletter";
      }
    }
    expect(inspect(new Newsletter())).toBe("newsletter");
  });

  it("a Unix socket", async () => {
    const { transport } = new FakeServer();
    const lmtp = await LMTP.connect("/run/lmtp", undefined, { transport });
    expect(inspect(lmtp)).toContain("path: '/run/lmtp'");
    lmtp.close();
  });
});

describe("no credentials show", () => {
  const { transport } = new FakeServer({ ehlo: ["AUTH PLAIN"], on: { AUTH: "235 ok" }, peer: { loopback: true } });
  const options = { host: "mail.example.com", auth: AUTH, transport };
  const token = { user: "ada", token: "t0ken" };
  const KINDS: [string, () => unknown][] = [
    ["a session that has logged in", () => loggedIn(transport)],
    ["a pool", () => new SMTPPool(options)],
    ["a pool with a URL", () => new SMTPPool("smtp://ada:s3cret@mail.example.com")],
    ["a pool with a mechanism", () => new SMTPPool({ ...options, auth: sasl.plain(AUTH) })],
    ["a pool with a token", () => new SMTPPool({ ...options, auth: token })],
    ["Upyo's transport", () => new SmtplibTransport(options)],
    ["nodemailer's transport", () => smtplib(options)],
    ["PLAIN", () => sasl.plain(AUTH)],
    ["LOGIN", () => sasl.login(AUTH)],
    ["CRAM-MD5", () => sasl.cramMd5(AUTH)],
    ["SCRAM-SHA-256", () => sasl.scramSha256(AUTH)],
    ["XOAUTH2", () => sasl.xoauth2(token)],
    ["OAUTHBEARER", () => sasl.oauthbearer(token)],
  ];

  it.each(KINDS)("of %s", async (_, make) => {
    const instance = Object(await make());
    const everything = { depth: 20, showHidden: true };
    const shown = [inspect(instance), inspect(instance, everything), inspect({ ...instance }, everything)];
    shown.push(String(JSON.stringify(instance)), JSON.stringify({ ...instance }));
    expect(shown.filter((text) => SECRETS.test(text))).toEqual([]);
    await reasonOf(Promise.resolve(instance.close?.()));
  });

  it("of the stream of a session that has logged in", async () => {
    const server = await startEmbeddedServer({ auth: AUTH });
    let stream: unknown;
    const { defaultTransport } = await import("../../src/runtime.ts");
    const smtp = await SMTP.connect("localhost", server.port, {
      context: { ca: server.ca },
      transport: async (endpoint, given) => {
        const connect = await defaultTransport({ endpoint, options: given });
        const connected = await connect(endpoint, given);
        stream = connected;
        return connected;
      },
    });
    await smtp.starttls();
    await smtp.login(AUTH.user, AUTH.password);
    expect(inspect(stream, { depth: 20, showHidden: true })).not.toMatch(SECRETS);
    await smtp.quit();
    await server.close();
  });
});

describe("an exception shows", () => {
  it("each refusal of a login once, with its control characters escaped", async () => {
    const script = { ehlo: ["AUTH CRAM-MD5 PLAIN"], on: { AUTH: ["535 5.7.8 no\x1b[31m", "535 5.7.9 never"] } };
    const { smtp } = await session({ ...script, peer: { loopback: true } });
    const error = await reasonOf(smtp.login("ada", "s3cret"));
    if (!(error instanceof SMTPAuthenticationError)) return expect.unreachable("it logged in");
    expect(error.causes).toHaveLength(2);
    const shown = inspect(error, { depth: 9 });
    expect(shown.split("\n").filter((line) => /^\s*(\[cause\]: |causes)/.test(line))).toHaveLength(1);
    expect(shown.match(/SMTPAuthenticationError: 535 5\.7\.8 no/g)?.length).toBeLessThanOrEqual(2);
    expect(shown).not.toContain("\x1b");
    expect(shown).not.toMatch(SECRETS);
  });

  it("its fields once", async () => {
    const { smtp } = await session({ on: { MAIL: "451 4.3.0 later" } });
    const error = await reasonOf(smtp.sendmail("a@a.test", "b@b.test", "hello"));
    const fields = [...inspect(error).matchAll(/^ {2}(\w+|\[\w+\]): (.*?),?$/gm)].map(([, name, value]) => [
      name,
      value,
    ]);
    expect(Object.fromEntries(fields)).toEqual({
      temporary: "true",
      delivery: "'rejected'",
      smtp_code: "451",
      smtp_error: "'4.3.0 later'",
      sender: "'a@a.test'",
    });
    expect(error).toMatchObject({ reply: [451, "4.3.0 later"] });
  });

  it("no field that says nothing", () => {
    const errors = [
      new SMTPException("x"),
      new SMTPServerDisconnected("x"),
      new SMTPTimeoutError("command"),
      new SMTPNotSupportedError("x"),
      new SMTPHeloError(500, "x"),
      new SMTPAuthenticationError(535, "x"),
    ];
    for (const error of errors) {
      expect(inspect(error)).not.toMatch(/undefined|\[\]/);
      expect(error).toMatchObject({ delivery: undefined });
    }
  });

  it("what became of a message, also where that is known later", () => {
    const error = new SMTPException("x");
    error.delivery = "not-sent";
    expect(inspect(error)).toContain("delivery: 'not-sent'");
    expect(inspect(new SMTPNotSupportedError("x", { capability: "DSN" }))).toContain("capability: 'DSN'");
  });

  it("its cause", () => {
    const error = new SMTPServerDisconnected("connection lost: reset", {
      cause: new Error("reset"),
      delivery: "unknown",
    });
    expect(inspect(error)).toMatch(/\[cause\]: Error: reset/);
  });
});

describe(`console.log on ${running.name}`, () => {
  let folder = "";
  let printed: Record<string, string> = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "smtplib-"));
    const program = join(folder, "printing.mjs");
    const entry = join(import.meta.dirname, "../support/printing.ts");
    await build({
      entryPoints: [entry],
      outfile: program,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "es2022",
      keepNames: true,
    });
    const [command, ...given] = running.command;
    const { stdout } = await promisify(execFile)(command, [...given, program]);
    const parts = stdout.split(/^== (\w+)\n/m).slice(1);
    printed = Object.fromEntries(parts.flatMap((kind, at) => (at % 2 === 0 ? [[kind, parts[at + 1] ?? ""]] : [])));
  }, 60_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("shows where a session is connected to, its state and TLS", () => {
    expect(plain(printed["session"])).toBe(
      'SMTP { host: "mail.example.com", port: 587, state: "connected", tls: false, user: "ada", features: [ "AUTH" ] }',
    );
    expect(plain(printed["nested"])).toContain('session: SMTP { host: "mail.example.com"');
    expect(plain(printed["subclass"])).toBe('Newsletter { state: "not connected" }');
  });

  it("shows a pool, and the plug-ins by theirs", () => {
    const pool =
      'SMTPPool { host: "mail.example.com", port: 587, state: "open", starttls: "required", user: "ada", stats: {';
    expect(plain(printed["pool"])).toContain(pool);
    expect(plain(printed["upyo"])).toContain(`SmtplibTransport { pool: ${pool}`);
    expect(plain(printed["nodemailer"])).toContain(`pending: 0, pool: ${pool}`);
  });

  it("shows a reply as an array of code and text", () => {
    expect(plain(printed["reply"])).toBe('[ 250, "ok" ]');
    expect(plain(printed["delivery"])).toMatch(
      /reply: \[ 250, "2\.0\.0 queued as 1" \], replies: \[ \[ 250, "ok" \] \] \}$/,
    );
  });

  it("shows no control characters and no credentials", () => {
    const whole = Object.values(printed).join("");
    expect(whole).not.toContain("\x1b");
    expect(whole).not.toMatch(SECRETS);
    expect(printed["refusal"]).toContain("SMTPAuthenticationError: 535 5.7.8 no");
  });
});

/** The printed text in one line, with the quotes of Deno and Bun. */
function plain(text = ""): string {
  return text.trim().replaceAll("'", '"').replace(/\s+/g, " ").replace(/, \}/g, " }");
}

async function loggedIn(transport: FakeServer["transport"]): Promise<SMTP> {
  const smtp = await SMTP.connect("mail.example.com", 587, { transport });
  await smtp.login(AUTH.user, AUTH.password);
  return smtp;
}
