/** Contract: TLS that must fail, the errors, and that nothing is sent before the failure is known. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { expect } from "vitest";
import type { ByteStream, TlsOptions, Transport } from "../../src/byte-stream.ts";
import { TlsError, type TlsFailure } from "../../src/errors.ts";
import { type Certificates, certificates, fingerprint256 } from "../support/certificates.ts";
import { bytes, open, reasonOf } from "./bytes.ts";
import type { Check } from "./contract.ts";
import { protocolVersionAlert, reset, serve, serverHello, serveTls, type TestServer } from "./servers.ts";

type Refusal = {
  name: string;
  failure: TlsFailure;
  /** A pattern for the message. */
  says: RegExp;
  server: "good" | "wrongName" | "expired" | "future" | "selfSigned" | "foreign";
  options: (made: Certificates) => TlsOptions & { servername: string };
};

const localhost = ({ ca }: Certificates): TlsOptions & { servername: string } => ({ servername: "localhost", ca });

const refusals: Refusal[] = [
  { name: "for another name", failure: "name", says: /servername/, server: "wrongName", options: localhost },
  {
    name: "that is right, where another name was asked for",
    failure: "name",
    says: /mail\.example\.com.*servername/s,
    server: "good",
    options: ({ ca }) => ({ servername: "mail.example.com", ca }),
  },
  {
    name: "that does not bear the IP address",
    failure: "name",
    says: /127\.0\.0\.1/,
    server: "wrongName",
    options: ({ ca }) => ({ servername: "127.0.0.1", ca }),
  },
  { name: "that has expired", failure: "expired", says: /expired|valid/, server: "expired", options: localhost },
  { name: "that is not valid yet", failure: "expired", says: /not.*valid/, server: "future", options: localhost },
  {
    name: "that signed itself",
    failure: "issuer",
    says: /ca.*fingerprint256/s,
    server: "selfSigned",
    options: localhost,
  },
  { name: "of an unknown authority", failure: "issuer", says: /ca/, server: "foreign", options: localhost },
  {
    name: "of an authority that the system does not know",
    failure: "issuer",
    says: /ca/,
    server: "good",
    options: () => ({ servername: "localhost" }),
  },
  {
    name: "with another fingerprint",
    failure: "fingerprint",
    says: /fingerprint256/,
    server: "good",
    options: ({ ca, foreign }) => ({ servername: "localhost", ca, fingerprint256: fingerprint256(foreign.cert) }),
  },
  {
    name: "with the right fingerprint but of an unknown authority",
    failure: "issuer",
    says: /ca/,
    server: "selfSigned",
    options: ({ ca, selfSigned }) => ({ servername: "localhost", ca, fingerprint256: fingerprint256(selfSigned.cert) }),
  },
];

/** Declares the tests. */
export function describeTlsFailures(transport: Transport, check: Check): void {
  for (const { name, failure, says, server: pair, options } of refusals) {
    check(`refuses a certificate ${name}`, async () => {
      const made = await certificates();
      let received = 0;
      const server = await serveTls(made[pair], (socket) => {
        socket.on("data", (chunk) => {
          received += chunk.length;
        });
      });
      const stream = await open(transport, server.endpoint);
      const error = await refused(stream, server, options(made));
      expect(error.permanent).toBe(true);
      expect(received).toBe(0);
    });

    check(`says why it refuses a certificate ${name}`, async () => {
      const made = await certificates();
      const server = await serveTls(made[pair]);
      const stream = await open(transport, server.endpoint);
      const error = await refused(stream, server, options(made));
      expect(error.failure).toBe(failure);
      expect(error.message).toMatch(says);
    });
  }

  check("refuses a server that speaks TLS 1.1 at best", async () => {
    const error = await against(transport, (socket) => socket.write(serverHello(2)));
    expect(error.failure).toBe("version");
    expect(error.message).toMatch(/version/);
  });

  check("refuses a server that speaks TLS 1.2 where 1.3 is asked for", async () => {
    const error = await against(transport, (socket) => socket.write(serverHello(3)), { minVersion: "TLSv1.3" });
    expect(error.failure).toBe("version");
    expect(error.message).toMatch(/minVersion/);
  });

  check("says so when the server refuses the version", async () => {
    const error = await against(transport, (socket) => socket.write(protocolVersionAlert));
    expect(error.failure).toBe("version");
  });

  check("says so when the peer answers the handshake in plain text", async () => {
    const error = await against(transport, (socket) => socket.write("500 5.5.1 command unrecognized\r\n"));
    expect(error.failure).toBe("not-tls");
  });

  check("says so when the peer greets in plain text on a TLS port", async () => {
    const server = await serve((socket) => void socket.write("220 mail.example.com ESMTP\r\n"));
    const stream = await open(transport, server.endpoint);
    const reason = await reasonOf(stream.startTls({ servername: "localhost" }));
    expect(reason).toBeInstanceOf(TlsError);
    expect(reason).toMatchObject({ failure: "not-tls" });
    await server.idle();
  });

  check("says so when the peer closes during the handshake", async () => {
    const error = await against(transport, (socket) => socket.end());
    expect(error.failure).toBe("closed");
    expect(error.permanent).toBe(false);
  });

  check("says so when the peer resets the connection during the handshake", async () => {
    const error = await against(transport, reset);
    expect(error.failure).toBe("closed");
  });

  check("says so when the peer has closed before the handshake", async () => {
    const server = await serve((socket) => socket.end());
    const stream = await open(transport, server.endpoint);
    expect(await stream.read()).toBeNull();
    expect((await refused(stream, server, { servername: "localhost" })).failure).toBe("closed");
  });

  check("rejects with the reason when it is aborted during the handshake", async () => {
    const server = await serve((socket) => socket.on("error", () => {}));
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    const hello = once(socket, "data");
    const securing = reasonOf(stream.startTls({ servername: "localhost" }));
    await hello;
    const reason = new Error("no time left");
    stream.abort(reason);
    expect(await securing).toBe(reason);
    expect(await reasonOf(stream.read())).toBe(reason);
    await server.idle();
  });

  check("ends a handshake that stalls when it is closed", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const hello = once(await server.accepted(), "data");
    const securing = reasonOf(stream.startTls({ servername: "localhost" }));
    await hello;
    await stream.close();
    expect(await securing).toBeInstanceOf(Error);
    await server.idle();
  });

  check("refuses to upgrade while a read is pending", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const reading = stream.read().catch(() => null);
    expect(await reasonOf(stream.startTls({ servername: "localhost" }))).toBeInstanceOf(Error);
    stream.abort();
    await reading;
    await server.idle();
  });

  check("refuses bytes in clear that follow the 220, however they come", async () => {
    for (const injected of ["220 fake.example.com\r\n", "250-x\r\n"]) {
      const server = await serve((socket) => {
        socket.write("220 go ahead\r\n");
        socket.once("data", () => socket.write(injected));
      });
      const stream = await open(transport, server.endpoint);
      const first = await stream.read();
      expect(new TextDecoder().decode(first ?? undefined)).toBe("220 go ahead\r\n");
      const socket = await server.accepted();
      socket.write(injected);
      const reason = await reasonOf(stream.startTls({ servername: "localhost" }));
      expect(reason).toBeInstanceOf(Error);
      expect(await reasonOf(stream.read())).toBeInstanceOf(Error);
      await server.idle();
    }
  });

  check("refuses to speak TLS within TLS on the same stream, or after its end", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good);
    const stream = await open(transport, server.endpoint);
    await stream.startTls({ servername: "localhost", ca });
    expect(await reasonOf(stream.startTls({ servername: "localhost", ca }))).toBeInstanceOf(Error);
    const aborted = await open(transport, server.endpoint);
    const reason = new Error("gone");
    aborted.abort(reason);
    expect(await reasonOf(aborted.startTls({ servername: "localhost", ca }))).toBe(reason);
    await server.idle();
  });

  check("refuses to upgrade what was closed", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    await stream.close();
    expect(await reasonOf(stream.startTls({ servername: "localhost" }))).toBeInstanceOf(Error);
    await server.idle();
  });

  const badOptions: [string, object][] = [
    ["an authority that is no certificate", { ca: "/etc/ssl/ca.pem" }],
    ["no authority at all", { ca: [] }],
    ["a fingerprint that is none", { fingerprint256: "12:34" }],
    ["no fingerprint at all", { fingerprint256: [] }],
    ["a certificate without its key", { cert: "-----BEGIN CERTIFICATE-----" }],
    ["no name", { servername: "" }],
    ["a name that is no string", { servername: 42 }],
    ["a version that is none of ours", { minVersion: "TLSv1.1" }],
    ["a verification that is neither on nor off", { rejectUnauthorized: "no" }],
    ["a certificate and a key that are none", { cert: "nonsense", key: "nonsense" }],
  ];
  for (const [name, options] of badOptions) {
    check(`throws a TypeError for ${name}`, async () => {
      const server = await serve();
      const stream = await open(transport, server.endpoint);
      const reason = await reasonOf(stream.startTls({ servername: "localhost", ...options }));
      expect(reason).toBeInstanceOf(TypeError);
      await server.idle();
    });
  }
}

/** The error of a handshake with a server that answers the first bytes by this function. */
async function against(
  transport: Transport,
  answer: (socket: Socket) => void,
  options: TlsOptions = {},
): Promise<TlsError> {
  const server = await serve((socket) => void socket.once("data", () => answer(socket)));
  const stream = await open(transport, server.endpoint);
  return refused(stream, server, { ...options, servername: "localhost" });
}

/** Checks that `startTls` fails and that nothing is left of the connection; returns the error. */
async function refused(
  stream: ByteStream,
  server: TestServer,
  options: TlsOptions & { servername: string },
): Promise<TlsError> {
  const reason = await reasonOf(stream.startTls(options));
  if (!(reason instanceof TlsError)) throw new Error("expected a TlsError", { cause: reason });
  expect(reason.name).toBe("TlsError");
  expect(await reasonOf(stream.read())).toBeInstanceOf(Error);
  expect(await reasonOf(Promise.resolve(stream.write(bytes("x"))))).toBeInstanceOf(Error);
  expect(stream.peer.tls).toBeUndefined();
  await stream.close();
  await server.idle();
  return reason;
}
