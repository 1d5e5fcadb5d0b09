/** A server on a real socket that plays one script. Its ledger counts the accepted messages of each recipient. */
import { once } from "node:events";
import net from "node:net";
import { socketWire, type Wire } from "../support/scripted-wire.ts";
import type { Reaction, Script } from "./scripts.ts";

/** The number of bytes of a message that the server reads before it interrupts it. */
const INTERRUPTED_AT = 16 * 1024;

/** Milliseconds between an interruption and the next read. */
const READS_ON_AFTER = 300;

/** A running server. */
export class FaultyServer {
  readonly script: Script;
  readonly #listener: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #taken = new Map<string, number>();
  #connections = 0;

  private constructor(script: Script) {
    this.script = script;
    this.#listener = net.createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Starts a server on a free port of 127.0.0.1. */
  static async start(script: Script): Promise<FaultyServer> {
    const server = new FaultyServer(script);
    server.#listener.listen(0, "127.0.0.1");
    await once(server.#listener, "listening");
    return server;
  }

  get port(): number {
    const address = this.#listener.address();
    if (address === null || typeof address === "string") throw new Error("the server listens on no port");
    return address.port;
  }

  /** The number of connections. */
  get connections(): number {
    return this.#connections;
  }

  /** The number of times that it accepted the message for a recipient. */
  takenFor(recipient: string): number {
    return this.#taken.get(recipient) ?? 0;
  }

  /** The same for a local part in any domain. */
  takenForUser(user: string): number {
    const of = [...this.#taken].filter(([recipient]) => recipient.startsWith(`${user}@`));
    return of.reduce((sum, [, times]) => sum + times, 0);
  }

  /** Ends the server, and the connections that clients have left open. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const reactions = this.#connections++ === 0 ? this.script.reactions : {};
    const take = (recipient: string): void => void this.#taken.set(recipient, this.takenFor(recipient) + 1);
    void new Connection(socketWire(socket), this.script, reactions, take).run();
  }
}

/** Thrown when the script has ended for a connection. */
class Over extends Error {}

/** The first reply of a text, if it is complete: all its lines have the same code, and the last one ends. */
const COMPLETE = /^(?:(\d\d\d)-[^\n]*\n)*?(\d\d\d)(?: [^\n]*)?\r?\n/;

class Connection {
  readonly #wire: Wire;
  readonly #script: Script;
  readonly #reactions: Script["reactions"];
  readonly #take: (recipient: string) => void;
  readonly #counts = new Map<string, number>();
  #pending = "";
  #ended = false;
  #from: string | undefined;
  #recipients: string[] = [];

  constructor(wire: Wire, script: Script, reactions: Script["reactions"], take: (recipient: string) => void) {
    this.#wire = wire;
    this.#script = script;
    this.#reactions = reactions;
    this.#take = take;
  }

  async run(): Promise<void> {
    try {
      await this.#answer("greeting", "220 scripted.test ESMTP");
      for (;;) await this.#command(await this.#until("\n"));
    } catch (error) {
      if (!(error instanceof Over)) throw error;
    }
    while (!this.#ended) await this.#read();
    this.#wire.halfClose();
    this.#wire.destroy();
  }

  async #command(line: string): Promise<void> {
    switch (line.slice(0, 4).trimEnd().toUpperCase()) {
      case "EHLO":
      case "LHLO":
        return this.#hello("EHLO", ["scripted.test", ...this.#script.offers]);
      case "HELO":
        return this.#hello("HELO", ["scripted.test"]);
      case "MAIL":
        if (await this.#answer("MAIL", "250 2.1.0 sender ok")) this.#from = addressIn(line);
        return;
      case "RCPT":
        return this.#rcpt(addressIn(line));
      case "DATA":
        return this.#data();
      case "BDAT":
        return this.#chunk(line);
      case "RSET":
        this.#forget();
        return this.#say("250 2.0.0 reset\r\n");
      case "NOOP":
        return this.#say("250 2.0.0 ok\r\n");
      case "QUIT":
        await this.#answer("QUIT", "221 2.0.0 bye");
        this.#wire.halfClose();
        throw new Over();
      default:
        return this.#say("500 5.5.2 what\r\n");
    }
  }

  async #hello(place: string, lines: readonly string[]): Promise<void> {
    this.#forget();
    const reply = lines.map((line, index) => `250${index < lines.length - 1 ? "-" : " "}${line}`).join("\r\n");
    await this.#answer(place, reply);
  }

  async #rcpt(address: string): Promise<void> {
    if (await this.#answer("RCPT", this.#from === undefined ? "503 5.5.1 MAIL first" : "250 2.1.5 recipient ok")) {
      this.#recipients.push(address);
    }
  }

  async #data(): Promise<void> {
    const good = this.#recipients.length === 0 ? "554 5.5.1 no valid recipients" : "354 go on";
    if (!(await this.#answer("DATA", good))) return;
    await this.#interrupt();
    while (this.#pending.length < 3) await this.#readOrOver();
    if (this.#pending.startsWith(".\r\n")) this.#cut(3);
    else await this.#skipUntil("\r\n.\r\n");
    await this.#endMessage();
  }

  async #chunk(line: string): Promise<void> {
    const [, bytes = "0", last] = /^BDAT (\d+)( LAST)?/i.exec(line) ?? [];
    await this.#interrupt();
    await this.#skip(Number(bytes));
    if (last === undefined) return this.#say("250 2.0.0 chunk\r\n");
    await this.#endMessage();
  }

  /** Plays the script's interruption of the message, if it has one. */
  async #interrupt(): Promise<void> {
    const reaction = this.#reactions["body"];
    if (reaction === undefined) return;
    while (this.#pending.length < INTERRUPTED_AT) await this.#readOrOver();
    await this.#react(reaction, "");
    // The client fills the buffers meanwhile, and has time to notice the reply.
    await new Promise((resolve) => setTimeout(resolve, READS_ON_AFTER));
  }

  /** At the end of the message: accepts it or not, and replies as in the script. */
  async #endMessage(): Promise<void> {
    const recipients = this.#recipients;
    const good = recipients.length === 0 ? "554 5.5.1 no valid recipients" : "250 2.0.0 queued";
    this.#forget();
    if (this.#script.protocol === "smtp") {
      await this.#answer(".", good, () => recipients.forEach(this.#take));
      return;
    }
    for (const recipient of recipients) await this.#answer(".", good, () => this.#take(recipient));
  }

  #forget(): void {
    this.#from = undefined;
    this.#recipients = [];
  }

  /** Replies as in the script; returns whether the reply is positive. */
  async #answer(place: string, good: string, take: () => void = () => {}): Promise<boolean> {
    const count = (this.#counts.get(place) ?? 0) + 1;
    this.#counts.set(place, count);
    const reaction = this.#reactions[`${place} ${count}`] ?? this.#reactions[place] ?? { says: "{good}" };
    const said = filled(reaction.says, good);
    const positive = isPositive(said, place);
    if (reaction.takes ?? positive) take();
    await this.#react(reaction, good);
    return positive;
  }

  async #react({ says, next }: Reaction, good: string): Promise<void> {
    const said = filled(says, good);
    if (said !== "") await this.#say(said);
    if (next === undefined) return;
    if (next === "reset") this.#wire.reset();
    if (next === "close") this.#wire.halfClose();
    throw new Over();
  }

  #say(text: string): Promise<void> {
    return this.#wire.write(new TextEncoder().encode(text));
  }

  async #until(end: string): Promise<string> {
    for (;;) {
      const at = this.#pending.indexOf(end);
      if (at >= 0) return this.#cut(at + end.length);
      await this.#readOrOver();
    }
  }

  /** The same, but discards the text. */
  async #skipUntil(end: string): Promise<void> {
    for (;;) {
      const at = this.#pending.indexOf(end);
      if (at >= 0) return void this.#cut(at + end.length);
      this.#cut(Math.max(0, this.#pending.length - end.length));
      await this.#readOrOver();
    }
  }

  async #skip(bytes: number): Promise<void> {
    for (let left = bytes; ; ) {
      left -= this.#cut(left).length;
      if (left === 0) return;
      await this.#readOrOver();
    }
  }

  #cut(length: number): string {
    const head = this.#pending.slice(0, length);
    this.#pending = this.#pending.slice(length);
    return head;
  }

  async #readOrOver(): Promise<void> {
    if (this.#ended) throw new Over();
    await this.#read();
  }

  async #read(): Promise<void> {
    const bytes = await this.#wire.read();
    if (typeof bytes === "string") this.#ended = true;
    else this.#pending += Buffer.from(bytes).toString("latin1");
  }
}

/** The text of a reaction, with the right reply in place of `{good}`, `{bare}` and `{code}`. */
function filled(says: string, good: string): string {
  return says.replaceAll("{good}", `${good}\r\n`).replaceAll("{bare}", good).replaceAll("{code}", good.slice(0, 3));
}

/** Whether this reply accepts the command at this place. */
function isPositive(said: string, place: string): boolean {
  const [, , code = ""] = COMPLETE.exec(said) ?? [];
  return place === "DATA" ? code === "354" : code.startsWith("2");
}

function addressIn(line: string): string {
  return /<(.*?)>/.exec(line)?.[1] ?? "";
}
