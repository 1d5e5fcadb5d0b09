/**
 * The methods that send one command each, and those by which the caller writes commands. What can be checked without the
 * server is checked when the method is called (`check…`); the command is made when its turn has come.
 */

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
import type { Mailbox } from "../core/mailbox.ts";
import { ownCommand, ownResponse } from "../core/own-command.ts";
import { asServerTakesIt, type EightBitPolicy, type EsmtpParameters, type Server } from "../core/plan.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPNotSupportedError } from "../errors.ts";
import { checkHostName } from "./options.ts";

/**
 * The name for EHLO or HELO, or undefined for the default.
 * @throws {TypeError} or {RangeError} if it cannot be one
 */
export function checkHelloName(name = ""): string | undefined {
  return name === "" ? undefined : asciiHostName(checkHostName(name, "name"), "name");
}

/**
 * A command in the caller's words.
 * @throws {TypeError} or {RangeError} if it cannot be a line, or is STARTTLS
 */
export function checkCommand(verb: string, args: string): Command {
  const command = ownCommand(verb, args);
  if (command.verb === "STARTTLS") throw new RangeError("the command STARTTLS needs a handshake: call starttls()");
  return command;
}

/**
 * The argument of VRFY and EXPN: an address, or a name that is none (RFC 5321 4.1.1.6).
 * @throws {TypeError} or {RangeError} if it is neither
 */
export function checkQuestion(address: unknown): string {
  const text = checkArgument(address, "address").trim();
  const question = pathIn(text) ?? nameIn(text);
  if (question !== undefined) return question;
  throw new RangeError(`address must be one address, or a name without special characters: ${quoted(address)}`);
}

/**
 * Bytes that are sent unchanged.
 * @throws {TypeError} if they are neither a string nor a Uint8Array
 */
export function checkBytes(bytes: unknown): Uint8Array {
  const octets = typeof bytes === "string" ? utf8(bytes) : bytes;
  if (octets instanceof Uint8Array) return octets;
  throw wrongType("bytes", "a string or a Uint8Array", bytes);
}

/** Sends single commands in a session. */
export class Commands {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** HELO or EHLO, with the caller's name if there is one. */
  async hello(verb: "EHLO" | "HELO", name: string | undefined): Promise<Reply> {
    return this.#session.hello(verb, name);
  }

  /** EHLO, and HELO if that is refused, unless one of them was said. */
  async helloIfNeeded(): Promise<void> {
    this.#session.requireConnection();
    const { ehlo, helo } = this.#session.serverInfo;
    if (ehlo === undefined && helo === undefined) await this.#session.helloIfNeeded();
  }

  /** MAIL. */
  async mail(mailbox: Mailbox, parameters: EsmtpParameters): Promise<Reply> {
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
  async rcpt(mailbox: Mailbox, parameters: EsmtpParameters): Promise<Reply> {
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
   * VRFY and EXPN.
   * @throws {SMTPNotSupportedError} if the question is not ASCII and the server lacks SMTPUTF8
   */
  async ask(verb: "VRFY" | "EXPN", question: string): Promise<Reply> {
    const argument = this.#forServer((server) => announcedQuestion(question, server));
    return this.docmd(verb, ownCommand(verb, argument));
  }

  /** Any command; `verb` as the caller wrote it. */
  async docmd(verb: string, command: Command): Promise<Reply> {
    const connection = this.#session.requireConnection();
    // In the middle of docmd("AUTH", …) it is no command, but the answer to a challenge, and a secret.
    return connection.request(connection.dialogue.position === "auth" ? ownResponse(verb) : command);
  }

  /** Any command; its reply is for `getreply`. */
  async putcmd(command: Command): Promise<void> {
    return putCommand(this.#session.requireConnection(), command);
  }

  /** The next reply. */
  async getreply(): Promise<Reply> {
    return nextReply(this.#session.requireConnection());
  }

  /** Bytes as they are. */
  async send(octets: Uint8Array): Promise<void> {
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

/** RFC 6531 3.7.4.2: what is not ASCII is announced by SMTPUTF8 behind it. */
function announcedQuestion(question: string, { features }: Server): string {
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
