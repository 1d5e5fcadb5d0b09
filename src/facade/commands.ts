/** The methods that say one command each, and those by which the caller speaks for himself. */

import type { Content } from "../client/content.ts";
import { missingAfter } from "../client/hello-refused.ts";
import { nextReply, putCommand, sendRaw } from "../client/raw.ts";
import { sendData } from "../client/send-data.ts";
import type { Session } from "../client/session.ts";
import { asciiHostName, isAscii } from "../core/a-label.ts";
import { parseMailbox } from "../core/address.ts";
import { checkArgument, quoted, utf8, wrongType } from "../core/bytes.ts";
import { Command } from "../core/command.ts";
import { offers } from "../core/features.ts";
import { ownCommand, ownResponse } from "../core/own-command.ts";
import { asServerTakesIt, type EightBitPolicy, type EsmtpParameters, type Server } from "../core/plan.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPNotSupportedError } from "../errors.ts";
import { checkHostName } from "./options.ts";

/** Says single commands in a session. */
export class Commands {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** HELO or EHLO, with a name of the caller's if he gives one. */
  async hello(verb: "EHLO" | "HELO", name = ""): Promise<Reply> {
    const own = name === "" ? undefined : asciiHostName(checkHostName(name, "name"), "name");
    return this.#session.hello(verb, own);
  }

  /** EHLO, and HELO if that is refused, unless one of them was said. */
  async helloIfNeeded(): Promise<void> {
    this.#session.requireConnection();
    const { ehlo, helo } = this.#session.serverInfo;
    if (ehlo === undefined && helo === undefined) await this.#session.helloIfNeeded();
  }

  /** MAIL. */
  async mail(sender: string, parameters: EsmtpParameters): Promise<Reply> {
    const mailbox = parseMailbox(sender, "sender");
    const command = this.#forServer((server) => {
      const given = parameters(server);
      // RFC 6531 3.4: a local part that is not ASCII has to be announced.
      const box = asServerTakesIt(mailbox, server);
      const announced =
        box.ascii || given.some((parameter) => parameter.toUpperCase() === "SMTPUTF8") ? given : [...given, "SMTPUTF8"];
      return Command.mail(box, announced);
    });
    return this.#session.requireConnection().request(command);
  }

  /** RCPT. */
  async rcpt(recipient: string, parameters: EsmtpParameters): Promise<Reply> {
    const mailbox = parseMailbox(recipient, "recipient");
    const command = this.#forServer((server) => {
      const given = parameters(server);
      return Command.rcpt(asServerTakesIt(mailbox, server), given);
    });
    return this.#session.requireConnection().request(command);
  }

  /** DATA and the message; the last reply is what it comes to. */
  async data(content: Content, policy: EightBitPolicy = "refuse"): Promise<Reply> {
    return this.#forServer(() => sendData(this.#session, content, policy));
  }

  /**
   * VRFY and EXPN, of an address or of a name that is none (RFC 5321 4.1.1.6).
   * @throws {RangeError} if it is neither
   * @throws {SMTPNotSupportedError} if it is not ASCII and the server lacks SMTPUTF8; a domain goes as A-labels
   */
  async ask(verb: "VRFY" | "EXPN", address: string): Promise<Reply> {
    return this.docmd(
      verb,
      this.#forServer((server) => questionFor(address, server)),
    );
  }

  /** Any command but STARTTLS. */
  async docmd(verb: string, args: string): Promise<Reply> {
    const command = ownCommand(verb, args);
    if (command.verb === "STARTTLS") throw new RangeError("the command STARTTLS needs a handshake: call starttls()");
    const connection = this.#session.requireConnection();
    // In the middle of docmd("AUTH", …) it is no command, but the answer to a challenge, and a secret.
    return connection.request(connection.dialogue.position === "auth" ? ownResponse(verb) : command);
  }

  /** Any command; its reply is for `getreply`. */
  async putcmd(verb: string, args: string): Promise<void> {
    const command = ownCommand(verb, args);
    return putCommand(this.#session.requireConnection(), command);
  }

  /** The next reply. */
  async getreply(): Promise<Reply> {
    return nextReply(this.#session.requireConnection());
  }

  /** Octets as they are. */
  async send(bytes: unknown): Promise<void> {
    const octets = typeof bytes === "string" ? utf8(bytes) : bytes;
    if (!(octets instanceof Uint8Array)) throw wrongType("bytes", "a string or a Uint8Array", bytes);
    return sendRaw(this.#session.requireConnection(), octets, `${octets.length} octets`);
  }

  /**
   * Makes something that depends on what the server offers. Where a call lacks an extension because EHLO was not sent
   * yet in this session, or was refused, the error says that; without a session, that there is none.
   */
  #forServer<T>(make: (server: Server) => T): T {
    const { serverInfo } = this.#session;
    try {
      return make(serverInfo);
    } catch (error) {
      if (!(error instanceof SMTPNotSupportedError)) throw error;
      this.#session.requireConnection(error.delivery);
      if (serverInfo.ehlo !== undefined) throw missingAfter(serverInfo.refusedHello, error);
      const { capability, delivery } = error;
      const what = capability === undefined ? "an extension" : `the extension ${capability}`;
      throw new SMTPNotSupportedError(
        `this needs ${what}, and what the server offers is not known before EHLO: call ehlo() first`,
        { capability, delivery, cause: error },
      );
    }
  }
}

/** One argument. RFC 6531 3.7.4.2: what is not ASCII is announced by SMTPUTF8 behind it. */
function questionFor(address: unknown, { features }: Server): string {
  const text = checkArgument(address, "address").trim();
  const question = pathIn(text) ?? nameIn(text);
  if (question === undefined) {
    throw new RangeError(`address must be one address, or a name without special characters: ${quoted(address)}`);
  }
  if (isAscii(question)) return question;
  if (offers(features, "SMTPUTF8")) return `${question} SMTPUTF8`;
  const message = `the address ${quoted(question)} needs the extension SMTPUTF8, which the server does not offer`;
  throw new SMTPNotSupportedError(message, { capability: "SMTPUTF8" });
}

/** The path of an address, without angle brackets, as in Python; the null path keeps them. */
function pathIn(text: string): string | undefined {
  try {
    const mailbox = parseMailbox(text, "address");
    if (mailbox.path === "") return text === "" ? undefined : "<>";
    return (mailbox.toAscii?.() ?? mailbox).path;
  } catch {
    return undefined; // a name that is no address
  }
}

/** A name as RFC 5321's String: of several words in quotes, so that none is taken for a parameter. */
function nameIn(text: string): string | undefined {
  if (/^"(?:[^"\\]|\\.)*"$/.test(text)) return text;
  if (text === "" || /[()<>[\]:;,@\\"]/.test(text)) return undefined;
  return /\s/.test(text) ? `"${text}"` : text;
}
