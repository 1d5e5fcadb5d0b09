/** `probe` and `send` against real servers, and against `serve`: the report is true, and the message arrives. */
import { describe, expect, it } from "vitest";
import type { ProbeReport } from "../../src/cli/probe/report.ts";
import { letter } from "../servers/letters.ts";
import { awaitMessage } from "../servers/mailbox.ts";
import { describeServer, type Server } from "../servers/servers.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { cli, fileOf, serve } from "./cli.ts";

/** The features that distinguish one server from another. */
type Expected = {
  readonly greeting: RegExp;
  /** Keywords that it offers after TLS, among others. */
  readonly keywords: readonly string[];
  readonly missing: readonly string[];
  /** Mechanisms, including those that reveal the password. */
  readonly mechanisms: readonly string[];
  readonly pipelining: boolean | undefined;
  readonly chunking: boolean | undefined;
};

const EXPECTED = {
  postfix: {
    greeting: /ESMTP Postfix/,
    keywords: ["PIPELINING", "SIZE", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "CHUNKING"],
    missing: [],
    mechanisms: ["PLAIN"],
    pipelining: true,
    chunking: true,
  },
  exim: {
    greeting: /ESMTP Exim/,
    keywords: ["SIZE", "8BITMIME", "PIPELINING", "CHUNKING", "HELP"],
    missing: ["ENHANCEDSTATUSCODES"],
    mechanisms: ["PLAIN"],
    pipelining: true,
    chunking: true,
  },
  sendmail: {
    greeting: /ESMTP Sendmail/,
    keywords: ["ENHANCEDSTATUSCODES", "PIPELINING", "DELIVERBY"],
    missing: ["CHUNKING"],
    mechanisms: [],
    pipelining: true,
    chunking: undefined,
  },
  aiosmtpd: {
    greeting: /aiosmtpd|Python SMTP/i,
    keywords: ["8BITMIME", "SMTPUTF8"],
    missing: ["PIPELINING", "CHUNKING"],
    mechanisms: ["PLAIN", "LOGIN"],
    pipelining: undefined,
    chunking: undefined,
  },
  dovecot: {
    greeting: /Dovecot/i,
    keywords: ["8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING"],
    missing: ["SIZE"],
    mechanisms: [],
    pipelining: true,
    chunking: true,
  },
};

for (const name of ["postfix", "exim", "sendmail", "aiosmtpd", "dovecot"] as const) {
  describeServer(name, (server) => {
    const expected: Expected = EXPECTED[name];
    it("is told for what it is", async () => {
      const { code, report } = await probe(`${server.host}:${server.port}`, server);
      expect(report.findings.filter(({ severity }) => severity === "error")).toEqual([]);
      expect(code).toBe(0);
      expect(report.greeting?.text).toMatch(expected.greeting);
      const offer = report.offers.at(-1);
      const keywords = offer?.extensions.map(({ keyword }) => keyword) ?? [];
      expect(keywords).toEqual(expect.arrayContaining([...expected.keywords]));
      expect(keywords.filter((keyword) => expected.missing.includes(keyword))).toEqual([]);
      expect(offer?.extensions.filter(({ meaning }) => meaning === "unknown")).toEqual([]);
      const mechanisms = report.mechanisms.map((one) => one.name);
      expect(mechanisms).toEqual(expect.arrayContaining([...expected.mechanisms]));
      expect(report.pipelining?.works).toBe(expected.pipelining);
      expect(report.chunking?.works).toBe(expected.chunking);
      expect(report.verdict.outcome).toBe("good");
    });

    it("takes what is sent to it", async () => {
      const { marker, content } = letter("Hello from the command line.\r\n");
      const to = server.protocol === "lmtp" ? "alice@lab.test" : "someone@lab.test";
      const login = server.user === "" || server.protocol === "lmtp" ? [] : ["--user", server.user];
      const args = ["-", "--from", "sender@client.test", "--to", to, ...login];
      const { code, stderr } = await send(`${server.host}:${server.port}`, server, args, content);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(new TextDecoder().decode((await awaitMessage(server, marker)).message)).toContain("command line");
    });

    it("refuses what it refuses, and that is told", async () => {
      const args = ["--test", "--from", "sender@client.test", "--to", "nobody-at-all@lab.test", "--stop-after", "rcpt"];
      const { code, stdout } = await send(`${server.host}:${server.port}`, server, args.slice(1));
      expect([0, 65, 75]).toContain(code);
      expect(stdout).toMatch(/^rcpt nobody-at-all@lab\.test: \d{3} /m);
    });

    it.skipIf(server.tlsPort === undefined)(
      "is told for what it is over implicit TLS, and in clear there",
      async () => {
        const where = `${server.host}:${server.tlsPort}`;
        const { report } = await probe(where, server, "--tls");
        expect(report.tls).toMatchObject({ by: "implicit", trusted: true });
        const clear = await probe(where, server, "--starttls", "opportunistic", "--timeout", "2");
        expect(clear.report.findings[0]).toMatchObject({ code: "tls-at-once", fix: "use --tls, or smtps://" });
      },
    );
  });
}

describe("smtp-server", () => {
  it("is told for what it is, and logs in", async () => {
    await using server = await startEmbeddedServer({ auth: { user: "ada", password: "open sesame" } });
    const ca = await fileOf(server.ca);
    const args = ["probe", `localhost:${server.port}`, "--ca", ca, "--json", "--user", "ada"];
    const { code, stdout } = await cli(args, { env: { SMTP_PASSWORD: "open sesame" } });
    const report: ProbeReport = JSON.parse(stdout);
    expect({ code, login: report.login?.succeeded }).toEqual({ code: 0, login: true });
    expect(report.demands).toMatchObject({ tlsBeforeMail: false, authBeforeMail: true });
    expect(stdout).not.toContain("sesame");
    const wrong = await cli(args, { env: { SMTP_PASSWORD: "wrong-password" } });
    expect(wrong.code).toBe(77);
    expect(wrong.stdout + wrong.stderr).not.toContain("wrong-password");
  });
});

describe("serve", () => {
  it.each([
    ["STARTTLS", ["--starttls"], []],
    ["TLS", ["--tls"], ["--tls"]],
    ["LMTP", ["--lmtp"], ["--lmtp"]],
  ])("is told for what it is by %s, and takes what is sent to it", async (_, serving, asking) => {
    const server = await serve(...serving);
    const where = `localhost:${server.port}`;
    const ca = server.ca === undefined ? [] : ["--ca", server.ca];
    const probed = await cli(["probe", where, "--json", ...asking, ...ca]);
    const report: ProbeReport = JSON.parse(probed.stdout);
    expect(report.findings.filter(({ severity }) => severity === "error")).toEqual([]);
    const issuers = report.tls?.chain.map(({ issuer }) => issuer) ?? [];
    expect(issuers.filter((issuer) => issuer !== "smtplib serve, authority of one run")).toEqual([]);
    expect(report.chunking?.works).toBe(true);
    expect(report.pipelining?.works).toBe(true);
    const args = ["--test", "--from", "a@example.com", "--to", "b@example.net", ...asking, ...ca];
    expect((await cli(["send", "--server", where, ...args])).code).toBe(0);
    expect(server.messages).toMatchObject([{ from: "a@example.com", to: ["b@example.net"] }]);
  });
});

async function probe(where: string, server: Server, ...args: readonly string[]) {
  const ca = await fileOf(server.ca);
  const lmtp = server.protocol === "lmtp" ? ["--lmtp"] : [];
  const { code, stdout, stderr } = await cli(["probe", where, "--ca", ca, "--json", ...lmtp, ...args]);
  if (stdout === "") throw new Error(stderr);
  const report: ProbeReport = JSON.parse(stdout);
  return { code, report };
}

async function send(where: string, server: Server, args: readonly string[], stdin: string | Uint8Array = "") {
  const ca = await fileOf(server.ca);
  const lmtp = server.protocol === "lmtp" ? ["--lmtp"] : [];
  const env = { SMTP_PASSWORD: server.password };
  return cli(["send", "--server", where, "--ca", ca, "--helo", "client.test", ...lmtp, ...args], { stdin, env });
}
