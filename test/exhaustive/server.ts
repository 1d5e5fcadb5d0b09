/**
 * The server of an exploration: it answers a command when and as the exploration decides, and can at any time do what a
 * server should not do.
 */
import type { MemoryStream } from "../../transports/memory.ts";
import { CommandReader, type Item } from "./command-reader.ts";
import { MailStore, type Taken } from "./mail-store.ts";

/** The possible answers in place of a reply: the classes of RFC 5321 4.2.1, and answers that are no replies. */
const ANSWERS = ["ok", "3yz", "4yz", "5yz", "421", "garbage", "half", "half 5yz"] as const;

/** Further answers to some verbs. */
const MORE: Readonly<Record<string, readonly string[]>> = {
  greeting: ["2yz"],
  RCPT: ["452"],
  DATA: ["2yz"],
  BDAT: ["500"],
  LAST: ["500"],
  QUIT: ["2yz"],
};

/** The settings of a server. */
export type ServerSettings = {
  readonly protocol: "smtp" | "lmtp";
  readonly extensions: readonly string[];
  readonly readsLate: boolean;
};

const encoder = new TextEncoder();

/** The possible replies to a content before its end. */
const EARLY: readonly string[] = ["early 552", "early 250", "early 421", "early half"];

/** The number of missing characters of half a reply: its last letters and CRLF. */
const REST = 4;

/** One connection, from the server's side. */
export class ScriptedServer {
  readonly reader: CommandReader = new CommandReader();
  /** The complete replies that were sent: code and text. */
  readonly said: Set<string> = new Set();
  /** The number of bytes read. */
  received = 0;
  state: "open" | "ended" | "reset" = "open";
  /** How the client ended the connection. */
  gone: "ended" | "reset" | undefined;
  readonly #stream: MemoryStream;
  readonly #settings: ServerSettings;
  readonly #store: MailStore;
  #half: { readonly lines: readonly string[]; readonly done: () => void } | undefined;
  #letRead: () => void = () => {};
  /** The bytes for the next packet. */
  #held = "";
  #holds = false;

  constructor(stream: MemoryStream, settings: ServerSettings) {
    this.#stream = stream;
    this.#settings = settings;
    this.#store = new MailStore(settings.protocol === "lmtp");
    void this.#read();
  }

  /** The first unanswered command. */
  get head(): Item | undefined {
    return this.reader.queue[0];
  }

  /** True if only a part of a reply was sent. */
  get halfSent(): boolean {
    return this.#half !== undefined;
  }

  /** The accepted messages, once for each recipient. */
  get taken(): readonly Taken[] {
    return this.#store.taken;
  }

  /** The messages that the server may have accepted, or may still accept from what it has received. */
  mayTake(): Taken[] {
    return this.#store.mayTake(this.reader.queue);
  }

  /** The possible actions of the server; `unread` is the number of bytes that it has not read. */
  choices(unread: number): string[] {
    if (this.state !== "open" || this.gone !== undefined) return [];
    const always = ["hang up", "reset"];
    if (this.#settings.readsLate && unread > 0) always.push("read");
    if (this.#half !== undefined) return ["rest", ...always];
    const { head, reader } = this;
    if (head === undefined) {
      // The unread bytes may be a command, to which the client would match this reply.
      if (unread > 0) return always;
      const unasked = reader.inContent ? EARLY : ["say 250", "say half", "say 421"];
      return [...unasked, ...always];
    }
    const all = reader.queue.length > 1 ? ["all ok"] : [];
    const nobody = this.#store.nobody && /^(DATA|\.)$/.test(head.verb) ? ["yes"] : [];
    return [...ANSWERS, ...all, ...nobody, ...(MORE[head.verb] ?? []), ...always];
  }

  /** Performs one of the choices; `more` follows in the same packet. */
  act(choice: string, more: boolean): void {
    this.#holds = more;
    if (/^(hang up|reset|read)$/.test(choice)) this.release();
    this.#act(choice);
    this.#absorbEnd();
  }

  /** Sends the bytes that were held back for a packet. */
  release(): void {
    const text = this.#held;
    this.#held = "";
    this.#holds = false;
    if (text !== "") void this.#stream.write(encoder.encode(text))?.catch(() => {});
  }

  #act(choice: string): void {
    const { transaction } = this.reader;
    const [, code] = choice.split(" ");
    const early = (code: number) => (): void => {
      if (transaction) transaction.early = code;
    };
    switch (choice) {
      case "hang up":
        this.state = "ended";
        return this.#stream.end();
      case "reset":
        this.state = "reset";
        return this.#stream.abort(new Error("the server resets the connection"));
      case "read":
        return this.#letRead();
      case "rest":
        return this.#rest();
      case "all ok":
        return this.#answerAll();
      case "early 552":
      case "early 250":
      case "early 421":
        return this.#say([`${code} EARLY ${transaction?.from}`], early(Number(code)));
      case "early half":
        return this.#sayHalf([`552 EARLY ${transaction?.from}`], early(552));
      case "say half":
        return this.#sayHalf(["550 SURPLUS"], () => {});
      case "say 250":
      case "say 421":
        return this.#say([`${code} SURPLUS`], () => {});
      default:
        return this.#answer(choice);
    }
  }

  /** Everything that decides the server's next actions and their effects. */
  toString(): string {
    return `${this.state} ${this.gone} ${this.#half?.lines} ${this.#held} ${this.reader} ${this.#store}`;
  }

  /** Lets a server that reads late read. */
  letRead(): void {
    this.#letRead();
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        if (this.#settings.readsLate) await this.#turn();
        const bytes = await this.#stream.read();
        if (bytes === null) {
          this.gone = "ended";
          return;
        }
        this.received += bytes.length;
        this.reader.push(Buffer.from(bytes).toString("latin1"));
        this.#absorbEnd();
      }
    } catch {
      this.gone = "reset";
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#letRead = resolve;
    });
  }

  #answer(choice: string): void {
    const item = this.head;
    if (item === undefined) throw new Error(`nothing is to be answered by "${choice}"`);
    if (choice === "garbage") {
      this.#store.answeredOddly(item);
      this.reader.queue.shift();
      return this.#write("what?\r\n");
    }
    const half = choice.startsWith("half");
    const code = this.#codeOf(item, half ? choice.slice(5) || "ok" : choice);
    const lines = this.#linesOf(item, code);
    const done = (): void => this.#done(item, code);
    if (half) this.#sayHalf(lines, done);
    else this.#say(lines, done);
  }

  #answerAll(): void {
    let text = "";
    for (let item = this.head; item !== undefined; item = this.head) {
      const code = this.#store.rightCode(item);
      text += this.#sent(this.#linesOf(item, code));
      this.#done(item, code);
    }
    this.#write(text);
  }

  #done(item: Item, code: number): void {
    if (this.#store.answered(item, code)) this.reader.queue.shift();
    if (item.verb === "DATA") this.reader.dataAnswered(code);
  }

  #codeOf(item: Item, choice: string): number {
    const { verb } = item;
    switch (choice) {
      case "ok":
        return this.#store.rightCode(item);
      case "yes":
        return verb === "DATA" ? 354 : 250;
      case "2yz":
        return verb === "greeting" ? 250 : 299;
      case "3yz":
        return verb === "DATA" ? 334 : 354;
      case "4yz":
        return 450;
      case "5yz":
        return verb === "greeting" ? 554 : /LO$/.test(verb) ? 502 : 550;
      default:
        return Number(choice);
    }
  }

  /** The lines of a reply; in LMTP the text of a reply to the end names the recipient. */
  #linesOf({ verb, label }: Item, code: number): string[] {
    const recipient = /^(\.|LAST)$/.test(verb) ? this.#store.nextVerdictFor : undefined;
    const extensions = /^[EL]HLO$/.test(verb) && code === 250 ? this.#settings.extensions : [];
    const texts = [recipient === undefined ? label : `${verb} ${recipient}`, ...extensions];
    return texts.map((text, at) => `${code}${at < texts.length - 1 ? "-" : " "}${text}`);
  }

  #say(lines: readonly string[], done: () => void): void {
    this.#write(this.#sent(lines));
    done();
  }

  #sayHalf(lines: readonly string[], done: () => void): void {
    const text = textOf(lines);
    this.#half = { lines, done };
    this.#write(text.slice(0, -REST));
  }

  #rest(): void {
    if (this.#half === undefined) return;
    const { lines, done } = this.#half;
    this.#half = undefined;
    this.#write(this.#sent(lines).slice(-REST));
    done();
  }

  /** The text of a reply that is complete with these bytes; records the reply. */
  #sent(lines: readonly string[]): string {
    this.said.add(`${lines[0]?.slice(0, 3)} ${lines[0]?.slice(4)}`);
    return textOf(lines);
  }

  #write(text: string): void {
    this.#held += text;
    if (!this.#holds) this.release();
  }

  /** Discards the end of a content that was answered early: it gets no other reply. */
  #absorbEnd(): void {
    const { head } = this;
    const early = head?.verb === "." ? head.transaction?.early : undefined;
    if (head === undefined || early === undefined || this.halfSent) return;
    this.reader.queue.shift();
    while (!this.#store.answered(head, early));
  }
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\r\n`).join("");
}
