/** What README and the doc comments show compiles and works, word for word. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { PoolOptions } from "../../src/index.ts";
import * as nodemailer from "../../src/nodemailer/npm.ts";
import * as proxies from "../../src/proxy/index.ts";
import * as upyo from "../../src/upyo/index.ts";
import { connect } from "../../transports/node.ts";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { redirected, redirectedOptions, type Servers } from "./redirected.ts";
import { run, type Snippet, snippetsOfMarkdown, snippetsOfSources, typeErrors } from "./snippets.ts";

const readme = snippetsOfMarkdown("README.md");
const comments = [...snippetsOfSources("src"), ...snippetsOfSources("transports")];

let servers: Servers;
const opened: { close(): unknown }[] = [];

beforeAll(async () => {
  const settings = {
    onRcptTo: ({ address }: { address: string }, _: unknown, done: (error?: Error) => void) =>
      address === "nobody@example.net" ? done(Object.assign(new Error("no such user"), { responseCode: 550 })) : done(),
    authOptional: true,
  };
  const auth = { user: "user", password: "password", token: "a-fresh-token" };
  const [SMTP, SMTP_SSL, LMTP] = await Promise.all([
    startEmbeddedServer({ auth, settings }),
    startEmbeddedServer({ auth, settings, tls: "implicit" }),
    startEmbeddedServer({ settings, lmtp: true }),
  ]);
  servers = { SMTP, SMTP_SSL, LMTP };
});

afterEach(() => {
  for (const smtp of opened.splice(0)) smtp.close();
  for (const server of all()) server.messages.length = 0;
});

afterAll(() => Promise.all(all().map((server) => server.close())));

describe("the snippets", () => {
  it("are found, in README and in doc comments", () => {
    expect(readme.length).toBeGreaterThan(8);
    expect(comments.map(({ where }) => where.replace(/:.*/, ""))).toEqual(
      expect.arrayContaining(["src/index.ts", "src/facade/smtp.ts", "src/pool/pool.ts", "transports/memory.ts"]),
    );
  });

  // The compiler says the same on each runtime, and takes a while to do so.
  it.skipIf("Deno" in globalThis || "Bun" in globalThis)("compile", { timeout: 60_000 }, async () => {
    expect(await typeErrors([...readme, ...comments])).toEqual([]);
  });

  it.skipIf("Deno" in globalThis || "Bun" in globalThis)(
    "would not compile with a misspelt name",
    { timeout: 60_000 },
    async () => {
      const misspelt = { where: "here", code: 'import { SMTTP } from "smtplib";\nnew SMTTP();' };
      expect((await typeErrors([misspelt])).join()).toMatch(/here: .*SMTTP/);
    },
  );

  it.each([...readme, ...comments].map((snippet) => [snippet.where, snippet] as const))(
    "run: %s",
    async (_, snippet) => {
      await shown(snippet);
    },
  );
});

describe("README", () => {
  it("begins with a mail that arrives, encrypted and after a login", async () => {
    await shown(first(readme));
    expect(servers.SMTP.messages).toMatchObject([
      { from: "ada@example.com", to: ["charles@example.net"], secure: true, user: "user" },
    ]);
    expect(text(servers.SMTP)).toMatch(/^From: Ada <ada@example\.com>\r\n.*\r\n\r\nDear Charles, .*\r\n$/s);
  });

  it("sends a mail after a login with a token", async () => {
    await shown(snippetWith("xoauth2"));
    expect(servers.SMTP.messages).toMatchObject([{ to: ["charles@example.net"], secure: true, user: "user" }]);
  });

  it("shows who was refused", async () => {
    expect(await shown(snippetWith("was refused:"))).toContain(
      "nobody@example.net was refused: 550 5.1.1 no such user",
    );
  });

  it("sends an attachment, and to Bcc without telling", async () => {
    await shown(snippetWith("MailComposer"));
    expect(servers.SMTP.messages).toMatchObject([{ to: expect.arrayContaining(["mary@example.net"]) }]);
    expect(text(servers.SMTP)).toContain("note-g.csv");
    expect(text(servers.SMTP)).not.toContain("mary");
  });

  it("names the recipients of a message nobody got", async () => {
    expect(await shown(snippetWith("SMTPRecipientsRefused"))).toContain("nobody@example.net");
  });

  it("has a transport that encrypts", async () => {
    const code = snippetWith("tls.connect").code.replace(
      "await smtp.login(",
      'console.log("encrypted"); await smtp.login(',
    );
    expect(await shown({ where: "README.md", code })).toContain("encrypted");
  });

  it("shows a reply of the server in memory", async () => {
    expect(await shown(snippetWith("memoryTransport"))).toContain("554 closed for today");
  });

  it("is nodemailer's transport, and tells who was rejected", async () => {
    expect(await shown(snippetWith("rejectedErrors"))).toBe("nobody@example.net was rejected: 550 5.1.1 no such user");
    expect(servers.SMTP.messages).toMatchObject([{ to: ["charles@example.net"], secure: true, user: "user" }]);
  });

  it("is Upyo's transport, and gives receipts", async () => {
    expect(await shown(snippetWith("sendMany"))).toMatch(
      /^sent as <.*>\nnobody@example\.net: 550 5\.1\.1 no such user$/,
    );
    expect(servers.SMTP.messages).toMatchObject([{ to: ["charles@example.net"], secure: true, user: "user" }]);
  });

  it("tells over a diagnostics channel what was not delivered", async () => {
    expect(await shown(snippetWith("node:diagnostics_channel"))).toMatch(
      /not delivered to nobody@example\.net: SMTPRecipientsRefused: .*550 5\.1\.1 no such user/,
    );
  });

  it("prints no credentials while debugging", async () => {
    const code = snippetWith("set_debuglevel").code.replace(
      "await smtp.noop()",
      'await smtp.starttls(); await smtp.login("user", "password")',
    );
    const printed = await shown({ where: "README.md", code });
    expect(printed).toContain("AUTH");
    expect(printed).not.toContain(btoa("\0user\0password"));
  });
});

/** Runs a snippet and gives what it printed. */
async function shown(snippet: Snippet): Promise<string> {
  const lines: string[] = [];
  const print = (...words: unknown[]): void => void lines.push(words.map(String).join(" "));
  const spy = vi.spyOn(console, "error").mockImplementation(print);
  try {
    await run(snippet, load, { log: print, error: print, debug: print, info: print, warn: print });
  } finally {
    spy.mockRestore();
  }
  return lines.join("\n");
}

async function load(specifier: string): Promise<unknown> {
  switch (specifier) {
    case "smtplib":
      return redirected(servers, opened);
    case "smtplib/sasl":
      return import("../../src/sasl/index.ts");
    case "smtplib/transports/memory":
      return import("../../transports/memory.ts");
    case "smtplib/testing":
      return import("../../src/testing/index.ts");
    case "smtplib/proxy":
      return proxiesThatConnect;
    case "smtplib/nodemailer":
      return {
        smtplib: (options: PoolOptions) =>
          nodemailer.smtplib({ ...options, ...redirectedOptions(servers.SMTP, options) }),
      };
    case "smtplib/upyo":
      return {
        SmtplibTransport: class extends upyo.SmtplibTransport {
          constructor(options: PoolOptions) {
            super({ ...options, ...redirectedOptions(servers.SMTP, options) });
          }
        },
      };
    case "smtplib/opentelemetry":
      return import("../../src/opentelemetry.ts");
    case "smtplib/outbox":
      return { ...(await import("../../src/outbox/index.ts")), bullmqOutbox: () => idle, pgBossOutbox: () => idle };
    case "bullmq":
    case "pg-boss":
      return { Queue: Idle, PgBoss: Idle };
    case "smtplib/transports/web-streams":
      return import("../../transports/web-streams.ts");
    case "smtplib/transports/workers":
      return import("../../transports/workers.ts");
    case "smtplib/transports/node":
      return import("../../transports/node.ts");
    default:
      return import(specifier);
  }
}

/** Stands for queues and their outboxes, which have tests of their own against real servers. */
class Idle {
  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async close(): Promise<void> {}
  async install(): Promise<void> {}
  async enqueue(): Promise<void> {}
  async work(): Promise<Idle> {
    return this;
  }
}

const idle = new Idle();

/** Nobody listens where README's proxies are: these do without. */
const proxiesThatConnect = { ...proxies, socks: () => connect, httpConnect: () => connect };

function first(snippets: readonly Snippet[]): Snippet {
  const [snippet] = snippets;
  if (snippet === undefined) throw new Error("there is no snippet");
  return snippet;
}

function snippetWith(words: string): Snippet {
  return first(readme.filter(({ code }) => code.includes(words)));
}

function all(): EmbeddedServer[] {
  return Object.values(servers);
}

function text({ messages }: EmbeddedServer): string {
  return messages.map(({ content }) => new TextDecoder().decode(content)).join("\n");
}
