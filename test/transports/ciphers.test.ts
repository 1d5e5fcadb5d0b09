/** Ciphers, groups and key lengths: the options, and the errors if the two ends do not agree. */
import type { TlsOptions as ServerOptions } from "node:tls";
import { describe, expect, it } from "vitest";
import type { ByteStream, TlsOptions, Transport } from "../../src/byte-stream.ts";
import { TlsError } from "../../src/errors.ts";
import { connect as connectByBun } from "../../transports/bun.ts";
import { connect as connectByDeno } from "../../transports/deno.ts";
import { connect as connectByNode } from "../../transports/node.ts";
import { certificates, weakCertificate } from "../support/certificates.ts";
import { startTlsChild } from "../support/child-server.ts";
import { bridged } from "./bridged.ts";
import { open, readText, reasonOf } from "./bytes.ts";
import { runningOn } from "./contract.ts";

const transports: Record<string, [transport: Transport, available: boolean]> = {
  node: [connectByNode, true],
  deno: [connectByDeno, runningOn("deno")],
  bun: [connectByBun, runningOn("bun")],
  memory: [bridged({}), true],
};

type Asked = Omit<TlsOptions, "servername">;

const onNode = runningOn("node");
const onDeno = runningOn("deno");

/** Diffie-Hellman parameters of 1,024 bits, which are too weak. */
const dhparam = `-----BEGIN X9.42 DH PARAMETERS-----
MIIBJwKBgQDvVdOZi46gMjV/5ABdJCyJUioGu8P1/IGljQzvRytTGLy59I2KYkAK
MPw8bJNGx7aT/Z9lh651qGE6nVKOJ4QdY4Fi5WHdTPQKfa6TfQTozTcl/8F+sGy1
GZRBIpY1b3yg9rJBfs+7otKYerEXXfeAu/xagcAGS87xlmaM0+/q9wKBgQDWOJj7
lpMV3csQMcBM9XPMGwwdHlclSk7vNJqK8dgNIueEXEJrXGqUqXYqjHrXxU+YkDTb
2v01ML8ONqO6z2fHi1WkA0citGEUkyXsfCzBp5t9vFoQZg4k8P80LHiVCNpBGkOJ
ln4Hb+ZDByaGbmwAdwfX487Joud+lDnD9RORBgIdANI9fu29TNJlHk3WBXtL0a9A
S+f3v4s7fX3YoQE=
-----END X9.42 DH PARAMETERS-----`;

/** Makes a peer accept weak keys. */
const lax = ":@SECLEVEL=0";

for (const [name, [transport, available]] of Object.entries(transports)) {
  describe.skipIf(!available)(`TLS of the transport ${name}`, () => {
    it.skipIf(onDeno)("offers the groups asked for, and tells which one was taken", async () => {
      for (const [groups, group] of [
        ["P-384", "secp384r1"],
        ["X25519", "X25519"],
        ["P-256:X25519", "prime256v1"],
      ] as const) {
        const stream = await secure(transport, {}, { groups });
        expect(stream.peer.tls?.group).toBe(group);
        expect(await readText(stream, 5)).toBe("hello");
      }
    });

    it.skipIf(onDeno)("offers the ciphers asked for", async () => {
      const server: ServerOptions = { maxVersion: "TLSv1.2" };
      for (const [ciphers, cipher] of [
        ["ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"],
        ["ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
      ] as const) {
        const stream = await secure(transport, server, { ciphers });
        expect(stream.peer.tls?.cipher).toBe(cipher);
      }
    });

    it.runIf(onNode)("offers the ciphers of TLS 1.3 asked for", async () => {
      const stream = await secure(transport, {}, { ciphers: "TLS_CHACHA20_POLY1305_SHA256" });
      expect(stream.peer.tls?.cipher).toBe("TLS_CHACHA20_POLY1305_SHA256");
    });

    it("refuses what it cannot set, and ignores nothing", async () => {
      const cases: Asked[] = [
        { groups: "nonsense" },
        { ciphers: "nonsense" },
        ...(onNode ? [] : [{ ciphers: "TLS_CHACHA20_POLY1305_SHA256" }, { ciphers: "DEFAULT@SECLEVEL=0" }]),
        ...(onDeno ? [{ groups: "X25519" }, { ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" }] : []),
      ];
      for (const options of cases) {
        const reason = await reasonOf(secure(transport, {}, options));
        expect(reason).toBeInstanceOf(TypeError);
        expect(String(reason)).toContain(String(Object.keys(options)[0]));
      }
    });

    it("says so for good where there is no cipher in common", async () => {
      const server = { ciphers: `ADH-AES128-SHA256${lax}`, maxVersion: "TLSv1.2" } as const;
      const error = await failure(transport, server);
      expect(error).toMatchObject({ failure: "no-shared-cipher", permanent: true });
      expect(error.message).toMatch(/ciphers.*groups/s);
    });

    it.skipIf(onDeno)("says so for good where there is no group in common", async () => {
      const error = await failure(transport, { ecdhCurve: "P-384" }, { groups: "X25519" });
      expect(error).toMatchObject({ failure: "no-shared-cipher", permanent: true });
    });

    it("says so for good where the server's Diffie-Hellman key is too weak", async () => {
      const { cert, key, ca } = await weakCertificate(2048);
      const server = { cert, key, dhparam, ciphers: `DHE-RSA-AES128-GCM-SHA256${lax}`, maxVersion: "TLSv1.2" } as const;
      // Node 24 has this level by default; BoringSSL and rustls do not support this key exchange at all.
      const error = await failure(transport, server, { ca, ...(onNode && { ciphers: "DEFAULT@SECLEVEL=2" }) });
      expect(error).toMatchObject({ failure: onNode ? "weak-key" : "no-shared-cipher", permanent: true });
      if (onNode) expect(error.message).toMatch(/weaker.*ciphers.*dh key too small/is);
    });

    // Bun's node:tls and its own TLS accept such a key.
    it.skipIf(runningOn("bun"))("says so for good where the key of the certificate is too weak", async () => {
      const { cert, key, ca } = await weakCertificate(1024);
      const server = { cert, key, ciphers: `DEFAULT${lax}` };
      const error = await failure(transport, server, { ca, ...(onNode && { ciphers: "DEFAULT@SECLEVEL=2" }) });
      expect(error.permanent).toBe(true);
      if (onNode)
        expect(error).toMatchObject({ failure: "weak-key", message: expect.stringMatching(/key too (weak|small)/) });
    });

    it.runIf(onNode)("takes a weak key where it is told to", async () => {
      const { cert, key, ca } = await weakCertificate(1024);
      const stream = await secure(transport, { cert, key, ciphers: `DEFAULT${lax}` }, { ca, ciphers: `DEFAULT${lax}` });
      expect(await readText(stream, 5)).toBe("hello");
    });
  });
}

/** A stream over TLS to a separate server. */
async function secure(transport: Transport, server: ServerOptions, options: Asked): Promise<ByteStream> {
  const { ca, good } = await certificates();
  const port = await startTlsChild({ ...good, ...server });
  const stream = await open(transport, { host: "127.0.0.1", port });
  await stream.startTls({ servername: "localhost", ca, ...options });
  return stream;
}

async function failure(transport: Transport, server: ServerOptions, options: Asked = {}): Promise<TlsError> {
  const reason = await reasonOf(secure(transport, server, options));
  if (!(reason instanceof TlsError)) throw new Error("expected a TlsError", { cause: reason });
  return reason;
}
