/**
 * `probe` against servers with planted faults: it finds each fault, tells it from the others, and says how to fix it.
 */
import { describe, expect, it } from "vitest";
import { certificateFindings } from "../../src/cli/probe/certificates.ts";
import { printedReport } from "../../src/cli/probe/print.ts";
import type { ProbeReport } from "../../src/cli/probe/report.ts";
import { TlsError } from "../../src/index.ts";
import { close, converse, ehlo, server, startTls } from "../support/scripted-server.ts";
import { runningOn } from "../transports/contract.ts";
import { cli, fileOf } from "./cli.ts";
import {
  closedPort,
  droppingLongHellos,
  forwarded,
  implicitTls,
  intermediate,
  losingCommands,
  pairs,
  saying,
  scripted,
  withStartTls,
} from "./planted.ts";
import { schemaErrors } from "./report-schema.ts";

type Probed = { readonly code: number; readonly report: ProbeReport; readonly codes: readonly string[] };

/** Probes a server on this machine; the report must match the schema, and its text must not control a terminal. */
async function probe(where: number | string, ...args: readonly string[]): Promise<Probed> {
  const server = typeof where === "number" ? `localhost:${where}` : where;
  const { code, stdout, stderr } = await cli(["probe", server, "--json", "--timeout=1", ...args], {
    env: { SMTP_PASSWORD: "open sesame" },
  });
  if (stdout === "") throw new Error(stderr);
  const report: ProbeReport = JSON.parse(stdout);
  expect(schemaErrors(report)).toBeNull();
  expect(printedReport(report, { write: () => {}, isTerminal: false, hasColours: false })).not.toMatch(
    /(?!\n)[\x00-\x1f\x7f-\x9f]/,
  );
  const codes = report.findings.filter(({ severity }) => severity === "error").map(({ code }) => code);
  return { code, report, codes };
}

const valid = { validFrom: "2020-01-01T00:00:00.000Z", validUntil: "2090-01-01T00:00:00.000Z", daysLeft: 9_999 };

async function ca(): Promise<string> {
  return fileOf((await pairs()).ca, "ca.pem");
}

describe("probe", () => {
  it("finds nothing wrong with a good server", async () => {
    const { good } = await pairs();
    const port = await withStartTls(good, ["PIPELINING", "SIZE 1000000"], ["PIPELINING", "AUTH PLAIN"]);
    const { code, report, codes } = await probe(port, "--ca", await ca());
    expect(codes).toEqual([]);
    expect(code).toBe(0);
    expect(report.verdict).toMatchObject({ outcome: "good", text: /takes mail over TLSv1\.3 by STARTTLS/ });
  });

  it("finds an expired certificate", async () => {
    const { expired } = await pairs();
    const { code, report, codes } = await probe(await withStartTls(expired), "--ca", await ca());
    expect(codes).toEqual(["certificate-expired"]);
    expect(code).toBe(76);
    expect(report.verdict.text).toMatch(/^the certificate expired 10 days ago, on \d{4}-/);
    expect(report.tls?.chain[0]).toMatchObject({ daysLeft: -10, subject: "localhost" });
  });

  it("finds a certificate of another name, and says which one it has", async () => {
    const { wrongName } = await pairs();
    const { codes, report } = await probe(await withStartTls(wrongName), "--ca", await ca());
    expect(codes).toEqual(["certificate-name"]);
    expect(report.verdict).toMatchObject({
      text: "the certificate is for elsewhere.example, not for localhost",
      fix: "connect to elsewhere.example, or: --servername elsewhere.example",
    });
  });

  it("finds a chain that lacks the intermediate certificate", async () => {
    const { alone, whole, root } = await intermediate();
    const trusted = await fileOf(root, "root.pem");
    const { codes, report } = await probe(await withStartTls(alone), "--ca", trusted);
    expect(codes).toEqual(["certificate-chain-incomplete"]);
    expect(report.verdict).toMatchObject({ text: /"Middle", which issued it/, fix: /the whole chain/ });
    expect((await probe(await withStartTls(whole), "--ca", trusted)).codes).toEqual([]);
  });

  it("tells a certificate signed by itself from one of an unknown authority", async () => {
    const { selfSigned } = await pairs();
    const own = await probe(await withStartTls(selfSigned), "--ca", await ca());
    expect(own.codes).toEqual(["certificate-self-signed"]);
    const fix = `--fingerprint ${own.report.tls?.chain[0]?.fingerprint256} --insecure`;
    expect(own.report.verdict.fix).toContain(fix);
    const { whole } = await intermediate();
    expect((await probe(await withStartTls(whole), "--ca", await ca())).codes).toEqual(["certificate-issuer-unknown"]);
  });

  it("takes a certificate by its fingerprint, and no other", async () => {
    const { selfSigned } = await pairs();
    const port = await withStartTls(selfSigned);
    const { report } = await probe(port, "--insecure");
    const fingerprint = report.tls?.chain[0]?.fingerprint256 ?? "";
    expect(report.verdict.outcome).toBe("good");
    expect((await probe(port, "--insecure", "--fingerprint", fingerprint)).codes).toEqual([]);
    expect((await probe(port, "--fingerprint", "00".repeat(32))).codes).toEqual(["certificate-fingerprint"]);
  });

  it("finds a port that speaks TLS at once and is spoken to in clear", async () => {
    const { good } = await pairs();
    const { code, codes, report } = await probe(await implicitTls(good), "--starttls", "opportunistic");
    expect(codes).toEqual(["tls-at-once"]);
    expect(code).toBe(76);
    expect(report.verdict.fix).toBe("use --tls, or smtps://");
  });

  it("finds a port that speaks in clear and is spoken to by TLS", async () => {
    const { code, codes, report } = await probe(await scripted(server()), "--tls");
    expect(codes).toEqual(["clear-port"]);
    expect(code).toBe(76);
    expect(report.verdict.fix).toMatch(/^leave out --tls/);
  });

  it("finds that a login is offered over TLS only", async () => {
    const { good } = await pairs();
    const port = await withStartTls(good, [], ["AUTH PLAIN"]);
    const inClear = await probe(port, "--user", "ada", "--starttls", "never");
    expect(inClear.codes).toEqual(["auth-after-tls"]);
    expect(inClear.report.verdict.fix).toBe("leave out --starttls never");
    const { report } = await probe(port, "--ca", await ca());
    expect(report.findings).toContainEqual(expect.objectContaining({ code: "auth-after-tls", severity: "note" }));
    expect(report.demands.tlsBeforeAuth).toBe(true);
    expect(report.mechanisms).toMatchObject([{ name: "PLAIN", offeredOver: ["tls"], showsSecret: true }]);
  });

  it("finds that there is no common mechanism", async () => {
    const port = await scripted(server({ EHLO: ehlo("AUTH GSSAPI NTLM") }));
    const { codes, report } = await probe(port);
    expect(codes).toEqual(["no-common-mechanism"]);
    expect(report.mechanisms.map(({ supported }) => supported)).toEqual([false, false]);
  });

  it("finds PIPELINING that loses commands", async () => {
    const { code, codes, report } = await probe(await losingCommands());
    expect(codes).toEqual(["pipelining-broken"]);
    expect(code).toBe(76);
    expect(report.pipelining).toMatchObject({ claimed: true, works: false, detail: /get 1 reply/ });
  });

  it("finds CHUNKING that is offered and not known", async () => {
    const port = await scripted(server({ EHLO: ehlo("PIPELINING", "CHUNKING"), ".": "502 5.5.1 unknown command" }));
    const { codes, report } = await probe(port);
    expect(codes).toEqual(["chunking-unknown"]);
    expect(report.pipelining?.works).toBe(true);
  });

  it("finds a server that refuses everybody, and one that does so for now", async () => {
    const refusing = await probe(await scripted(["554 5.7.1 no service for you", converse()]));
    expect(refusing).toMatchObject({ code: 69, codes: ["greeting-refused"] });
    expect(refusing.report.verdict.text).toContain("554 5.7.1 no service for you");
    expect(await probe(await scripted(["421 4.3.2 too busy", close]))).toMatchObject({
      code: 75,
      codes: ["greeting-refused"],
    });
  });

  it("finds a limit that is smaller than servers may have", async () => {
    const { codes, report } = await probe(await scripted(server({ EHLO: ehlo("SIZE 100") })));
    expect(codes).toEqual(["size-too-small"]);
    expect(report.sizeLimit).toBe(100);
  });

  it.skipIf(runningOn("deno"))("finds a box in between that drops a long ClientHello, and goes on", async () => {
    const { good } = await pairs();
    const { codes, report } = await probe(await droppingLongHellos(good), "--tls", "--ca", await ca());
    expect(codes).toEqual(["tls-client-hello"]);
    expect(report.verdict.fix).toBe("try --groups X25519");
    expect(report.tls?.trusted).toBe(true);
  });

  it("finds a host that does not exist, and a port that nobody listens on", async () => {
    const unknown = await probe("no-such-host.invalid");
    expect({ code: unknown.code, codes: unknown.codes }).toEqual({ code: 69, codes: ["no-such-host"] });
    expect(unknown.report.verdict.text).toMatch(/^the host has no address/);
    const { code, codes, report } = await probe(await closedPort());
    expect({ code, codes }).toEqual({ code: 69, codes: ["no-answer"] });
    expect(report.addresses).toContainEqual(expect.objectContaining({ address: "127.0.0.1", outcome: "failed" }));
  });

  it("finds a server that is silent, and one that is none of SMTP", async () => {
    expect(await probe(await saying(undefined))).toMatchObject({ code: 69, codes: ["no-greeting"] });
    const { code, codes, report } = await probe(await saying("SSH-2.0-OpenSSH_9.2p1\r\n"));
    expect({ code, codes }).toEqual({ code: 76, codes: ["not-smtp"] });
    expect(report.verdict.text).toContain("SSH-2.0-OpenSSH_9.2p1");
  });

  it("finds a server that hangs up before its greeting, or in the middle", async () => {
    expect(await probe(await scripted([close]))).toMatchObject({ code: 69, codes: ["closed-before-greeting"] });
    const { codes, report } = await probe(await scripted(server({ MAIL: close })));
    expect(codes).toEqual(["connection-lost"]);
    expect(report.verdict.text).toMatch(/^the session ends at MAIL: /);
  });

  it("finds out what has to come before MAIL", async () => {
    const { good } = await pairs();
    const port = await scripted([
      "220 scripted.test ESMTP",
      converse({
        EHLO: ehlo("STARTTLS"),
        MAIL: "530 5.7.0 Must issue a STARTTLS command first",
        STARTTLS: ["220 go ahead", startTls(good), converse({ MAIL: "530 5.7.0 Authentication required" })],
      }),
    ]);
    const { report } = await probe(port, "--ca", await ca());
    expect(report.demands).toEqual({ tlsBeforeMail: true, authBeforeMail: true });
    const open = await probe(await scripted(server()));
    expect(open.report.demands).toEqual({ tlsBeforeMail: false, authBeforeMail: false });
  });

  it("shows nothing of what a server says that could drive a terminal", async () => {
    const evil = "\x1b[2J\x1b]0;owned\x07\x9b1m";
    const offers = ehlo(`AUTH X-${evil} GSSAPI`, `X-${evil} ${evil}`, "CHUNKING", "PIPELINING", `SIZE ${evil}`);
    const hostile = server({ EHLO: offers, MAIL: `550 ${evil}`, BDAT: `502 ${evil}`, ".": `502 ${evil}` });
    const { codes } = await probe(await scripted(hostile), "--user", "ada");
    expect(codes).toContain("no-common-mechanism");
    await probe(await scripted([`554 ${evil}`, close]));
    await probe(await saying(`${evil}\r\n`));
  });

  it("finds its way to IPv6 addresses, and names in certificates that are one", async () => {
    const { selfSigned } = await pairs();
    const port = await withStartTls(selfSigned, [], []).then((ipv4) => forwarded(ipv4));
    for (const where of [`[::1]:${port}`, `smtp://[::1]:${port}`, `smtp://[0:0:0:0:0:0:0:1]:${port}`]) {
      const { codes, report } = await probe(where, "--ca", await ca());
      expect(report.addresses).toMatchObject([{ address: expect.stringMatching(/:1$/), outcome: "answered" }]);
      expect(report.server).toMatch(/^smtp:\/\/\[[\d:]+\]:\d+$/);
      expect(codes).not.toContain("certificate-refused");
    }
    expect(await probe("[::1]:1")).toMatchObject({ code: 69, codes: ["no-answer"] });
  });

  it("does not take an address written another way for another name", () => {
    const certificate = { names: ["0:0:0:0:0:0:0:1"], subject: "a", issuer: "b" };
    const chain = [{ ...certificate, ...valid, key: "", fingerprint256: "" }];
    const refusal = new TlsError("issuer", "unknown");
    for (const [name, codes] of [
      ["::1", ["certificate-chain-incomplete"]],
      ["::2", ["certificate-name", "certificate-chain-incomplete"]],
    ] as const) {
      expect(certificateFindings(chain, refusal, name).map(({ code }) => code)).toEqual(codes);
    }
  });

  it("does not send a password to a server that it does not trust", async () => {
    const { wrongName } = await pairs();
    const port = await withStartTls(wrongName, [], ["AUTH PLAIN"]);
    const { report, codes } = await probe(port, "--ca", await ca(), "--user", "ada");
    expect(codes).toEqual(["certificate-name"]);
    expect(report.login).toMatchObject({ succeeded: false, text: /not tried/ });
  });
});
