/** Records the dialogue over a transport without credentials, as a transcript to read, to keep, or to replay. */
import type { ByteStream, Endpoint, PeerInfo, TlsInfo, Transport } from "../byte-stream.ts";
import { SessionRecorder } from "./session-recorder.ts";

/** A recording. */
export type Recording = {
  /** The transport for the client, in place of the recorded one. */
  readonly transport: Transport;
  /** The dialogue so far, session by session. */
  readonly transcript: string;
};

/** How a transport is recorded; everything has a default. */
export type RecordOptions = {
  /**
   * Whether lines such as "# 12.345 ms" note the time of each piece, in milliseconds since the first connection was
   * started, and the kind of TLS. Replays skip them. Default: false.
   */
  readonly times?: boolean | undefined;
  /**
   * The most bytes that are kept of each message; a line such as "# 1234 more octets" stands for the rest. A transcript
   * with such a line cannot be replayed. Default: all of them.
   */
  readonly maxContent?: number | undefined;
  /** Called with each line as it is recorded: the session it belongs to, from 1 on, and its time in milliseconds. */
  readonly onLine?: ((line: string, about: { readonly session: number; readonly at: number }) => void) | undefined;
};

/**
 * Records the dialogues of a transport, decrypted if they use TLS. "***" replaces the credentials of AUTH, their echoes
 * by the server, and the challenges of SCRAM; messages are recorded as they are.
 *
 * @example
 * ```ts
 * import { recordTranscript } from "smtplib/testing";
 * import { connect } from "smtplib/transports/node";
 *
 * const recording = recordTranscript(connect);
 * const smtp = await SMTP.connect("mail.example.com", 587, { transport: recording.transport });
 * await smtp.noop();
 * await smtp.quit();
 * console.log(recording.transcript); // "CONNECT mail.example.com:587", "S: 220 …", "C: EHLO …", …
 * ```
 */
export function recordTranscript(transport: Transport, options: RecordOptions = {}): Recording {
  const { times = false, maxContent = Number.POSITIVE_INFINITY, onLine = () => {} } = options;
  const sessions: SessionRecorder[] = [];
  let begun: number | undefined;
  const now = (): number => performance.now() - (begun ?? 0);
  return {
    transport: async (endpoint, connecting) => {
      begun ??= performance.now();
      const stream = await transport(endpoint, connecting);
      const session = sessions.length + 1;
      const how = { now, times, maxContent, onLine: (line: string, at: number) => onLine(line, { session, at }) };
      const recorder = new SessionRecorder(shownEndpoint(endpoint), how);
      sessions.push(recorder);
      return recorded(stream, recorder);
    },
    get transcript(): string {
      return sessions.map((session) => session.transcript).join("\n");
    },
  };
}

function recorded(stream: ByteStream, recorder: SessionRecorder): ByteStream {
  return {
    read: async () => {
      const chunk = await stream.read();
      recorder.sent("server", chunk);
      return chunk;
    },
    write: (data) => {
      recorder.sent("client", data);
      return stream.write(data);
    },
    startTls: async (options) => {
      await stream.startTls(options);
      recorder.secured(kindOf(stream.peer.tls));
    },
    close: () => stream.close(),
    abort: (reason) => stream.abort(reason),
    ref: () => stream.ref?.(),
    unref: () => stream.unref?.(),
    get peer(): PeerInfo {
      return stream.peer;
    },
  };
}

/** Formats an endpoint for a transcript. */
function shownEndpoint(endpoint: Endpoint): string {
  return "path" in endpoint ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
}

function kindOf(tls: TlsInfo | undefined): string | undefined {
  const known = [tls?.protocol, tls?.cipher, tls?.group].filter((one) => one !== undefined);
  return known.length === 0 ? undefined : known.join(", ");
}
