/** One connection to the test server: the dialogue of RFC 5321, with the requested answers. */

import { concat } from "../core/bytes.ts";
import type { AnswerContext, Reaction, Stage } from "./answers.ts";
import { type Account, claimOf, isRight, MECHANISMS } from "./auth.ts";
import { Incoming } from "./incoming.ts";
import { makeMessage, type TestMessage, type TestRecipient } from "./message.ts";
import { Outgoing, SessionOver } from "./outgoing.ts";
import { type Path, parsePath, splitOnce } from "./path.ts";
import type { Pauses } from "./pauses.ts";
import type { ServerStream } from "./server-stream.ts";

/** The part of the server that a session needs. */
export type ServerHooks = {
  readonly name: string;
  readonly extensions: readonly string[];
  readonly starttls: "offered" | "refused" | "absent";
  readonly account: Account | undefined;
  readonly protocol: "smtp" | "lmtp" | undefined;
  readonly pauses: Pauses;
  answer(stage: Stage, context: AnswerContext): Promise<Reaction | undefined>;
  heard(line: string): void;
  take(message: TestMessage): void;
};

type Transaction = {
  from: string;
  parameters: Readonly<Record<string, string | true>>;
  recipients: TestRecipient[];
  chunks: Uint8Array[];
};

/** The keyword that permits a parameter of MAIL or RCPT. */
const EXTENSION_OF: Readonly<Record<string, string>> = {
  SIZE: "SIZE",
  BODY: "8BITMIME",
  SMTPUTF8: "SMTPUTF8",
  RET: "DSN",
  ENVID: "DSN",
  NOTIFY: "DSN",
  ORCPT: "DSN",
  AUTH: "AUTH",
  BY: "DELIVERBY",
  HOLDFOR: "FUTURERELEASE",
  HOLDUNTIL: "FUTURERELEASE",
};

/** Plays the server's part. */
export class TestSession {
  /** Set once the client uses TLS, or simulates it. */
  secure = false;
  readonly #hooks: ServerHooks;
  readonly #number: number;
  readonly #incoming: Incoming;
  readonly #outgoing: Outgoing;
  readonly #stream: ServerStream;
  #hello: "EHLO" | "HELO" | "LHLO" | undefined;
  #user: string | undefined;
  #transaction: Transaction | undefined;

  constructor(stream: ServerStream, hooks: ServerHooks, number: number) {
    this.#stream = stream;
    this.#hooks = hooks;
    this.#number = number;
    this.#incoming = new Incoming(stream);
    this.#outgoing = new Outgoing(stream, hooks.pauses);
  }

  /** Runs the dialogue until one side ends the connection. */
  async run(): Promise<void> {
    try {
      await this.#say("connect", `220 ${this.#hooks.name} ESMTP test server`);
      for (let line = await this.#incoming.line(); line !== undefined; line = await this.#incoming.line()) {
        await this.#command(line);
      }
    } catch (error) {
      if (!(error instanceof SessionOver)) throw error;
    }
  }

  async #command(line: string): Promise<void> {
    const [verb = "", argument = ""] = splitOnce(line);
    this.#hooks.heard(verb.toUpperCase() === "AUTH" ? line.replace(/^(\S+ \S+) .*/, "$1 ***") : line);
    switch (verb.toUpperCase()) {
      case "EHLO":
      case "LHLO":
      case "HELO":
        return this.#greet(verb.toUpperCase(), line);
      case "STARTTLS":
        return this.#startTls(line);
      case "AUTH":
        return this.#auth(argument);
      case "MAIL":
        return this.#mail(line);
      case "RCPT":
        return this.#rcpt(line);
      case "DATA":
        return this.#data(line);
      case "BDAT":
        return this.#bdat(line, argument);
      case "RSET":
        this.#transaction = undefined;
        return void (await this.#say("rset", "250 2.0.0 OK", { line }));
      case "NOOP":
        return void (await this.#say("other", "250 2.0.0 OK", { line }));
      case "VRFY":
        return void (await this.#say("other", "252 2.1.5 send it, and see", { line }));
      case "QUIT":
        await this.#say("quit", "221 2.0.0 bye", { line });
        return void (await this.#outgoing.react({ end: "close" }, ""));
      default:
        return void (await this.#say("other", "500 5.5.2 command not recognized", { line }));
    }
  }

  async #greet(verb: string, line: string): Promise<void> {
    const { name, extensions, starttls, account, protocol } = this.#hooks;
    if (protocol !== undefined && (verb === "LHLO") !== (protocol === "lmtp")) {
      // RFC 2033 4.1: neither protocol has the greeting command of the other.
      return void (await this.#say("other", `500 5.5.1 this is ${protocol.toUpperCase()}`, { line }));
    }
    const offers = [
      ...extensions,
      ...(starttls === "absent" || this.secure ? [] : ["STARTTLS"]),
      ...(account === undefined ? [] : [`AUTH ${MECHANISMS.join(" ")}`]),
    ];
    const text = verb === "HELO" ? name : [name, ...offers].join("\n");
    const code = await this.#say("ehlo", `250 ${text}`, { line });
    if (code < 200 || code > 299) return;
    this.#hello = verb === "HELO" ? "HELO" : verb === "LHLO" ? "LHLO" : "EHLO";
    this.#transaction = undefined;
  }

  async #startTls(line: string): Promise<void> {
    const { starttls } = this.#hooks;
    const usual =
      starttls === "offered" && !this.secure
        ? "220 2.0.0 go ahead"
        : starttls === "refused"
          ? "454 4.7.0 TLS not available"
          : "502 5.5.1 STARTTLS not offered";
    const code = await this.#say("starttls", usual, { line });
    if (code !== 220) return;
    this.#hello = undefined;
    this.#transaction = undefined;
    this.#user = undefined;
    if (this.#stream.startTls === undefined) return;
    this.#incoming.discard();
    await this.#stream.startTls().catch((reason) => {
      this.#stream.abort(reason);
      throw new SessionOver();
    });
    this.secure = true;
  }

  async #auth(argument: string): Promise<void> {
    const [mechanism = "", initial] = splitOnce(argument);
    const name = mechanism.toUpperCase();
    const line = `AUTH ${name}`;
    const { account } = this.#hooks;
    const refuse = async (reply: string): Promise<void> => void (await this.#say("auth", reply, { line }));
    if (account === undefined) return refuse("502 5.5.1 AUTH not offered");
    if (this.#user !== undefined) return refuse("503 5.5.1 logged in already");
    if (!MECHANISMS.includes(name)) return refuse("504 5.5.4 mechanism not offered");
    const claim = await claimOf(name, initial, async (challenge) => {
      await this.#outgoing.react(`334 ${challenge}`, "");
      const response = await this.#incoming.line();
      if (response === undefined) throw new SessionOver();
      this.#hooks.heard("***");
      return response;
    });
    if (claim === "cancelled") return refuse("501 5.0.0 cancelled");
    if (claim === undefined) return refuse("501 5.5.2 that is no response");
    const right = await isRight(account, claim.user, claim.password);
    const code = await this.#say("auth", right ? "235 2.7.0 welcome" : "535 5.7.8 wrong user or password", { line });
    if (code === 235) this.#user = claim.user;
  }

  async #mail(line: string): Promise<void> {
    const path = parsePath(line, "MAIL FROM:");
    const usual = this.#faultOfMail(path) ?? "250 2.1.0 OK";
    const code = await this.#say("mail", usual, { line, ...path });
    if (path === undefined || code < 200 || code > 299) return;
    this.#transaction = { from: path.address, parameters: path.parameters, recipients: [], chunks: [] };
  }

  #faultOfMail(path: Path | undefined): string | undefined {
    if (this.#hello === undefined) return "503 5.5.1 say EHLO first";
    if (this.#hooks.account !== undefined && this.#user === undefined) return "530 5.7.0 log in first";
    if (this.#transaction !== undefined) return "503 5.5.1 a transaction is open";
    if (path === undefined) return "501 5.5.4 MAIL FROM:<address> expected";
    const limit = this.#sizeLimit;
    if (limit > 0 && Number(path.parameters["SIZE"] ?? 0) > limit) return "552 5.3.4 message too big";
    return this.#faultOfParameters(path);
  }

  async #rcpt(line: string): Promise<void> {
    const path = parsePath(line, "RCPT TO:");
    const usual =
      this.#transaction === undefined
        ? "503 5.5.1 say MAIL first"
        : path === undefined || path.address === ""
          ? "501 5.5.4 RCPT TO:<address> expected"
          : (this.#faultOfParameters(path) ?? "250 2.1.5 OK");
    const code = await this.#say("rcpt", usual, { line, ...path });
    if (path !== undefined && code >= 200 && code <= 299) this.#transaction?.recipients.push(path);
  }

  #faultOfParameters({ address, parameters }: Path): string | undefined {
    const unknown = Object.keys(parameters).find((name) => !this.#offers(EXTENSION_OF[name] ?? name));
    if (unknown !== undefined) return `555 5.5.4 ${unknown} not offered`;
    const beyondAscii = /[^\x00-\x7f]/.test(address);
    return beyondAscii && !this.#offers("SMTPUTF8") ? "553 5.6.7 SMTPUTF8 not offered" : undefined;
  }

  #offers(keyword: string): boolean {
    if (keyword === "AUTH") return this.#hooks.account !== undefined;
    return this.#hooks.extensions.some((line) => line.split(/[ =]/, 1)[0]?.toUpperCase() === keyword);
  }

  get #sizeLimit(): number {
    const line = this.#hooks.extensions.find((one) => /^SIZE \d+$/i.test(one));
    return line === undefined ? 0 : Number(line.slice(5));
  }

  async #data(line: string): Promise<void> {
    const transaction = this.#transaction;
    const code = await this.#say("data", this.#faultOfData(transaction) ?? "354 end with a dot alone on its line", {
      line,
    });
    if (code !== 354) return;
    if (!(await this.#incoming.any())) throw new SessionOver();
    await this.#faultInBody();
    const content = await this.#incoming.message();
    if (content === undefined) throw new SessionOver();
    this.#transaction = undefined;
    if (transaction !== undefined) await this.#finish(transaction, content, "DATA");
    else await this.#say("message", "503 5.5.1 say MAIL first");
  }

  async #bdat(line: string, argument: string): Promise<void> {
    const [, digits, last] = /^(\d{1,15})( LAST)?$/i.exec(argument) ?? [];
    if (digits === undefined) return void (await this.#say("bdat", "501 5.5.4 BDAT length [LAST] expected", { line }));
    const size = Number(digits);
    if (size > 0 && !(await this.#incoming.any())) throw new SessionOver();
    await this.#faultInBody();
    const chunk = await this.#incoming.octets(size);
    if (chunk === undefined) throw new SessionOver();
    const transaction = this.#transaction;
    const fault = this.#offers("CHUNKING") ? this.#faultOfData(transaction) : "502 5.5.1 CHUNKING not offered";
    if (fault !== undefined || transaction === undefined) {
      return void (await this.#say(last === undefined ? "bdat" : "message", fault ?? "503 5.5.1 say MAIL first", {
        line,
      }));
    }
    transaction.chunks.push(chunk);
    if (last === undefined) {
      const code = await this.#say("bdat", `250 2.0.0 ${size} octets`, { line });
      if (code > 299) this.#transaction = undefined;
      return;
    }
    this.#transaction = undefined;
    await this.#finish(transaction, concat(transaction.chunks), "BDAT");
  }

  /** Sends a requested fault in the middle of a message, or an early reply; otherwise nothing. */
  async #faultInBody(): Promise<void> {
    const reaction = await this.#hooks.answer("body", this.#context({}));
    if (reaction !== undefined) await this.#outgoing.react(reaction, "451 4.3.0 enough");
  }

  #faultOfData(transaction: Transaction | undefined): string | undefined {
    if (transaction === undefined) return "503 5.5.1 say MAIL first";
    return transaction.recipients.length === 0 ? "554 5.5.1 no valid recipients" : undefined;
  }

  async #finish(transaction: Transaction, content: Uint8Array, command: "DATA" | "BDAT"): Promise<void> {
    const limit = this.#sizeLimit;
    const usual = limit > 0 && content.length > limit ? "552 5.3.4 message too big" : "250 2.0.0 taken";
    const { from, parameters, recipients } = transaction;
    const about = {
      from,
      parameters,
      content,
      command,
      secure: this.secure,
      user: this.#user,
      connection: this.#number,
    };
    // RFC 2033 4.2: LMTP answers for each recipient.
    const answers = this.#hello === "LHLO" ? recipients.map((one) => [one]) : [recipients];
    const accepted: TestRecipient[] = [];
    const message = makeMessage(about, recipients);
    for (const of of answers) {
      const context = { address: this.#hello === "LHLO" ? of[0]?.address : undefined, message };
      const reaction = await this.#hooks.answer("message", this.#context(context));
      // A server that fails in place of the answer has accepted the message, so that its outcome is unknown.
      const reply = typeof reaction === "string" ? reaction : (reaction?.reply ?? usual);
      if (reply.startsWith("2")) accepted.push(...of);
      // Before the reply: the client's program may look for the message at once.
      if (of === answers.at(-1) && accepted.length > 0) this.#hooks.take(makeMessage(about, accepted));
      await this.#outgoing.react(reaction, usual);
    }
  }

  async #say(stage: Stage, usual: string, about: Partial<AnswerContext> = {}): Promise<number> {
    return this.#outgoing.react(await this.#hooks.answer(stage, this.#context(about)), usual);
  }

  #context(about: Partial<AnswerContext>): AnswerContext {
    return {
      connection: this.#number,
      line: about.line ?? "",
      address: about.address,
      parameters: about.parameters ?? {},
      message: about.message,
    };
  }
}
