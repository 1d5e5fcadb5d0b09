/** Proxies in the test's own process that behave as no real ones do: they answer as configured, and record requests. */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { onTestFinished } from "vitest";
import type { Pair } from "../support/certificates.ts";

/** The behaviour of a proxy. */
export type ScriptedProxyOptions = {
  kind: "SOCKS5" | "SOCKS4a" | "HTTP";
  /** TLS from the first byte on. */
  tls?: Pair | undefined;
  /** The required user and password. */
  user?: string | undefined;
  password?: string | undefined;
  /** The text in place of its first answer; then the proxy ends the connection, unless `holds` is set. */
  says?: string | Uint8Array | undefined;
  /** After `says`, or without it: neither continues nor ends the connection. */
  holds?: boolean | undefined;
  /** Names that only the proxy knows, and their ports. */
  hosts?: Readonly<Record<string, number>> | undefined;
  /** Sends its last answer together with the server's first bytes. */
  joins?: boolean | undefined;
  /** The path of a Unix socket to listen on. */
  path?: string | undefined;
};

/** A running proxy, which ends with its test. */
export type ScriptedProxy = {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The requested targets, as the client named them. */
  readonly targets: string[];
  /** Everything that clients sent before tunnels began. */
  readonly heard: Buffer[];
  /** The numbers of all and of open connections. */
  connections: number;
  open: number;
  /** The addresses of the clients. */
  readonly clients: (string | undefined)[];
  /** Resolves when no connection is left. */
  idle(): Promise<void>;
};

/** Starts a proxy. */
export async function startScriptedProxy(options: ScriptedProxyOptions): Promise<ScriptedProxy> {
  const sockets = new Set<net.Socket>();
  const waiting: (() => void)[] = [];
  const onSocket = (socket: net.Socket): void => {
    proxy.connections += 1;
    proxy.open += 1;
    proxy.clients.push(socket.remoteAddress);
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => {
      proxy.open -= 1;
      if (proxy.open === 0) for (const resolve of waiting.splice(0)) resolve();
    });
    serve(socket, options, proxy).catch(() => socket.destroy());
  };
  const server =
    options.tls === undefined
      ? net.createServer({ allowHalfOpen: true }, onSocket)
      : tls.createServer({ ...options.tls, allowHalfOpen: true }, onSocket);
  server.on("tlsClientError", () => {});
  if (options.path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(options.path);
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const proxy: ScriptedProxy = {
    host: "127.0.0.1",
    port,
    targets: [],
    heard: [],
    connections: 0,
    open: 0,
    clients: [],
    idle: () => (proxy.open === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
  return proxy;
}

async function serve(socket: net.Socket, options: ScriptedProxyOptions, proxy: ScriptedProxy): Promise<void> {
  const take = reader(socket, proxy);
  if (options.says !== undefined || options.holds) {
    await take((bytes) => (bytes.length > 0 ? bytes.length : undefined));
    if (options.says !== undefined) socket.write(options.says);
    socket.on("end", () => socket.end());
    if (!options.holds) socket.end();
    return;
  }
  const asked = await { SOCKS5: socks5, SOCKS4a: socks4, HTTP: http }[options.kind](take, socket, options);
  if (asked === undefined) {
    socket.end();
    return;
  }
  proxy.targets.push(`${asked.host}:${asked.port}`);
  const early = take.stop();
  const upstream = net.connect({
    host: "127.0.0.1",
    port: options.hosts?.[asked.host] ?? asked.port,
    allowHalfOpen: true,
  });
  upstream.on("error", () => socket.destroy());
  await once(upstream, "connect");
  upstream.once("close", () => socket.end());
  socket.once("close", () => upstream.destroy());
  if (options.joins) {
    const [first] = await once(upstream, "data");
    socket.write(Buffer.concat([asked.answer, first]));
  } else socket.write(asked.answer);
  upstream.write(early);
  socket.pipe(upstream);
  upstream.pipe(socket);
}

type Take = (end: (bytes: Buffer) => number | undefined) => Promise<Buffer>;
type Asked = { host: string; port: number; answer: Buffer };

async function socks5(take: Take, socket: net.Socket, { user, password }: ScriptedProxyOptions) {
  const greeting = await take((bytes) => (bytes.length >= 2 ? need(bytes, 2 + (bytes[1] ?? 0)) : undefined));
  const method = user === undefined ? 0 : 2;
  if (!greeting.subarray(2).includes(method)) {
    socket.write(Uint8Array.of(5, 0xff));
    return undefined;
  }
  socket.write(Uint8Array.of(5, method));
  if (user !== undefined) {
    const said = await take((bytes) => {
      const name = bytes[1];
      const secret = name === undefined ? undefined : bytes[2 + name];
      return name === undefined || secret === undefined ? undefined : need(bytes, 3 + name + secret);
    });
    const right = Buffer.concat([
      Buffer.of(1, Buffer.byteLength(user)),
      Buffer.from(user),
      Buffer.of(Buffer.byteLength(password ?? "")),
      Buffer.from(password ?? ""),
    ]);
    socket.write(Uint8Array.of(1, said.equals(right) ? 0 : 1));
    if (!said.equals(right)) return undefined;
  }
  const request = await take((bytes) => {
    const [, , , type, first] = bytes;
    if (type === undefined || first === undefined) return undefined;
    return need(bytes, 6 + (type === 3 ? 1 + first : type === 1 ? 4 : 16));
  });
  const name = request.subarray(request[3] === 3 ? 5 : 4, -2);
  const host = request[3] === 3 ? name.toString() : [...name].join(request[3] === 1 ? "." : " ");
  return { host, port: request.readUInt16BE(request.length - 2), answer: Buffer.of(5, 0, 0, 1, 127, 0, 0, 1, 1, 2) };
}

async function socks4(take: Take): Promise<Asked> {
  const request = await take((bytes) => {
    const user = bytes.indexOf(0, 8);
    if (bytes.length < 9 || user < 0) return undefined;
    const named = bytes[4] === 0 && bytes[5] === 0 && bytes[6] === 0;
    const end = named ? bytes.indexOf(0, user + 1) : user;
    return end < 0 ? undefined : end + 1;
  });
  const [, name = ""] = request.subarray(8).toString().split("\0");
  const host = name === "" ? [...request.subarray(4, 8)].join(".") : name;
  return { host, port: request.readUInt16BE(2), answer: Buffer.of(0, 90, 0, 0, 0, 0, 0, 0) };
}

async function http(take: Take, socket: net.Socket, { user, password }: ScriptedProxyOptions) {
  const head = (
    await take((bytes) => (bytes.includes("\r\n\r\n") ? bytes.indexOf("\r\n\r\n") + 4 : undefined))
  ).toString();
  const token = Buffer.from(`${user}:${password}`).toString("base64");
  if (user !== undefined && !head.includes(`\r\nProxy-Authorization: Basic ${token}\r\n`)) {
    socket.write('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="lab"\r\n\r\nno');
    return undefined;
  }
  const [, host = "", port] = /^CONNECT \[?([^\]\s]*?)\]?:(\d+) HTTP\/1\.1\r\nHost: /.exec(head) ?? [];
  return {
    host,
    port: Number(port),
    answer: Buffer.from("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nA: b\r\n\r\n"),
  };
}

function need(bytes: Buffer, length: number): number | undefined {
  return bytes.length < length ? undefined : length;
}

/** Returns the received bytes up to the end that `end` finds; `stop` returns the rest and leaves the socket paused. */
function reader(socket: net.Socket, proxy: ScriptedProxy): Take & { stop(): Buffer } {
  let bytes = Buffer.alloc(0);
  let gone = false;
  let wake = (): void => {};
  const onData = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    wake();
  };
  const onEnd = (): void => {
    gone = true;
    wake();
  };
  socket.on("data", onData).once("end", onEnd).once("close", onEnd);
  const take: Take = async (end) => {
    for (;;) {
      const length = end(bytes);
      if (length !== undefined) {
        const taken = bytes.subarray(0, length);
        bytes = bytes.subarray(length);
        proxy.heard.push(taken);
        return taken;
      }
      if (gone) throw new Error("the client has gone");
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return Object.assign(take, {
    stop: () => {
      socket.off("data", onData).pause();
      return bytes;
    },
  });
}
