/** A server in the test's own process: it uses memory streams, answers by a function, and counts what it receives. */
import type { ByteStream, PeerInfo, Transport } from "../../src/byte-stream.ts";
import { utf8 } from "../../src/core/bytes.ts";
import { type MemoryOptions, type MemoryStream, memoryTransport } from "../../transports/memory.ts";

/** The answer to a line: texts without their last CRLF; undefined: nothing; "close": the connection ends. */
export type Answer = string | undefined;

/**
 * The server's behaviour. A verb's answer is a text, a list with a text for each call (the last one stays), or a
 * function of the line.
 */
export type Script = {
  readonly greeting?: Answer | undefined;
  /** The extensions that EHLO offers. */
  readonly ehlo?: readonly string[] | undefined;
  /** Verb in upper case -> answer; "." is the end of a message. The bytes after BDAT must be ASCII. */
  readonly on?: Readonly<Record<string, string | readonly string[] | ((line: string) => Answer)>> | undefined;
  readonly memory?: MemoryOptions | undefined;
  /** The client's information about the connection. */
  readonly peer?: Partial<PeerInfo> | undefined;
};

/** A server, and what it received over all its connections. */
export class FakeServer {
  /** The command lines, in order, without CRLF. */
  readonly lines: string[] = [];
  /** The contents of messages as received: stuffed, without the last line. */
  readonly messages: string[] = [];
  /** Each write of the client, as text. */
  readonly writes: string[] = [];
  /** The server's ends of the connections. */
  readonly streams: MemoryStream[] = [];
  readonly transport: Transport;
  readonly #script: Script;
  readonly #asked = new Map<string, number>();
  #watchers: (() => void)[] = [];
  #chunks = "";

  constructor(script: Script = {}) {
    this.#script = script;
    const connect = memoryTransport((stream) => this.#serve(stream), script.memory);
    this.transport = async (endpoint, options) => this.#watched(await connect(endpoint, options));
  }

  /** Sends an unsolicited text on the last connection. */
  say(text: string): void {
    this.streams.at(-1)?.write(utf8(text));
  }

  /** Waits until the received data fulfil a condition. */
  async until(condition: (server: FakeServer) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  /** Waits until a line was received. */
  saw(line: string | RegExp): Promise<void> {
    return this.until(({ lines }) =>
      lines.some((seen) => (typeof line === "string" ? seen === line : line.test(seen))),
    );
  }

  #watched(stream: ByteStream): ByteStream {
    const { peer } = this.#script;
    const write = stream.write.bind(stream);
    stream.write = (data) => {
      this.writes.push(new TextDecoder().decode(data));
      this.#changed();
      return write(data);
    };
    if (peer !== undefined) {
      const whole = { ...stream.peer, ...peer };
      Object.defineProperty(stream, "peer", { get: () => whole });
    }
    return stream;
  }

  async #serve(stream: MemoryStream): Promise<void> {
    this.streams.push(stream);
    const { greeting = "220 fake ESMTP" } = this.#script;
    if (!this.#reply(stream, greeting)) return;
    let text = "";
    let content: string | undefined;
    const decoder = new TextDecoder();
    for (;;) {
      const bytes = await stream.read().catch(() => null);
      if (bytes === null) return;
      text += decoder.decode(bytes, { stream: true });
      for (;;) {
        const end = text.indexOf("\r\n");
        if (end < 0) break;
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (content !== undefined && line !== ".") {
          content += `${line}\r\n`;
          continue;
        }
        if (content !== undefined) this.messages.push(content);
        content = undefined;
        const [, octets, last] = /^BDAT (\d+)( LAST)?$/i.exec(line) ?? [];
        if (octets !== undefined) {
          if (text.length < Number(octets)) {
            text = `${line}\r\n${text}`;
            break;
          }
          this.#chunks += text.slice(0, Number(octets));
          text = text.slice(Number(octets));
          if (last !== undefined) this.messages.push(this.#chunks);
          if (last !== undefined) this.#chunks = "";
        }
        this.lines.push(line);
        const answer = this.#answerTo(line);
        if (/^data$/i.test(line) && answer?.startsWith("354")) content = "";
        const goesOn = this.#reply(stream, answer);
        this.#changed();
        if (!goesOn) return;
      }
    }
  }

  #reply(stream: MemoryStream, answer: Answer): boolean {
    if (answer === "close") {
      stream.close();
      return false;
    }
    // A client that has disconnected gets no answer.
    if (answer !== undefined) stream.write(utf8(`${answer}\r\n`))?.catch(() => {});
    return true;
  }

  #changed(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  #answerTo(line: string): Answer {
    const verb = line === "." ? "." : (line.split(/[ :]/, 1)[0] ?? "").toUpperCase();
    const own = this.#script.on?.[verb];
    if (own !== undefined) {
      if (typeof own === "function") return own(line);
      if (typeof own === "string") return own;
      const index = this.#asked.get(verb) ?? 0;
      this.#asked.set(verb, index + 1);
      return own[Math.min(index, own.length - 1)];
    }
    switch (verb) {
      case "EHLO":
      case "LHLO": {
        const lines = ["fake", ...(this.#script.ehlo ?? [])];
        return lines.map((text, i) => `250${i + 1 < lines.length ? "-" : " "}${text}`).join("\r\n");
      }
      case "DATA":
        return "354 go on";
      case "QUIT":
        return "221 bye";
      case ".":
      case "BDAT":
        return `250 2.0.0 queued as ${this.messages.length}`;
      default:
        return "250 ok";
    }
  }
}
