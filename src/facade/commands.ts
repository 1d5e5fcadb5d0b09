/**
 * The methods that send one command each, and those for the caller's own commands. The `check…` functions check the
 * arguments at the call, without the server; the command is created when the call has its turn.
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
 * @throws {TypeError} or {RangeError} if it is invalid
 */
export function checkHelloName(name = ""): string | undefined {
  return name === "" ? undefined : asciiHostName(checkHostName(name, "name"), "name");
}

/**
 * The caller's own command.
 * @throws {TypeError} or {RangeError} if it cannot be a line, or is STARTTLS
 */
export function checkCommand(verb: string, args: string): Command {
  const command = ownCommand(verb, args);
  if (command.verb === "STARTTLS") throw new RangeError("the command STARTTLS needs a handshake: call starttls()");
  return command;
}

/**
 * The argument of VRFY and EXPN: an address, or another name (RFC 5321 4.1.1.6).
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

  /** Sends HELO or EHLO, with the caller's name if there is one. */
  async hello(verb: "EHLO" | "HELO", name: string | undefined): Promise<Reply> {
    return this.#session.hello(verb, name);
  }

  /** Sends EHLO, and HELO if that is refused, unless one of them was sent. */
  async helloIfNeeded(): Promise<void> {
    this.#session.requireConnection();
    const { ehlo, helo } = this.#session.serverInfo;
    if (ehlo === undefined && helo === undefined) await this.#session.helloIfNeeded();
  }

  /** Sends MAIL. */
  async mail(mailbox: Mailbox, parameters: EsmtpParameters): Promise<Reply> {
    const command = this.#forServer((server) => {
      const given = parameters(server);
      // RFC 6531 3.4: a non-ASCII local part must be announced.
      const box = asServerTakesIt(mailbox, server);
      const announced =
        box.ascii || given.some((parameter) => parameter.toUpperCase() === "SMTPUTF8") ? given : [...given, "SMTPUTF8"];
      return Command.mail(box, announced);
    });
    return this.#session.requireConnection().request(command);
  }

  /** Sends RCPT. */
  async rcpt(mailbox: Mailbox, parameters: EsmtpParameters): Promise<Reply> {
    const command = this.#forServer((server) => {
      const given = parameters(server);
      return Command.rcpt(asServerTakesIt(mailbox, server), given);
    });
    return this.#session.requireConnection().request(command);
  }

  /** Sends DATA and the message; returns the last reply. */
  async data(content: Content, policy: EightBitPolicy = "refuse"): Promise<Reply> {
    return this.#forServer(() => sendData(this.#session, content, policy));
  }

  /**
   * Sends VRFY or EXPN.
   * @throws {SMTPNotSupportedError} if the question is not ASCII and the server lacks SMTPUTF8
   */
  async ask(verb: "VRFY" | "EXPN", question: string): Promise<Reply> {
    const argument = this.#forServer((server) => announcedQuestion(question, server));
    return this.docmd(verb, ownCommand(verb, argument));
  }

  /** Sends any command; `verb` is the caller's text. */
  async docmd(verb: string, command: Command): Promise<Reply> {
    const connection = this.#session.requireConnection();
    // During docmd("AUTH", …) it is no command, but a response to a challenge, and a secret.
    return connection.request(connection.dialogue.position === "auth" ? ownResponse(verb) : command);
  }

  /** Sends any command; `getreply` returns its reply. */
  async putcmd(command: Command): Promise<void> {
    return putCommand(this.#session.requireConnection(), command);
  }

  /** Returns the next reply. */
  async getreply(): Promise<Reply> {
    return nextReply(this.#session.requireConnection());
  }

  /** Sends bytes unchanged. */
  async send(octets: Uint8Array): Promise<void> {
    return sendRaw(this.#session.requireConnection(), octets, `${octets.length} octets`);
  }

  /**
   * Makes a result that depends on the server's extensions. If an extension is missing because EHLO was not sent yet in
   * this session, or was refused, the error reports that; without a session, it reports that there is none.
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

/** RFC 6531 3.7.4.2: SMTPUTF8 after a non-ASCII question announces it. */
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

/** A name as RFC 5321's String: several words are quoted, so that none is parsed as a parameter. */
function nameIn(text: string): string | undefined {
  if (/^"(?:[^"\\]|\\.)*"$/.test(text)) return text;
  if (text === "" || /[()<>[\]:;,@\\"]/.test(text)) return undefined;
  return /\s/.test(text) ? `"${text}"` : text;
}
