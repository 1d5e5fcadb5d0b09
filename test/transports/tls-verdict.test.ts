/** The report on a certificate with `rejectUnauthorized: false`: the reason for a refusal, and the chain. */
import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { TlsInfo, TlsOptions } from "../../src/byte-stream.ts";
import { TlsError } from "../../src/errors.ts";
import { connect as connectByBun } from "../../transports/bun.ts";
import { connect as connectByDeno } from "../../transports/deno.ts";
import { connect as connectByNode } from "../../transports/node.ts";
import { type Certificates, certificates, type Pair } from "../support/certificates.ts";
import { runningOn } from "./contract.ts";
import { secure } from "./contract-tls.ts";
import { serveTls } from "./servers.ts";

const transports = [
  { name: "node", transport: connectByNode, available: true },
  { name: "deno", transport: connectByDeno, available: runningOn("deno") },
  { name: "bun", transport: connectByBun, available: runningOn("bun") },
];

describe.each(transports.filter(({ available }) => available))("the transport $name", ({ name, transport }) => {
  async function infoOf(pair: Pair, options: Omit<TlsOptions, "servername">): Promise<TlsInfo | undefined> {
    const server = await serveTls(pair);
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ...options });
    const info = stream.peer.tls;
    return info && { ...info };
  }

  it.each<[keyof Omit<Certificates, "ca" | "otherCa">, string]>([
    ["expired", "expired"],
    ["future", "expired"],
    ["wrongName", "name"],
    ["selfSigned", "issuer"],
    ["foreign", "issuer"],
  ])("says why the certificate %s would have been refused", async (kind, failure) => {
    const { ca, ...pairs } = await certificates();
    const info = await infoOf(pairs[kind], { ca, rejectUnauthorized: false });
    expect(info?.verified).toBe(false);
    expect(info?.verificationError).toBeInstanceOf(TlsError);
    expect(info?.verificationError).toMatchObject({ failure });
  });

  it("says nothing of that kind of a certificate that is good", async () => {
    const { ca, good } = await certificates();
    for (const rejectUnauthorized of [true, false]) {
      const info = await infoOf(good, { ca, rejectUnauthorized });
      expect(info?.verificationError).toBeUndefined();
    }
  });

  it.skipIf(name === "bun")("gives the chain, the server's own certificate first", async () => {
    const { ca, good, foreign } = await certificates();
    const subjects = async (pair: Pair): Promise<string[] | undefined> => {
      const info = await infoOf(pair, { ca, rejectUnauthorized: false });
      return info?.chain?.map((der) => new X509Certificate(der).subject);
    };
    expect(await subjects(good)).toEqual(["CN=localhost", "CN=Test CA"]);
    expect(await subjects(foreign)).toEqual(["CN=localhost"]);
  });
});
