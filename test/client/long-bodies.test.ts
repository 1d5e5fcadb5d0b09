/** Messages of many pieces as they arrive, over a real socket whose other end does not always read. */
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { SMTP } from "../../src/facade/smtp.ts";

const PIECE = 65_536;
const [from, to] = ["a@example.com", "b@example.com"];

/** Two megabytes with different lines, some of which begin with a dot. */
function text(end: string, length = 2 * 2 ** 20): string {
  let whole = "";
  for (let n = 0; whole.length < length; n++) whole += `${n % 5 === 0 ? "." : ""}${n} ${"x".repeat(n % 70)}${end}`;
  return whole;
}

const normal = text("\r\n");
const kinds = {
  "with whole line ends": normal,
  "with lone LFs": text("\n"),
  "with lone CRs": text("\r"),
  "with one lone LF at its end": `${normal}.\n.x`,
  "with octets over 127": text("\u00e4\r\n"),
};

const forms: Record<string, (bytes: Uint8Array) => Uint8Array | AsyncIterable<Uint8Array> | Blob> = {
  "from memory": (bytes) => bytes,
  "in chunks of 64 KiB": (bytes) => chunks(bytes, PIECE),
  "in odd chunks": (bytes) => chunks(bytes, 30_011),
  "from a Blob": (bytes) => new Blob([new Uint8Array(bytes)]),
};

describe.each(["DATA", "BDAT"])("by %s", (verb) => {
  for (const [kind, content] of Object.entries(kinds)) {
    test.each(Object.keys(forms))(`a long message ${kind} arrives as it should, %s`, async (form) => {
      const { port, received } = await server(verb === "BDAT");
      const smtp = await SMTP.connect("127.0.0.1", port, { local_hostname: "test" });
      const body = forms[form]?.(new TextEncoder().encode(content));
      await smtp.sendmail(from, to, body ?? "");
      await smtp.quit();
      const wanted = content.replace(/\r\n|\r|\n/g, "\r\n").replace(/(?<!\r\n)$/, "\r\n");
      expect(excerpt(await received, wanted)).toBe(excerpt(wanted, wanted));
    });
  }
});

/** The length of a text, and an excerpt from its first difference; a diff of megabytes takes minutes. */
function excerpt(text: string, wanted: string): string {
  let at = text === wanted ? wanted.length : 0;
  while (at < wanted.length && text[at] === wanted[at]) at++;
  return `${text.length} characters, ${at}: ${JSON.stringify(text.slice(at, at + 40))}`;
}

async function* chunks(bytes: Uint8Array, length: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

/** A server for one message, which it reads at irregular intervals. */
async function server(chunking: boolean): Promise<{ port: number; received: Promise<string> }> {
  let accept: (message: string) => void;
  const received = new Promise<string>((resolve) => {
    accept = resolve;
  });
  const sockets: Socket[] = [];
  const listening = net.createServer((socket) => {
    sockets.push(socket);
    void serve(socket, chunking).then(accept, () => {});
  });
  onTestFinished(() => {
    listening.close();
    for (const socket of sockets) socket.destroy();
  });
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;
  return { port, received };
}

async function serve(socket: Socket, chunking: boolean): Promise<string> {
  const input = new Input(socket);
  const say = (line: string): boolean => socket.write(`${line}\r\n`);
  let message = "";
  say("220 test");
  for (;;) {
    const [verb = "", size = "", last] = (await input.line()).split(" ");
    if (verb === "EHLO") say(`250-test\r\n250-8BITMIME\r\n250 ${chunking ? "CHUNKING" : "PIPELINING"}`);
    else if (verb === "DATA") {
      say("354 go");
      message = unstuffed(await input.until("\r\n.\r\n"));
      say("250 Ok");
    } else if (verb === "BDAT") {
      message += await input.octets(Number(size));
      if (last === "LAST") message = new TextDecoder().decode(Buffer.from(message, "latin1"));
      say("250 Ok");
    } else say(verb === "QUIT" ? "221 Bye" : "250 Ok");
    if (verb === "QUIT") return message;
  }
}

function unstuffed(wire: string): string {
  const lines = `\r\n${wire}`.replaceAll("\r\n..", "\r\n.").slice(2, -3);
  return new TextDecoder().decode(Buffer.from(lines, "latin1"));
}

/** The data that a socket receives; pauses after every half megabyte, so that the sender's queues fill up. */
class Input {
  readonly #chunks: AsyncIterator<Buffer>;
  #parts: string[] = [];
  #length = 0;
  #read = 0;

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    return (await this.until("\r\n")).slice(0, -2);
  }

  async until(end: string): Promise<string> {
    for (let tail = ""; ; ) {
      const whole = tail.includes(end) || this.#parts.length < 2 ? this.#whole() : "";
      const at = whole.indexOf(end);
      if (at >= 0) return this.#take(at + end.length);
      tail = (this.#parts.at(-1) ?? "").slice(1 - end.length) + (await this.#more());
    }
  }

  async octets(length: number): Promise<string> {
    while (this.#length < length) await this.#more();
    return this.#take(length);
  }

  #whole(): string {
    this.#parts = [this.#parts.join("")];
    return this.#parts[0] ?? "";
  }

  #take(length: number): string {
    const whole = this.#whole();
    this.#parts = [whole.slice(length)];
    this.#length = whole.length - length;
    return whole.slice(0, length);
  }

  async #more(): Promise<string> {
    const { value } = await this.#chunks.next();
    const text: string = value.toString("latin1");
    this.#parts.push(text);
    this.#length += text.length;
    this.#read += text.length;
    if (this.#read > 2 ** 19) {
      this.#read = 0;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return text;
  }
}
