/**
 * Builds all command lines, together with the `…-command.ts` files of this folder. Each part is read once, then
 * checked; `secret-command.ts` keeps secret parts apart.
 */
import type { TimeoutPhase } from "../errors.ts";
import { asciiHostName } from "./a-label.ts";
import { checkArgument, quoted } from "./bytes.ts";
import type { Path } from "./mailbox.ts";
import type { RawReply } from "./reply.ts";

/** Receives the replies to commands, or learns that none will come. The dialogue only carries it along. */
export type ReplyReceiver = {
  /** Receives a reply to a command. */
  replied(command: Command, reply: RawReply): void;
  /** Called if no reply to this command will come. */
  lost(command: Command): void;
};

/** Replaces a secret wherever a command is displayed. */
export const MASK = "***";

/** A command, or a response to a challenge, for the server. */
export class Command {
  /** The verb in upper case; "" for a response to a challenge, "." for the end of a message. */
  readonly verb: string;
  /** The line for display, without CRLF: secrets are masked. */
  readonly shown: string;
  /** The timeout that limits the wait for the reply. */
  readonly phase: TimeoutPhase;
  /** Receives the reply. */
  receiver: ReplyReceiver | undefined;
  /** Runs the listeners to the command and its reply; set if there are any. */
  within: (<Result>(work: () => Result) => Result) | undefined;

  /** For the functions that make commands, which check the parts. */
  constructor(verb: string, shown: string, phase: TimeoutPhase = "command", receiver?: ReplyReceiver) {
    this.verb = verb;
    this.shown = shown;
    this.phase = phase;
    this.receiver = receiver;
    this.within = undefined;
  }

  /** True for the end of a message: the line with the dot, and the last BDAT. */
  get endsMessage(): boolean {
    return this.phase === "dataDone";
  }

  /** True if a part of the line is secret. */
  get secret(): boolean {
    return false;
  }

  /** The line as it is sent, with CRLF. */
  get wire(): string {
    return `${this.shown}\r\n`;
  }

  /** Masks this command's secret in a text, since the server may echo it. */
  hide(text: string): string {
    return text;
  }

  /** Does the same for a text that was cut off, maybe within the secret. */
  hideCut(text: string): string {
    return text;
  }

  /** EHLO, HELO or LHLO (RFC 5321 4.1.1.1, RFC 2033 4.1), with the name as A-labels. */
  static hello(verb: "EHLO" | "HELO" | "LHLO", name: string): Command {
    const checked = checkArgument(name, "the name in EHLO");
    return new Command(verb, `${verb} ${asciiHostName(checked, "the name in EHLO")}`);
  }

  /** MAIL FROM with its ESMTP parameters (RFC 5321 4.1.1.2). */
  static mail(sender: Path, parameters: readonly string[] = []): Command {
    return new Command("MAIL", mailLine(sender, parameters), "envelope");
  }

  /** RCPT TO with its ESMTP parameters (RFC 5321 4.1.1.3). */
  static rcpt(recipient: Path, parameters: readonly string[] = []): Command {
    return new Command("RCPT", rcptLine(recipient, parameters), "envelope");
  }

  /** DATA (RFC 5321 4.1.1.4). */
  static data(): Command {
    return new Command("DATA", "DATA", "dataInit");
  }

  /** Represents the end of the message: no line of its own, but it has a reply. */
  static endOfData(): Command {
    return new Command(".", ".", "dataDone");
  }

  /** Represents the connection: the greeting is its reply. */
  static greeting(): Command {
    return new Command("connect", "connect", "greeting");
  }

  /** RSET, NOOP, QUIT and STARTTLS. */
  static simple(verb: "RSET" | "NOOP" | "QUIT" | "STARTTLS"): Command {
    return new Command(verb, verb, verb === "QUIT" ? "quit" : "command");
  }
}

/** The line of MAIL FROM, without CRLF. */
export function mailLine(sender: Path, parameters: readonly string[]): string {
  return withParameters(`MAIL FROM:<${checkArgument(sender.path, "sender")}>`, parameters, "mail_options");
}

/** The line of RCPT TO, without CRLF. */
export function rcptLine(recipient: Path, parameters: readonly string[]): string {
  return withParameters(`RCPT TO:<${checkArgument(recipient.path, "recipient")}>`, parameters, "rcpt_options");
}

function withParameters(start: string, parameters: readonly string[], argument: string): string {
  let line = start;
  for (const parameter of parameters) line += ` ${checkParameter(parameter, argument)}`;
  return line;
}

/** Checks that a parameter is only one, so that it cannot add another; otherwise it stays unchanged. */
export function checkParameter(parameter: unknown, argument: string): string {
  const text = checkArgument(parameter, `each of ${argument}`);
  if (text === "" || text.includes(" ")) {
    throw new RangeError(`each of ${argument} must be one ESMTP parameter without spaces: ${quoted(text)}`);
  }
  return text;
}
