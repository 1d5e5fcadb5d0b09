/** Servers with one fault each, on free ports of this machine; each ends with its test. */
import { once } from "node:events";
import net, { type Socket } from "node:net";
import tls from "node:tls";
import { generate } from "selfsigned";
import { onTestFinished } from "vitest";
import { type Certificates, certificates, type Pair } from "../support/certificates.ts";
import { type Act, converse, ehlo, startScriptedServer, startTls } from "../support/scripted-server.ts";

/** A server that plays a dialogue. */
export async function scripted(...dialogues: readonly Act[]): Promise<number> {
  const server = await startScriptedServer(...dialogues);
  onTestFinished(() => server.finish());
  return server.port;
}

/** A server with STARTTLS by this certificate, and its offers in EHLO before and after TLS. */
export function withStartTls(
  pair: Pair,
  before: readonly string[] = [],
  after: readonly string[] = before,
): Promise<number> {
  return scripted([
    "220 scripted.test ESMTP",
    converse({
      EHLO: ehlo(...before, "STARTTLS"),
      STARTTLS: ["220 go ahead", startTls(pair), converse({ EHLO: ehlo(...after) })],
    }),
  ]);
}

/** A server that speaks TLS from the first byte on. */
export async function implicitTls(pair: Pair): Promise<number> {
  const server = tls.createServer(pair, (socket) => {
    socket.on("error", () => {});
    socket.write("220 secure.test ESMTP\r\n");
    socket.on("data", (data) => void socket.write(answersTo(String(data))));
  });
  server.on("tlsClientError", () => {});
  return await listening(server);
}

/** A server that reads one command of each packet, and loses the commands after it. */
export async function losingCommands(): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.write("220 lossy.test ESMTP\r\n");
    socket.on("data", (data) => {
      const [first = ""] = String(data).split("\r\n");
      socket.write(/^EHLO/i.test(first) ? "250-lossy.test\r\n250 PIPELINING\r\n" : "250 OK\r\n");
    });
  });
  return await listening(server);
}

/** A server that drops each ClientHello that offers more than one group. */
export async function droppingLongHellos(pair: Pair): Promise<number> {
  const inner = await implicitTls(pair);
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (hello) => {
      if (countGroups(hello) > 1) return void socket.destroy();
      const upstream = net.connect(inner, "127.0.0.1", () => {
        upstream.write(hello);
        upstream.pipe(socket);
        socket.pipe(upstream);
      });
      upstream.on("error", () => socket.destroy());
    });
  });
  return await listening(server);
}

/** A server that sends a text, or nothing, and reads no commands. */
export async function saying(text: string | undefined): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", () => {});
    if (text !== undefined) socket.write(text);
  });
  return await listening(server);
}

/** A server whose refusal of a login repeats everything that the client sent, as it came and decoded. */
export async function echoing(): Promise<number> {
  const server = net.createServer((socket) => {
    let told: string[] | undefined;
    const answer = (line: string): string => {
      if (/^EHLO/i.test(line)) return "250-echo.test\r\n250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER";
      if (/^QUIT/i.test(line)) return "221 bye";
      const [verb, , initial = ""] = line.split(" ");
      if (verb === "AUTH") told = [];
      if (told === undefined) return "250 OK";
      told.push(verb === "AUTH" ? initial : line);
      if (/^AUTH LOGIN/i.test(line)) return "334 VXNlcm5hbWU6";
      if (told.length === 2) return "334 UGFzc3dvcmQ6";
      const all = told.flatMap((one) => [
        one,
        Buffer.from(one, "base64")
          .toString()
          .replaceAll(/[\0\x01]/g, " "),
      ]);
      told = undefined;
      return `535 5.7.8 no: ${all.join(" ")}`;
    };
    socket.on("error", () => {});
    socket.write("220 echo.test ESMTP\r\n");
    socket.on("data", (data) => {
      for (const line of String(data).split("\r\n").slice(0, -1)) socket.write(`${answer(line)}\r\n`);
    });
  });
  return await listening(server);
}

/** A port of the IPv6 loopback address that leads to a port of the IPv4 one. */
export async function forwarded(port: number): Promise<number> {
  const server = net.createServer((socket) => {
    const inner = net.connect(port, "127.0.0.1");
    for (const one of [socket, inner]) one.on("error", () => {});
    socket.pipe(inner).pipe(socket);
  });
  return await listening(server, "::1");
}

/** A port on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A certificate for "localhost", signed by an intermediate authority: alone, with its chain, and the root. */
export async function intermediate(): Promise<{ readonly alone: Pair; readonly whole: Pair; readonly root: string }> {
  const algorithm = { algorithm: "sha256", keyType: "ec" } as const;
  const authority = [
    { name: "basicConstraints", cA: true, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
  ] as const;
  const root = await generate([{ name: "commonName", value: "Root" }], { ...algorithm, extensions: [...authority] });
  const middle = await generate([{ name: "commonName", value: "Middle" }], {
    ...algorithm,
    ca: { cert: root.cert, key: root.private },
    extensions: [...authority],
  });
  const own = await generate([{ name: "commonName", value: "localhost" }], {
    ...algorithm,
    ca: { cert: middle.cert, key: middle.private },
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "extKeyUsage", serverAuth: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] },
    ],
  });
  const alone = { cert: own.cert, key: own.private };
  return { alone, whole: { ...alone, cert: `${own.cert}\n${middle.cert}` }, root: root.cert };
}

/** The certificates of the process. */
export function pairs(): Promise<Certificates> {
  return certificates();
}

async function listening(server: net.Server, host = "127.0.0.1"): Promise<number> {
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.listen(0, host);
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return portOf(server);
}

function portOf(server: net.Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server listens on no port");
  return address.port;
}

function answersTo(lines: string): string {
  const commands = lines.split("\r\n").filter((line) => line !== "");
  return commands.map((line) => (/^QUIT/i.test(line) ? "221 bye\r\n" : "250 OK\r\n")).join("");
}

/** The groups in the extension supported_groups of a ClientHello (RFC 8446 4.2.7). */
function countGroups(hello: Buffer): number {
  let at = 43; // the record, the handshake, version and random
  at += 1 + hello.readUInt8(at); // the session
  at += 2 + hello.readUInt16BE(at); // ciphers
  at += 1 + hello.readUInt8(at); // compression
  const end = at + 2 + hello.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + hello.readUInt16BE(at + 2)) {
    if (hello.readUInt16BE(at) === 10) return hello.readUInt16BE(at + 4) / 2;
  }
  return 0;
}
