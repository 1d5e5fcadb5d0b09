/** Records what is said over a transport, credentials left out: a transcript to read, to keep, or to replay. */
import type { ByteStream, PeerInfo, Transport } from "../byte-stream.ts";
import { decodeBase64 } from "../core/base64.ts";
import { concat } from "../core/bytes.ts";
import { type Entry, escapeOctets, formatEntry, MASK } from "./transcript.ts";

/** A recording. */
export type Recording = {
  /** To be given to the client in place of the transport that it records. */
  readonly transport: Transport;
  /** What was said so far, session by session. */
  readonly transcript: string;
};

/**
 * Records the dialogues of a transport, in clear also where TLS carries them. What AUTH says is "***", and so is what the
 * server echoes of it; messages are recorded as they are.
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
export function recordTranscript(transport: Transport): Recording {
  const sessions: SessionRecorder[] = [];
  return {
    transport: async (endpoint, options) => {
      const stream = await transport(endpoint, options);
      const shown = "path" in endpoint ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
      const recorder = new SessionRecorder(shown);
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
      recorder.said("server", chunk);
      return chunk;
    },
    write: (data) => {
      recorder.said("client", data);
      return stream.write(data);
    },
    startTls: async (options) => {
      await stream.startTls(options);
      recorder.secured();
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

/** One session. */
class SessionRecorder {
  readonly #entries: Entry[];
  readonly #pending: Record<"client" | "server", Uint8Array> = { client: new Uint8Array(0), server: new Uint8Array(0) };
  readonly #secrets = new Set<string>();
  /** Where AUTH stands: its line was said; the server waits for a response, which is a secret. */
  #auth: "begun" | "awaitsSecret" | undefined;
  #ended = false;

  constructor(endpoint: string) {
    this.#entries = [{ does: "connect", endpoint }];
  }

  get transcript(): string {
    return `${this.#entries.map(formatEntry).join("\n")}\n`;
  }

  secured(): void {
    this.#entries.push({ does: "tls" });
  }

  /** Takes what one side said; null: it ended. */
  said(side: "client" | "server", chunk: Uint8Array | null): void {
    if (chunk === null) {
      if (!this.#ended) this.#entries.push({ does: "end" });
      this.#ended = true;
      return;
    }
    // What the client left without a line end, as the end of a chunk may be, came before this.
    if (side === "server") this.#flush("client");
    let rest = concat([this.#pending[side], chunk.slice()]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = rest.subarray(0, end);
      const whole = line[line.length - 1] === 13;
      this.#add(side, whole ? line.subarray(0, -1) : rest.subarray(0, end + 1), whole);
      rest = rest.subarray(end + 1);
    }
    this.#pending[side] = rest;
  }

  #flush(side: "client" | "server"): void {
    const rest = this.#pending[side];
    this.#pending[side] = new Uint8Array(0);
    if (rest.length > 0) this.#add(side, rest, false);
  }

  #add(does: "client" | "server", line: Uint8Array, ended: boolean): void {
    const text = escapeOctets(line);
    this.#entries.push({ does, text: does === "client" ? this.#withoutSecret(text) : this.#withoutEcho(text), ended });
  }

  #withoutSecret(text: string): string {
    if (this.#auth === "awaitsSecret") {
      this.#auth = "begun";
      this.#keepSecret(text);
      return text === "*" ? text : MASK;
    }
    const [, command, initial] = /^(AUTH \S+)(?: (.*))?$/i.exec(text) ?? [];
    if (command === undefined) return text;
    this.#auth = "begun";
    if (initial === undefined) return text;
    this.#keepSecret(initial);
    return `${command} ${MASK}`;
  }

  #withoutEcho(text: string): string {
    if (this.#auth !== undefined) this.#auth = text.startsWith("334") ? "awaitsSecret" : undefined;
    let shown = text;
    for (const secret of this.#secrets) shown = shown.replaceAll(secret, MASK);
    return shown;
  }

  /** A response, and what is in it: user and password between NULs, a token behind its scheme. */
  #keepSecret(response: string): void {
    const bytes = decodeBase64(response);
    const parts = bytes === undefined ? [] : new TextDecoder().decode(bytes).split(/[\x00\x01 =]/);
    for (const secret of [response, ...parts]) if (secret.length >= 4) this.#secrets.add(secret);
  }
}
