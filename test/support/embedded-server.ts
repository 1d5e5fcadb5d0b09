/** A complete mail server in the test's own process, npm's smtp-server: for tests that need no unusual answers. */
import { once } from "node:events";
import type { Socket } from "node:net";
import {
  SMTPServer,
  type SMTPServerAuthentication,
  type SMTPServerDataStream,
  type SMTPServerOptions,
  type SMTPServerSession,
} from "smtp-server";
import { certificates } from "./certificates.ts";

/** Options of the server; all have defaults. */
export type EmbeddedOptions = {
  /** TLS by STARTTLS (the default), from the first byte on, or not at all. */
  tls?: "starttls" | "implicit" | "none" | undefined;
  /** The one account. With it, only `AUTH` is allowed before authentication, also without TLS. */
  auth?: Account | undefined;
  /** LMTP in place of SMTP. */
  lmtp?: boolean | undefined;
  /** Other options of smtp-server. */
  settings?: SMTPServerOptions | undefined;
};

/** The credentials of an account: a password, and a bearer token if there is one. */
export type Account = { readonly user: string; readonly password: string; readonly token?: string | undefined };

/** A message that the server accepted. */
export type ReceivedMessage = {
  from: string;
  /** The accepted recipients. */
  to: string[];
  /** The parameters of MAIL, with upper-case names; those without a value are true. */
  parameters: Readonly<Record<string, string | true>>;
  /** The content, with doubled dots restored. */
  content: Uint8Array;
  /** Whether it arrived over TLS. */
  secure: boolean;
  /** The authenticated user. */
  user: string | undefined;
};

/** A running server. */
export type EmbeddedServer = {
  host: "127.0.0.1";
  port: number;
  /** The authority that signed its certificate, in PEM; the certificate is good for localhost, 127.0.0.1 and ::1. */
  ca: string;
  /** The accepted messages, in order; a message is here before the client gets the reply. */
  messages: ReceivedMessage[];
  /** The number of connections so far. */
  connections: number;
  /** Drops all connections and stops listening. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * Starts a server on a free port of 127.0.0.1. It refuses recipients whose local part is `refused` with 550
 * and `later` with 450.
 */
export async function startEmbeddedServer(options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
  const { tls = "starttls", auth, lmtp = false, settings } = options;
  const { ca, good } = await certificates();
  const messages: ReceivedMessage[] = [];
  const disabled = [...(tls === "starttls" ? [] : ["STARTTLS"]), ...(auth === undefined ? ["AUTH"] : [])];

  const server = new SMTPServer({
    secure: tls === "implicit",
    ...good,
    lmtp,
    disabledCommands: disabled,
    allowInsecureAuth: true,
    authMethods: ["PLAIN", "LOGIN", "CRAM-MD5", ...(auth?.token === undefined ? [] : ["XOAUTH2"])],
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    hideDSN: false,
    logger: false,
    onAuth: (given, _session, done) =>
      auth !== undefined && accepts(given, auth)
        ? done(null, { user: auth.user })
        : done(refusal(535, "wrong password")),
    onRcptTo: ({ address }, _session, done) => {
      const local = address.slice(0, address.lastIndexOf("@"));
      if (local === "refused") return done(refusal(550, "no such user"));
      if (local === "later") return done(refusal(450, "try later"));
      done();
    },
    onData: (stream, session, done) => {
      receive(stream, session).then((message) => {
        messages.push(message);
        done(null, `queued as ${messages.length}`);
      }, done);
    },
    ...settings,
  });
  // Many tests disconnect early; without a listener each such error would end the process.
  server.on("error", () => {});

  const listener = server.listen(0, "127.0.0.1");
  const open = new Set<Socket>();
  let connections = 0;
  listener.on("connection", (socket: Socket) => {
    connections++;
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  await once(listener, "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("the server listens on no port");

  const close = (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of open) socket.destroy();
    return closed;
  };
  return {
    host: "127.0.0.1",
    port: address.port,
    ca,
    messages,
    get connections(): number {
      return connections;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function accepts(given: SMTPServerAuthentication, account: Account): boolean {
  if (given.method === "XOAUTH2") return given.accessToken === account.token;
  if (given.username !== account.user) return false;
  return given.method === "PLAIN" || given.method === "LOGIN"
    ? given.password === account.password
    : given.validatePassword(account.password);
}

function refusal(responseCode: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode });
}

async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<ReceivedMessage> {
  const { envelope, secure, user } = session; // read now, since the session is reset before the next message
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return {
    from: envelope.mailFrom === false ? "" : envelope.mailFrom.address,
    to: envelope.rcptTo.map(({ address }) => address),
    parameters: envelope.mailFrom === false ? {} : Object.fromEntries(Object.entries(envelope.mailFrom.args)),
    content: Buffer.concat(chunks),
    secure,
    user: typeof user === "string" ? user : undefined, // smtp-server returns false, although its types say undefined
  };
}
