import { parseMailbox } from "../../src/core/address.ts";
import { authCommand, authResponse } from "../../src/core/auth-command.ts";
import { concat, utf8 } from "../../src/core/bytes.ts";
import { Command } from "../../src/core/command.ts";
import { Dialogue, type Received } from "../../src/core/dialogue.ts";
import { DEFAULT_LIMITS, type Limits } from "../../src/core/limits.ts";
import { Output } from "../../src/core/output.ts";
import { ownCommand } from "../../src/core/own-command.ts";

const box = parseMailbox("a@example.com", "address");
/** A command of each kind, by name. */
export const make: Record<string, () => Command> = {
  EHLO: () => Command.hello("EHLO", "x"),
  MAIL: () => Command.mail(box),
  RCPT: () => Command.rcpt(box),
  DATA: () => Command.data(),
  RSET: () => Command.simple("RSET"),
  QUIT: () => Command.simple("QUIT"),
  STARTTLS: () => Command.simple("STARTTLS"),
  AUTH: () => authCommand("LOGIN"),
  response: () => authResponse(utf8("x")),
  NOOP: () => ownCommand("NOOP", ""),
  VRFY: () => ownCommand("VRFY", "x"),
  EXPN: () => ownCommand("EXPN", "x"),
};

/** A dialogue that is played from both sides. */
export class Play {
  readonly dialogue: Dialogue;
  readonly #output = new Output();

  constructor(protocol: "smtp" | "lmtp" = "smtp", limits: Limits = DEFAULT_LIMITS) {
    this.dialogue = new Dialogue(Command.greeting(), { limits, protocol });
  }

  static greeted(protocol: "smtp" | "lmtp" = "smtp"): Play {
    const play = new Play(protocol);
    play.get("220 hello\r\n");
    return play;
  }

  /** Sends these commands; "DATA+" is DATA with a command that represents the body. */
  say(...names: string[]): this {
    for (const name of names) {
      if (name === "DATA+") this.dialogue.send(Command.data(), this.#output, Command.endOfData());
      else this.dialogue.send(make[name]?.() ?? ownCommand(name, ""), this.#output);
    }
    return this;
  }

  get(text: string): Received {
    return this.dialogue.receive(utf8(text));
  }

  wire(): string {
    return new TextDecoder().decode(concat(this.#output.take()));
  }
}

/** The exchanges, as "VERB code". */
export const seen = ({ exchanges }: Received): string[] =>
  exchanges.map(({ command, reply }) => `${command.verb} ${reply.code}`);
