/** Mail through real proxies: Dante for SOCKS, tinyproxy for CONNECT, HAProxy for TLS before it. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { SMTP, SMTP_SSL, SMTPConnectError, SMTPNotSupportedError, type Transport } from "../../src/index.ts";
import { httpConnect, ProxyError, socks } from "../../src/proxy/index.ts";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { failureOf } from "./failure.ts";
import { describeProxy, describeServer, type ProxyServer, server as running } from "./servers.ts";
import { sendAndCompare } from "./smtp-suite.ts";

const account = { user: "ada", password: "correct horse" };
const body = `Subject: long\r\n\r\n${".and a dot at the beginning\r\n".repeat(40_000)}`;
const servers: Record<"starttls" | "implicit" | "none", EmbeddedServer | undefined> = {
  starttls: undefined,
  implicit: undefined,
  none: undefined,
};

beforeAll(async () => {
  for (const tls of ["starttls", "implicit", "none"] as const) {
    servers[tls] = await startEmbeddedServer({ tls, auth: account, settings: { authOptional: true } });
  }
});

afterAll(async () => {
  for (const server of Object.values(servers)) await server?.close();
});

function server(tls: keyof typeof servers): EmbeddedServer {
  const found = servers[tls];
  if (found === undefined) throw new Error("the server did not start");
  return found;
}

/** The tests for each way through a proxy. */
function mailSuite(transport: Transport, name = "localhost"): void {
  it("sends mail after STARTTLS and a login, to a host that the proxy resolves", async () => {
    const mail = server("starttls");
    const smtp = await SMTP.connect(name, mail.port, { transport });
    onTestFinished(() => smtp.close());
    await smtp.starttls({ ca: mail.ca });
    await smtp.login(account.user, account.password);
    expect(await smtp.sendmail("ada@example.com", "charles@example.net", body)).toEqual({});
    await smtp.quit();
    const stored = mail.messages.at(-1);
    expect(stored).toMatchObject({ secure: true, user: "ada" });
    expect(Buffer.from(stored?.content ?? []).toString()).toBe(body);
  });

  it("sends mail over implicit TLS, to an address", async () => {
    const mail = server("implicit");
    const context = { ca: mail.ca };
    const smtp = await SMTP_SSL.connect("127.0.0.1", mail.port, { transport, context });
    onTestFinished(() => smtp.close());
    expect(await smtp.sendmail("ada@example.com", "charles@example.net", body)).toEqual({});
    await smtp.quit();
    expect(mail.messages.at(-1)?.content.length).toBe(body.length);
  });

  it("shows no password to a server on this machine that lies behind the proxy", async () => {
    const smtp = await SMTP.connect(name, server("none").port, { transport });
    onTestFinished(() => smtp.close());
    const login = smtp.login(account.user, account.password, { mechanisms: ["PLAIN"] });
    expect(await failureOf(login)).toBeInstanceOf(SMTPNotSupportedError);
  });

  it("says that the proxy reached nobody", async () => {
    const error = await failureOf(SMTP.connect(name, 1, { transport }));
    expect(error).toBeInstanceOf(SMTPConnectError);
    expect(error).toMatchObject({ cause: expect.any(ProxyError) });
    expect(String(error)).toMatch(/proxy .* refused to connect: /);
  });
}

function passwordSuite(with_: (user: string, password: string) => Transport, proxy: ProxyServer): void {
  const { user = "", password = "" } = proxy;
  mailSuite(with_(user, password));

  it("says that the password is wrong, and shows it to nobody", async () => {
    const error = await failureOf(
      SMTP.connect("localhost", server("none").port, { transport: with_(user, "wrong-1") }),
    );
    expect(error).toMatchObject({ cause: expect.any(ProxyError) });
    expect(String(error)).toMatch(/refused user and password|407|401/);
    expect(`${String(error)}${String(error instanceof Error ? error.stack : "")}`).not.toContain("wrong-1");
  });
}

describeProxy("danted", (proxy) => {
  mailSuite(socks({ host: proxy.host, port: proxy.port }));

  it("says that the proxy's rules forbid it", async () => {
    const transport = socks({ host: proxy.host, port: proxy.port });
    const error = await failureOf(SMTP.connect("127.0.0.66", 25, { transport }));
    expect(String(error)).toMatch(/SOCKS5 proxy .* refused to connect: not allowed by its rules \(2\)/);
  });

  it("wants user and password where it does", async () => {
    const transport = socks({ host: proxy.host, port: proxy.passwordPort });
    expect(String(await failureOf(SMTP.connect("localhost", 25, { transport })))).toMatch(/give it user and password/);
  });
});

describeProxy("danted", ({ host, port }) => {
  // Dante answers 91 to "localhost" by SOCKS4a only; the scripted proxy accepts names.
  mailSuite(socks({ host, port, version: "4a" }), "127.0.0.1");
});

describeProxy("danted", (proxy) => {
  const { host, passwordPort: port } = proxy;
  passwordSuite((user, password) => socks({ host, port, user, password }), proxy);
});

describeProxy("tinyproxy", ({ host, port }) => {
  mailSuite(httpConnect({ host, port }));
});

describeProxy("tinyproxy", (proxy) => {
  const { host, passwordPort: port } = proxy;
  passwordSuite((user, password) => httpConnect({ host, port, user, password }), proxy);
});

describeProxy("haproxy", (haproxy) => {
  const { host, tlsPort: port, ca = "" } = haproxy;
  const tls = { ca: readFileSync(ca, "utf8"), servername: "localhost" };
  mailSuite(httpConnect({ host, port, tls }));

  describeProxy("danted", (danted) => {
    mailSuite(httpConnect({ host, port, tls }, socks({ host: danted.host, port: danted.port })));
  });

  describeServer("exim", () => {
    it("leads to Exim, which it stands before, too", async () => {
      const exim = running("exim");
      if (exim === undefined) throw new Error("Exim does not run");
      const smtp = await SMTP.connect("localhost", haproxy.port, { transport: httpConnect({ host, port, tls }) });
      onTestFinished(() => smtp.close());
      await smtp.starttls({ ca: exim.ca });
      await sendAndCompare(exim, smtp);
      await smtp.quit();
    });
  });
});
