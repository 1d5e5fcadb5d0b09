/** The code in README, docs/ and doc comments compiles and works unchanged, on the runtimes that it names. */
import { once } from "node:events";
import { createServer } from "node:net";
import PostalMime from "postal-mime";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { type ImapServer, startImapServer } from "../support/imap-server.ts";
import { onNode, running } from "../support/runtimes.ts";
import { startTokenServer, type TokenServer } from "../support/token-server.ts";
import { pages } from "./documents.ts";
import type { Servers } from "./redirected.ts";
import { snippetModules } from "./snippet-modules.ts";
import { run, type Snippet, snippetsOfMarkdown, snippetsOfSources, typeErrors } from "./snippets.ts";

const documented = pages.flatMap(snippetsOfMarkdown);
const comments = [...snippetsOfSources("src"), ...snippetsOfSources("transports")];
const all = [...documented, ...comments];
const here = all.filter(
  ({ runtimes = [], notRun }) =>
    notRun === undefined && (runtimes.length === 0 || runtimes.includes(running.name.toLowerCase())),
);

const auth = { user: "user", password: "password", token: "a-fresh-token" };
const oauth = {
  client: { id: "my-client", secret: "my-secret" },
  code: "the-code-of-the-redirect",
  refreshToken: "the-refresh-token",
  accessToken: auth.token,
};

let servers: Servers & { IMAP: ImapServer };
let tokens: TokenServer;
const opened: { close(): unknown }[] = [];

beforeAll(async () => {
  const settings = {
    onRcptTo: ({ address }: { address: string }, _: unknown, done: (error?: Error) => void) =>
      address === "nobody@example.net" ? done(Object.assign(new Error("no such user"), { responseCode: 550 })) : done(),
    authOptional: true,
  };
  const [SMTP, SMTP_SSL, LMTP, IMAP] = await Promise.all([
    startEmbeddedServer({ auth, settings }),
    startEmbeddedServer({ auth, settings, tls: "implicit" }),
    startEmbeddedServer({ settings, lmtp: true }),
    startImapServer(auth),
  ]);
  servers = { SMTP, SMTP_SSL, LMTP, IMAP };
  tokens = await startTokenServer(oauth);
});

/**
 * Snippets may listen to signals, as services do. These listeners are removed, since they would keep a worker from
 * ending.
 */
const before = process.listeners("SIGTERM");

afterEach(() => {
  for (const listener of process.listeners("SIGTERM")) {
    if (!before.includes(listener)) process.off("SIGTERM", listener);
  }
  for (const smtp of opened.splice(0)) smtp.close();
  for (const { messages } of mailServers()) messages.length = 0;
});

afterAll(() => Promise.all([...mailServers(), servers.IMAP, tokens].map((server) => server.close())));

describe("the snippets", () => {
  it("are found, in README, in docs/ and in doc comments", () => {
    const files = new Set(all.map(({ where }) => where.replace(/:.*/, "")));
    expect([...files]).toEqual(
      expect.arrayContaining([
        ...["README.md", "docs/guide/first-mail.md", "docs/guide/from-python.md"],
        ...["src/index.ts", "src/facade/smtp.ts", "src/pool/pool.ts", "transports/memory.ts"],
      ]),
    );
    expect(documented.length).toBeGreaterThan(40);
  });

  // The result is the same on each runtime, and takes a while.
  it.runIf(onNode)("compile", { timeout: 60_000 }, async () => {
    expect(await typeErrors(all)).toEqual([]);
  });

  it.runIf(onNode)("would not compile with a misspelt name", { timeout: 60_000 }, async () => {
    const misspelt = { where: "here", code: 'import { SMTTP } from "smtplib";\nnew SMTTP();' };
    expect((await typeErrors([misspelt])).join()).toMatch(/here: .*SMTTP/);
  });

  it.each(here.map((snippet) => [snippet.where, snippet] as const))("run: %s", async (_, snippet) => {
    await shown(snippet);
  });
});

describe("README", () => {
  it("begins with a mail that arrives, encrypted and after a login", async () => {
    await shown(first(snippetsOfMarkdown("README.md")));
    expect(servers.SMTP.messages).toMatchObject([
      { from: "ada@example.com", to: ["charles@example.net"], secure: true, user: "user" },
    ]);
    expect(text(servers.SMTP)).toMatch(/^From: Ada <ada@example\.com>\r\n.*\r\n\r\nDear Charles, .*\r\n$/s);
  });
});

describe("the guides", () => {
  it("send a mail after a login with a token", async () => {
    await shown(snippetWith("const getToken"));
    expect(servers.SMTP.messages).toMatchObject([{ to: ["charles@example.net"], secure: true, user: "user" }]);
  });

  it("get a refresh token for a code, with the proof that they asked for it", async () => {
    tokens.requests.length = 0;
    expect(await shown(snippetWith("code_challenge"))).toContain("keep this in a safe place: the-refresh-token");
    expect(tokens.requests).toEqual([{ grant: "authorization_code", status: 200 }]);
  });

  it("refresh a token, and send with it", async () => {
    tokens.requests.length = 0;
    expect(await shown(snippetWith('grant_type: "refresh_token"'))).toContain("sent: 1");
    expect(tokens.requests).toEqual([{ grant: "refresh_token", status: 200 }]);
    expect(servers.SMTP.messages).toMatchObject([{ secure: true, user: "user" }]);
  });

  it("show who was refused", async () => {
    expect(await shown(snippetWith("was refused:"))).toContain(
      "nobody@example.net was refused: 550 5.1.1 no such user",
    );
  });

  it("send an attachment, and to Bcc without telling", async () => {
    await shown(snippetWith("note-g.csv"));
    expect(servers.SMTP.messages).toMatchObject([{ to: expect.arrayContaining(["mary@example.net"]) }]);
    expect(text(servers.SMTP)).toContain("note-g.csv");
    expect(text(servers.SMTP)).not.toContain("mary");
  });

  it("render a template, and send its text as an alternative to its HTML", async () => {
    await shown(snippetWith("react-email"));
    const { html, text: plain, subject } = await PostalMime.parse(text(servers.SMTP));
    expect(text(servers.SMTP)).toMatch(/^Content-Type: multipart\/alternative;/m);
    expect(subject).toBe("Welcome");
    expect(html).toMatch(
      /^<!DOCTYPE html.*Dear Charles, your account is ready\..*href="https:\/\/app\.example\.com\/"/s,
    );
    // Without the preview text, which mail programs show in the list of messages.
    expect(plain?.trim()).toBe("Dear Charles, your account is ready.\n\nOpen it https://app.example.com/");
  });

  it("send a newsletter to all its readers", async () => {
    expect(await shown(snippetWith("const later"))).toContain("50 sent, 0 later, 0 unknown");
    expect(servers.SMTP.messages).toHaveLength(50);
  });

  it("name the recipients of a message nobody got", async () => {
    expect(await shown(snippetWith("SMTPRecipientsRefused)"))).toContain("nobody@example.net");
  });

  it("name what is wrong with a certificate", async () => {
    expect(await shown(snippetWith('servername: "other.example.com"'))).toBe("name");
  });

  it("have a transport that encrypts", async () => {
    const snippet = snippetWith("tls.connect");
    const code = snippet.code.replace("await smtp.login(", 'console.log("encrypted"); await smtp.login(');
    expect(await shown({ ...snippet, code })).toContain("encrypted");
  });

  it("show a reply of the server in memory", async () => {
    expect(await shown(snippetWith("memoryTransport"))).toContain("554 closed for today");
  });

  it("have LMTP deliver to one recipient of two", async () => {
    const printed = await shown(snippetWith("LMTP.connect"));
    expect(printed).toContain("charles@example.net");
    expect(printed).toContain("nobody@example.net");
  });

  it("use nodemailer's transport, and tell who was rejected", async () => {
    expect(await shown(snippetWith("rejectedErrors"))).toBe("nobody@example.net was rejected: 550 5.1.1 no such user");
    expect(servers.SMTP.messages).toMatchObject([{ to: ["charles@example.net"], secure: true, user: "user" }]);
  });

  it("use Upyo's transport, and give receipts", async () => {
    expect(await shown(snippetWith("sendMany"))).toMatch(
      /^sent as <.*>\nnobody@example\.net: 550 5\.1\.1 no such user$/,
    );
    expect(servers.SMTP.messages).toMatchObject([{ to: ["charles@example.net"], secure: true, user: "user" }]);
  });

  it("tell over a diagnostics channel what was not delivered", async () => {
    expect(await shown(snippetWith("node:diagnostics_channel"))).toMatch(
      /not delivered to nobody@example\.net: SMTPRecipientsRefused: .*550 5\.1\.1 no such user/,
    );
  });

  it("print no credentials while debugging", async () => {
    const snippet = snippetWith("set_debuglevel");
    const code = snippet.code.replace(
      "await smtp.noop()",
      'await smtp.starttls(); await smtp.login("user", "password")',
    );
    const printed = await shown({ ...snippet, code });
    expect(printed).toContain("AUTH");
    expect(printed).not.toContain(btoa("\0user\0password"));
  });

  it.runIf(onNode)("store a copy of what was sent in the folder for it", async () => {
    servers.IMAP.stored.length = 0;
    expect(await shown(snippetWith("imapflow"))).toContain("stored in Sent Items");
    const [copy] = servers.IMAP.stored;
    expect(copy).toMatchObject({ folder: "Sent Items", flags: "\\Seen" });
    expect(copy?.message).toContain("Subject: Hello\r\n");
    expect(text(servers.SMTP_SSL)).toContain("Subject: Hello\r\n");
  });
});

/** Runs a snippet and returns what it printed. */
async function shown(snippet: Snippet): Promise<string> {
  const lines: string[] = [];
  const print = (...words: unknown[]): void => {
    const line = words.map(String).join(" ");
    lines.push(line);
    if (line.startsWith("open https://")) openInBrowser(line.slice(5));
  };
  const spy = vi.spyOn(console, "error").mockImplementation(print);
  const console_ = { log: print, error: print, debug: print, info: print, warn: print };
  try {
    const code = snippet.code.replaceAll("8400", String(await freePort()));
    await run({ ...snippet, code }, snippetModules(servers, opened), {
      console: console_,
      fetch: (_: string, init: RequestInit) => fetch(tokens.url, init),
    });
  } finally {
    spy.mockRestore();
  }
  return lines.join("\n");
}

/** Plays the user, who opens an authorization URL and grants the request: the browser follows the redirect. */
function openInBrowser(url: string): void {
  tokens.authorize(url);
  const redirect = new URL(new URL(url).searchParams.get("redirect_uri") ?? "");
  redirect.searchParams.set("code", oauth.code);
  void fetch(redirect, { headers: { connection: "close" } });
}

/** A port for a program that has a fixed one: the runtimes run it at the same time. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "localhost");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function first(snippets: readonly Snippet[]): Snippet {
  const [snippet] = snippets;
  if (snippet === undefined) throw new Error("there is no snippet");
  return snippet;
}

function snippetWith(words: string): Snippet {
  return first(documented.filter(({ code }) => code.includes(words)));
}

function mailServers(): EmbeddedServer[] {
  return [servers.SMTP, servers.SMTP_SSL, servers.LMTP];
}

function text({ messages }: EmbeddedServer): string {
  return messages.map(({ content }) => new TextDecoder().decode(content)).join("\n");
}
