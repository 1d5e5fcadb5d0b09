/** Replays a transcript: plays the server's part and checks the client's. */

import { type MemoryStream, memoryTransport } from "../../transports/memory.ts";
import type { Transport } from "../byte-stream.ts";
import { concat } from "../core/bytes.ts";
import { Incoming } from "./incoming.ts";
import { pretendingTls } from "./pretended-tls.ts";
import { type Entry, escapeOctets, MASK, parseTranscript, unescapeOctets } from "./transcript.ts";

/** A transcript that is being replayed. */
export type Replay = AsyncDisposable & {
  /** Connects to the replaying server: the n-th connection plays the n-th session. */
  readonly transport: Transport;
  /**
   * Ends it.
   *
   * @throws Error if the client sent anything else than in the transcript, or less
   */
  finish(): Promise<void>;
};

/** Options of a replay. */
export type ReplayOptions = {
  /** Compares a line of the client with the transcript. Default: "***" matches anything, all else must be equal. */
  matches?: ((expected: string, said: string) => boolean) | undefined;
};

/**
 * Starts a server that plays a transcript, made by `recordTranscript` or by hand. The client has to send the same lines
 * in the same groups; "***" in them matches anything, and the client's address in EHLO any address. TLS is simulated.
 * A difference ends the connection, and `finish()` reports it.
 *
 * @throws SyntaxError for an invalid transcript
 * @example
 * ```ts
 * import { replayTranscript } from "smtplib/testing";
 *
 * const replay = replayTranscript(`
 * CONNECT mail.example.com:25
 * S: 220 mail.example.com ESMTP
 * C: EHLO client.example.com
 * S: 250 mail.example.com
 * C: QUIT
 * S: 221 bye
 * `);
 * const options = { transport: replay.transport, local_hostname: "client.example.com" };
 * const smtp = await SMTP.connect("mail.example.com", 25, options);
 * await smtp.ehlo();
 * await smtp.quit();
 * await replay.finish();
 * ```
 */
export function replayTranscript(transcript: string, options: ReplayOptions = {}): Replay {
  const { matches = isTheSame } = options;
  const sessions = parseTranscript(transcript);
  const problems: string[] = [];
  const players: Player[] = [];
  const finish = async (): Promise<void> => {
    // First takes what the client has just sent.
    await new Promise((resolve) => setTimeout(resolve));
    for (const player of players) player.stop();
    const unplayed = sessions.slice(players.length).map(() => "a session was not begun");
    const missing = players.flatMap(({ missing }) => (missing === undefined ? [] : [missing]));
    const all = [...problems, ...missing, ...unplayed];
    if (all.length > 0) throw new Error(`the transcript was not followed: ${all.join("; ")}`);
  };
  return {
    transport: async (endpoint, connecting) => {
      const session = sessions[players.length];
      if (session === undefined) {
        problems.push("a connection that is not in the transcript");
        throw new Error("the transcript has no session any more");
      }
      let player: Player | undefined;
      const connect = memoryTransport((stream) => {
        player = new Player(session, stream, matches, problems);
        players.push(player);
        return player.play();
      });
      const stream = await connect(endpoint, connecting);
      return pretendingTls(stream, async () => player?.begunTls(), { loopback: true });
    },
    finish,
    [Symbol.asyncDispose]: finish,
  };
}

function isTheSame(expected: string, said: string): boolean {
  const [, verb] = /^((?:EHLO|HELO|LHLO) )\[.*\]$/i.exec(expected) ?? [];
  if (verb !== undefined) return said.startsWith(`${verb}[`);
  const parts = expected.split(MASK).map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(said);
}

/** Plays one session. */
class Player {
  readonly #entries: readonly Entry[];
  readonly #stream: MemoryStream;
  readonly #matches: (expected: string, said: string) => boolean;
  readonly #problems: string[];
  readonly #incoming: Incoming;
  readonly #secured: Promise<void>;
  #beginTls = (): void => {};
  #at = 0;
  #failed = false;

  constructor(
    entries: readonly Entry[],
    stream: MemoryStream,
    matches: (expected: string, said: string) => boolean,
    problems: string[],
  ) {
    this.#entries = entries;
    this.#stream = stream;
    this.#matches = matches;
    this.#problems = problems;
    this.#incoming = new Incoming(stream);
    this.#secured = new Promise((resolve) => {
      this.#beginTls = resolve;
    });
  }

  /** Describes what the client has not done yet. */
  get missing(): string | undefined {
    const next = this.#failed
      ? undefined
      : this.#entries.slice(this.#at).find(({ does }) => does === "client" || does === "tls");
    if (next === undefined) return undefined;
    return next.does === "client" && "text" in next
      ? `the client never said "${next.text}"`
      : "the client never began TLS";
  }

  begunTls(): void {
    this.#beginTls();
  }

  stop(): void {
    this.#stream.abort(new Error("the replay is over"));
  }

  async play(): Promise<void> {
    for (const entry of this.#entries) {
      if (!(await this.#step(entry))) return;
      this.#at += 1;
    }
  }

  async #step(entry: Entry): Promise<boolean> {
    switch (entry.does) {
      case "connect":
      case "time":
      case "note":
        return true;
      case "tls":
        await this.#secured;
        return true;
      case "end":
        await this.#stream.close();
        return true;
      case "server": {
        const line = unescapeOctets(entry.text);
        await this.#stream.write(entry.ended ? concat([line, Uint8Array.of(13, 10)]) : line)?.catch(() => {});
        return true;
      }
      case "client":
        return this.#hear(entry.text, entry.ended);
    }
  }

  async #hear(expected: string, ended: boolean): Promise<boolean> {
    const said = ended ? await this.#incoming.rawLine() : await this.#incoming.octets(unescapeOctets(expected).length);
    if (said === undefined) return false;
    const text = escapeOctets(said);
    if (this.#matches(expected, text)) return true;
    this.#failed = true;
    this.#problems.push(`expected "${expected}", but the client said "${text}"`);
    this.#stream.abort(new Error("the client did not follow the transcript"));
    return false;
  }
}
