/** The test server of `smtplib/testing` on a port: sockets, TLS, and a record of each dialogue. */
import { createServer, type Server, type Socket } from "node:net";
import tls from "node:tls";
import { type ServerStream, startServer, type TestServer, type TestServerOptions } from "../../testing/index.ts";
import { SessionRecorder } from "../../testing/session-recorder.ts";
import { CommandError, EXIT } from "../exit-codes.ts";
import { reasonOf } from "../files.ts";
import type { ServerCertificate } from "./certificate.ts";
import type { History, SessionRecord } from "./history.ts";
import { SocketStream } from "./socket-stream.ts";

/** How the server listens. */
export type MailServerOptions = {
  readonly host: string;
  readonly port: number;
  readonly certificate: ServerCertificate | undefined;
  /** TLS from the first byte on. */
  readonly implicitTls: boolean;
  readonly behaviour: TestServerOptions;
  readonly history: History;
  /** Receives each line of each dialogue. */
  readonly onLine: (line: string, about: { readonly session: number; readonly at: number }) => void;
  /** Receives the errors that answers throw. */
  readonly onError: (error: unknown) => void;
};

/** The bytes of each message that the record of a dialogue keeps. */
const KEPT_CONTENT = 65_536;

/** A server that listens. */
export class MailServer {
  readonly #options: MailServerOptions;
  readonly #server: TestServer;
  readonly #listener: Server;
  readonly #context: tls.SecureContext | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #begun = performance.now();

  private constructor(options: MailServerOptions) {
    const { certificate, implicitTls } = options;
    this.#options = options;
    this.#server = startServer(options.behaviour);
    this.#context = certificate === undefined ? undefined : tls.createSecureContext(certificateOf(certificate));
    if (implicitTls && certificate !== undefined) {
      const listener = tls.createServer(certificateOf(certificate), (socket) => this.#serve(socket, true));
      // A client that fails the handshake is not an error of the server.
      listener.on("tlsClientError", (_, socket) => socket.destroy());
      this.#listener = listener;
    } else {
      this.#listener = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket, false));
    }
    this.#listener.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /**
   * Listens.
   * @throws {CommandError} if the port cannot be opened
   */
  static async start(options: MailServerOptions): Promise<MailServer> {
    const server = new MailServer(options);
    await listen(server.#listener, options);
    return server;
  }

  get port(): number {
    const address = this.#listener.address();
    return typeof address === "object" && address !== null ? address.port : this.#options.port;
  }

  /** The messages, as they come. */
  get messages(): TestServer {
    return this.#server;
  }

  /** Ends all connections and stops listening. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    await this.#server.close().catch(this.#options.onError);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(socket: Socket, secure: boolean): Promise<void> {
    const { history, onError } = this.#options;
    const stream = new SocketStream(socket, secure ? undefined : this.#context);
    const id = this.#server.connections + 1;
    const recorder = this.#recorder(id, socket);
    if (secure) recorder.secured(stream.tls);
    const client = `${socket.remoteAddress}:${socket.remotePort}`;
    const session: SessionRecord = {
      id,
      began: new Date(),
      client,
      ended: undefined,
      transcript: () => recorder.transcript,
    };
    history.addSession(session);
    try {
      await this.#server.accept(this.#recorded(stream, recorder, secure), { secure });
    } catch (error) {
      onError(error);
    } finally {
      await stream.close();
      session.ended = new Date();
      history.addSession(session);
    }
  }

  #recorder(session: number, socket: Socket): SessionRecorder {
    const { host } = this.#options;
    const onLine = (line: string, at: number): void => this.#options.onLine(line, { session, at });
    const now = (): number => performance.now() - this.#begun;
    const where = `${host.includes(":") ? `[${host}]` : host}:${socket.localPort ?? this.port}`;
    return new SessionRecorder(where, { now, times: true, maxContent: KEPT_CONTENT, onLine });
  }

  #recorded(stream: SocketStream, recorder: SessionRecorder, secure: boolean): ServerStream {
    const recorded: ServerStream = {
      read: async () => {
        const chunk = await stream.read();
        if (chunk !== null) recorder.sent("client", chunk);
        return chunk;
      },
      write: (data) => {
        recorder.sent("server", data);
        return stream.write(data);
      },
      close: () => {
        recorder.sent("server", null);
        return stream.close();
      },
      abort: () => {
        recorder.sent("server", null);
        stream.abort();
      },
    };
    if (secure || this.#context === undefined) return recorded;
    return {
      ...recorded,
      startTls: async () => {
        await stream.startTls();
        recorder.secured(stream.tls);
      },
    };
  }
}

function certificateOf({ cert, key }: ServerCertificate): { cert: string; key: string } {
  return { cert, key };
}

/**
 * Starts a server.
 * @throws {CommandError} if it cannot
 */
export function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const text = `${host}:${port} cannot be listened on: ${reasonOf(cause)}`;
      reject(new CommandError(EXIT.cannotCreate, text, { cause }));
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners("error");
      server.on("error", () => {});
      resolve();
    });
  });
}
