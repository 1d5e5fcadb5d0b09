/** The methods of `SMTP` that send one command each, and the properties from the reply to EHLO. */
import { withCallers } from "../client/caller-stack.ts";
import type { Client } from "../client/client.ts";
import { type Body, contentOf, discard } from "../client/content.ts";
import { parseMailbox } from "../core/address.ts";
import { checkArgument } from "../core/bytes.ts";
import type { RcptOptions } from "../core/extensions/extension.ts";
import type { Features } from "../core/features.ts";
import { ownCommand } from "../core/own-command.ts";
import type { EightBitPolicy, Options } from "../core/plan.ts";
import type { Reply } from "../core/reply.ts";
import { Commands, checkBytes, checkCommand, checkHelloName, checkQuestion } from "./commands.ts";
import type { Deliver } from "./delivery.ts";
import { mailParametersOf, rcptParametersOf } from "./envelope.ts";
import { Sender } from "./sender.ts";

/** Python's methods for single commands. */
export abstract class SMTPCommands extends Sender {
  readonly #client: Client;
  readonly #eightBit: EightBitPolicy | undefined;

  /** @param eightBit - the option of the same name, for `data()` */
  constructor(client: Client, deliver: Deliver, eightBit: EightBitPolicy | undefined) {
    super(deliver);
    this.#client = client;
    this.#eightBit = eightBit;
  }

  /** Sends HELO (RFC 5321 4.1.1.1). */
  async helo(name?: string): Promise<Reply> {
    const own = checkHelloName(name);
    return await this.#call((commands) => commands.hello("HELO", own));
  }

  /** Sends EHLO, or LHLO in LMTP, and stores the extensions that the server offers (RFC 5321 4.1.1.1, RFC 2033 4.1). */
  async ehlo(name?: string): Promise<Reply> {
    const own = checkHelloName(name);
    return await this.#call((commands) => commands.hello("EHLO", own));
  }

  /**
   * Sends EHLO, and HELO if the server refuses EHLO, unless one of them was sent in this session.
   * @throws {SMTPHeloError} if the server refuses both
   */
  ehlo_or_helo_if_needed(): Promise<void> {
    return this.#call((commands) => commands.helloIfNeeded());
  }

  /** Whether the server offers an extension; the name is case-insensitive. */
  has_extn(name: string): boolean {
    return checkArgument(name, "name").toLowerCase() in this.esmtp_features;
  }

  /** Sends MAIL FROM: begins a transaction (RFC 5321 4.1.1.2). As in Python, a server without ESMTP gets no options. */
  async mail(sender: string, options: Options = []): Promise<Reply> {
    const parameters = mailParametersOf(options);
    const mailbox = parseMailbox(sender, "sender");
    return await this.#call((commands) => commands.mail(mailbox, parameters));
  }

  /** Sends RCPT TO: adds a recipient (RFC 5321 4.1.1.3). */
  async rcpt(recipient: string, options: Options<RcptOptions> = []): Promise<Reply> {
    const parameters = rcptParametersOf(options);
    const mailbox = parseMailbox(recipient, "recipient");
    return await this.#call((commands) => commands.rcpt(mailbox, parameters));
  }

  /**
   * Sends DATA and the message (RFC 5321 4.1.1.4).
   * @returns the reply to the message, whatever its code; in LMTP the last of the replies
   * @throws {SMTPDataError} if the reply to DATA is not 354
   */
  async data(message: Body): Promise<Reply> {
    const content = contentOf(message, "message");
    try {
      return await this.#call((commands) => commands.data(content, this.#eightBit));
    } catch (error) {
      discard(content);
      throw error;
    }
  }

  /** Sends RSET: ends the transaction without delivery (RFC 5321 4.1.1.5). */
  rset(): Promise<Reply> {
    return this.docmd("RSET");
  }

  /** Sends NOOP (RFC 5321 4.1.1.9). */
  noop(): Promise<Reply> {
    return this.docmd("NOOP");
  }

  /**
   * Sends VRFY: asks whether an address or a name exists (RFC 5321 4.1.1.6). A name of several words is sent in quotes.
   * @throws {RangeError} if the argument is neither
   * @throws {SMTPNotSupportedError} if it is not ASCII and the server lacks SMTPUTF8; a domain is sent as A-labels
   */
  async verify(address: string): Promise<Reply> {
    const question = checkQuestion(address);
    return await this.#call((commands) => commands.ask("VRFY", question));
  }

  /** The same as `verify()`. */
  vrfy(address: string): Promise<Reply> {
    return this.verify(address);
  }

  /**
   * Sends EXPN: asks for the members of a mailing list (RFC 5321 4.1.1.7).
   * @throws the errors of `verify`
   */
  async expn(address: string): Promise<Reply> {
    const question = checkQuestion(address);
    return await this.#call((commands) => commands.ask("EXPN", question));
  }

  /** Sends HELP (RFC 5321 4.1.1.8); resolves with the text of the reply. */
  async help(args = ""): Promise<string> {
    const [, text] = await this.docmd("HELP", args);
    return text;
  }

  /** Sends any command except STARTTLS, which needs `starttls()`; resolves with the reply. */
  async docmd(verb: string, args = ""): Promise<Reply> {
    const command = checkCommand(verb, args);
    return await this.#call((commands) => commands.docmd(verb, command));
  }

  /** Sends any command, without waiting for the reply: call `getreply()` for it. */
  async putcmd(verb: string, args = ""): Promise<void> {
    const command = ownCommand(verb, args);
    return await this.#call((commands) => commands.putcmd(command));
  }

  /** Waits for the next reply of the server. */
  getreply(): Promise<Reply> {
    return this.#call((commands) => commands.getreply());
  }

  /** Sends bytes unchanged; "" sends nothing, and throws if there is no session. */
  async send(bytes: string | Uint8Array): Promise<void> {
    const octets = checkBytes(bytes);
    return await this.#call((commands) => commands.send(octets));
  }

  /** True after a successful EHLO. */
  get does_esmtp(): boolean {
    return this.#client.session.serverInfo.esmtp;
  }

  /** The parameters of each EHLO keyword, in lower case; the object has no prototype. */
  get esmtp_features(): Features {
    return this.#client.session.serverInfo.features;
  }

  /** The text of the reply to EHLO. */
  get ehlo_resp(): string | undefined {
    return this.#client.session.serverInfo.ehlo;
  }

  /** The text of the reply to HELO. */
  get helo_resp(): string | undefined {
    return this.#client.session.serverInfo.helo;
  }

  /** Runs a task as one call of the session. */
  #call<T>(task: (commands: Commands) => Promise<T>): Promise<T> {
    return withCallers(this.#client.exclusively((session) => task(new Commands(session))));
  }
}
