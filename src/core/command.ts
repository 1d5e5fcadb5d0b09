/**
 * The only place that builds command lines. Each part is checked here, after it was read once; a secret part is kept
 * apart, so that nothing that prints a command can show it.
 */
import type { TimeoutPhase } from "../errors.ts";
import type { Mailbox } from "./address.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { checkArgument, utf8 } from "./bytes.ts";
import type { Reply } from "./reply.ts";

/** Who is told of a command's reply, or that none will come. The dialogue only carries it along. */
export type ReplyReceiver = {
  replied(command: Command, reply: Reply): void;
  lost(command: Command): void;
};

/** What stands in the place of a secret wherever a command is shown. */
export const MASK = "***";

/** A command (or a line that answers a challenge) on its way to the server. */
export class Command {
  /** The verb in upper case; "" for a line that answers a challenge, "." for the end of a message. */
  readonly verb: string;
  /** The line as it may be shown, without its end: secrets are masked. */
  readonly shown: string;
  /** Which timeout bounds the wait for the reply. */
  readonly phase: TimeoutPhase;
  /** Who waits for the reply. */
  receiver: ReplyReceiver | undefined;
  readonly #secret: string;

  private constructor(verb: string, shown: string, phase: TimeoutPhase = "command", secret = "") {
    this.verb = verb;
    this.shown = shown;
    this.phase = phase;
    this.#secret = secret;
  }

  /** The line as it is sent, with its CRLF. */
  get wire(): string {
    return `${this.#secret === "" ? this.shown : this.shown.slice(0, -MASK.length) + this.#secret}\r\n`;
  }

  /** The text with this command's secret masked, which a server may have echoed: as it was sent, or its parts, decoded or not. */
  hide(text: string): string {
    if (this.#secret === "") return text;
    const decoded = decodeBase64(this.#secret) ?? new Uint8Array(0);
    const parts = new TextDecoder().decode(decoded).split("\0");
    const forms = [this.#secret, ...parts, ...parts.map((part) => encodeBase64(utf8(part)))].filter(
      (form) => form.length > 3,
    );
    return forms.reduce((rest, form) => rest.replaceAll(form, MASK), text);
  }

  /** EHLO, HELO or LHLO (RFC 5321 4.1.1.1, RFC 2033 4.1). */
  static hello(verb: "EHLO" | "HELO" | "LHLO", name: string): Command {
    return new Command(verb, `${verb} ${checkArgument(name, "the name in EHLO")}`);
  }

  /** MAIL FROM with its ESMTP parameters (RFC 5321 4.1.1.2). */
  static mail(sender: Mailbox, parameters: readonly string[] = []): Command {
    return new Command(
      "MAIL",
      withParameters(`MAIL FROM:<${checkArgument(sender.path, "sender")}>`, parameters, "mail_options"),
      "envelope",
    );
  }

  /** RCPT TO with its ESMTP parameters (RFC 5321 4.1.1.3). */
  static rcpt(recipient: Mailbox, parameters: readonly string[] = []): Command {
    return new Command(
      "RCPT",
      withParameters(`RCPT TO:<${checkArgument(recipient.path, "recipient")}>`, parameters, "rcpt_options"),
      "envelope",
    );
  }

  /** DATA (RFC 5321 4.1.1.4). */
  static data(): Command {
    return new Command("DATA", "DATA", "dataInit");
  }

  /** Stands for the end of the message: not a line of its own, but awaited like one. */
  static endOfData(): Command {
    return new Command(".", ".", "dataDone");
  }

  /** Stands for the connection itself: the greeting is the reply to it. */
  static greeting(): Command {
    return new Command("connect", "connect", "greeting");
  }

  /** A reply that the caller asks for without a command of ours: Python's `getreply()`. */
  static unasked(): Command {
    return new Command("?", "");
  }

  /** RSET, QUIT and STARTTLS. */
  static simple(verb: "RSET" | "QUIT" | "STARTTLS"): Command {
    return new Command(verb, verb, verb === "QUIT" ? "quit" : "command");
  }

  /** AUTH with an initial response or without; an empty one is "=" (RFC 4954 4). */
  static auth(mechanism: string, initialResponse?: Uint8Array): Command {
    const line = `AUTH ${checkArgument(mechanism, "mechanism")}`;
    if (initialResponse === undefined) return new Command("AUTH", line);
    return Command.#withSecret("AUTH", `${line} `, initialResponse.length === 0 ? "=" : encodeBase64(initialResponse));
  }

  /** A line that answers a challenge (RFC 4954 4). */
  static authResponse(response: Uint8Array): Command {
    const secret = encodeBase64(response);
    return secret === "" ? new Command("", "") : Command.#withSecret("", "", secret);
  }

  /** A line that answers a challenge, as the caller wrote it. */
  static response(line: string): Command {
    const secret = checkArgument(line, "the response");
    return secret === "" ? new Command("", "") : Command.#withSecret("", "", secret);
  }

  /** The line that gives up an AUTH exchange (RFC 4954 4). */
  static authCancel(): Command {
    return new Command("", "*");
  }

  /** Any verb with any arguments: Python's `docmd()`. Arguments of AUTH are secret. */
  static other(verb: string, args: string): Command {
    const line = checkArgument(verb, "the command");
    const word = line.trim().split(" ", 1)[0]?.toUpperCase() ?? "";
    // Who writes a message by hand ends it by hand; for the dialogue that is a command like any other.
    const name = word === "." ? "END" : word;
    const rest = checkArgument(args, "the argument");
    if (name !== "AUTH") return new Command(name, rest === "" ? line : `${line} ${rest}`);
    const words = `${line} ${rest}`.trim().split(" ");
    const [, mechanism = "", ...secret] = words;
    return secret.length === 0
      ? new Command(name, words.join(" "))
      : Command.#withSecret(name, `AUTH ${mechanism} `, secret.join(" "));
  }

  static #withSecret(verb: string, shown: string, secret: string): Command {
    return new Command(verb, `${shown}${MASK}`, "command", secret);
  }
}

/** How many octets the line has, its end included (RFC 5321 4.5.3.1.4 knows of 512). */
export function lineLength(command: Command): number {
  return utf8(command.wire).length;
}

function withParameters(line: string, parameters: readonly string[], argument: string): string {
  let whole = line;
  for (const parameter of parameters) whole += ` ${checkParameter(parameter, argument)}`;
  return whole;
}

/** One ESMTP parameter each, so that none can bring in another; the rest is as the caller gave it. */
export function checkParameter(parameter: unknown, argument: string): string {
  const text = checkArgument(parameter, `each of ${argument}`);
  if (text === "" || text.includes(" ")) {
    throw new RangeError(`each of ${argument} must be one ESMTP parameter without spaces: ${JSON.stringify(text)}`);
  }
  return text;
}
