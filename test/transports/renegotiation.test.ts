/** A server that changes its certificate within a TLS session, by renegotiation (RFC 5746). TLS 1.3 has none. */
import { describe, expect, it } from "vitest";
import type { TlsOptions, Transport } from "../../src/byte-stream.ts";
import { connect as connectByBun } from "../../transports/bun.ts";
import { connect as connectByDeno } from "../../transports/deno.ts";
import { connect as connectByNode } from "../../transports/node.ts";
import { type Certificates, certificates, fingerprint256 } from "../support/certificates.ts";
import { startRenegotiatingChild } from "../support/child-server.ts";
import { bridged } from "./bridged.ts";
import { bytes, open, readText } from "./bytes.ts";
import { runningOn } from "./contract.ts";

const made: Certificates = await certificates();

const transports: Record<string, [transport: Transport, available: boolean]> = {
  node: [connectByNode, true],
  deno: [connectByDeno, runningOn("deno")],
  bun: [connectByBun, runningOn("bun")],
  memory: [bridged({}), true],
};

/** The certificate to which the server changes, and the options of the client. */
const CHANGES: readonly [name: string, second: Certificates["good"], options: Omit<TlsOptions, "servername">][] = [
  ["for another name", made.wrongName, { ca: made.ca }],
  ["signed by itself", made.selfSigned, { ca: made.ca }],
  ["of an unknown authority", made.foreign, { ca: made.ca }],
  ["that is not the pinned one", made.renewed, { ca: made.ca, fingerprint256: fingerprint256(made.good.cert) }],
  [
    "that is not the one trusted by its pin alone",
    made.selfSigned,
    { rejectUnauthorized: false, fingerprint256: fingerprint256(made.good.cert) },
  ],
];

for (const [name, [transport, available]] of Object.entries(transports)) {
  describe.skipIf(!available)(`the transport ${name}`, () => {
    it.each(CHANGES)(
      "reads nothing from a server that renegotiates with a certificate %s",
      async (_, second, options) => {
        const port = await startRenegotiatingChild({ first: made.good, second });
        const stream = await open(transport, { host: "127.0.0.1", port });
        await stream.startTls({ servername: "localhost", ...options });
        expect(await readText(stream, 12)).toBe("220 before\r\n");
        await stream.write(bytes("EHLO client.test\r\n"));
        expect(await readText(stream, 11).catch(() => "")).toBe("");
        stream.abort();
      },
    );
  });
}
