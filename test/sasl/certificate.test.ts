/** The hash for the binding to a certificate (RFC 5929 4.1). */
import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { generate } from "selfsigned";
import { describe, expect, test } from "vitest";
import type { TlsInfo } from "../../src/byte-stream.ts";
import { signatureHash } from "../../src/sasl/certificate.ts";
import { channelBinding } from "../../src/sasl/channel-binding.ts";

/** A DER element. */
function der(tag: number, ...contents: Uint8Array[]): Uint8Array {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Uint8Array.of(tag, ...size), content]);
}

/** A certificate in which only the signature's algorithm is meaningful. */
function certificate(algorithm: string, tbs: Uint8Array = new Uint8Array(300)): Uint8Array {
  const identifier = der(0x30, der(0x06, Buffer.from(algorithm, "hex")), der(0x05));
  return der(0x30, der(0x30, tbs), identifier, der(0x03, new Uint8Array(64)));
}

describe("the hash for a binding", () => {
  test.each([
    ["md5WithRSAEncryption", "2a864886f70d010104", "SHA-256"],
    ["sha1WithRSAEncryption", "2a864886f70d010105", "SHA-256"],
    ["sha256WithRSAEncryption", "2a864886f70d01010b", "SHA-256"],
    ["sha384WithRSAEncryption", "2a864886f70d01010c", "SHA-384"],
    ["sha512WithRSAEncryption", "2a864886f70d01010d", "SHA-512"],
    ["ecdsa-with-SHA1", "2a8648ce3d0401", "SHA-256"],
    ["ecdsa-with-SHA256", "2a8648ce3d040302", "SHA-256"],
    ["ecdsa-with-SHA384", "2a8648ce3d040303", "SHA-384"],
    ["ecdsa-with-SHA512", "2a8648ce3d040304", "SHA-512"],
    ["Ed25519, which has none of its own", "2b6570", undefined],
    ["RSASSA-PSS, which may have several", "2a864886f70d01010a", undefined],
  ])("of %s", (_, algorithm, hash) => {
    for (const size of [0, 100, 200, 300, 10_000]) {
      expect(signatureHash(certificate(algorithm, new Uint8Array(size)))).toBe(hash);
    }
  });

  test.each(["sha256", "sha384", "sha512"] as const)(
    "of a real certificate that is signed with %s",
    async (algorithm) => {
      const made = await generate([{ name: "commonName", value: "localhost" }], { keyType: "rsa", algorithm });
      expect(signatureHash(new X509Certificate(made.cert).raw)).toBe(algorithm.replace("sha", "SHA-"));
    },
  );

  test("of what is no certificate is not defined, and nothing is thrown", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (octets) => {
        expect(signatureHash(octets)).toBeUndefined();
      }),
    );
    const whole = certificate("2a8648ce3d040302");
    for (let length = 0; length < whole.length; length++) {
      expect(signatureHash(whole.subarray(0, length))).toBeUndefined();
    }
    expect(signatureHash(der(0x30, der(0x30), der(0x30, der(0x04, Buffer.from("2a8648ce3d040302", "hex")))))).toBe(
      undefined,
    );
  });
});

describe("the binding of a TLS session", () => {
  const tls = (more: Partial<TlsInfo>): TlsInfo => ({
    protocol: "TLSv1.3",
    cipher: undefined,
    verified: true,
    fingerprint256: undefined,
    group: undefined,
    exporter: undefined,
    ...more,
  });
  const exporter = (label: string, length: number): Uint8Array =>
    Buffer.from(label.padEnd(length, "!").slice(0, length));
  const der256 = certificate("2a8648ce3d040302");

  test("is the exported keying material of TLS 1.3, under the label of RFC 9266", async () => {
    const binding = channelBinding(tls({ exporter, certificate: der256 }));
    expect(binding?.type).toBe("tls-exporter");
    expect(Buffer.from((await binding?.data()) ?? []).toString()).toBe("EXPORTER-Channel-Binding!!!!!!!!");
  });

  test("is the hash of the certificate under TLS 1.2, and where that is wanted", async () => {
    const { createHash } = await import("node:crypto");
    const digest = createHash("sha256").update(der256).digest("hex");
    for (const binding of [
      channelBinding(tls({ protocol: "TLSv1.2", exporter, certificate: der256 })),
      channelBinding(tls({ exporter, certificate: der256 }), "tls-server-end-point"),
      channelBinding(tls({ certificate: der256 })),
    ]) {
      expect(binding?.type).toBe("tls-server-end-point");
      expect(Buffer.from((await binding?.data()) ?? []).toString("hex")).toBe(digest);
    }
  });

  test.each<[name: string, tls: TlsInfo | undefined, wanted?: "tls-exporter" | "tls-server-end-point"]>([
    ["in clear", undefined],
    ["where nothing is told", tls({})],
    [
      "under TLS 1.2 where the exporter is wanted",
      tls({ protocol: "TLSv1.2", exporter, certificate: der256 }),
      "tls-exporter",
    ],
    ["without a certificate where that is wanted", tls({ exporter }), "tls-server-end-point"],
    ["with a certificate that has no hash", tls({ certificate: certificate("2b6570") })],
  ])("is not there %s", (_, info, wanted) => {
    expect(channelBinding(info, wanted)).toBeUndefined();
  });
});
