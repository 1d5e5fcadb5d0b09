/** The server's side of AUTH (RFC 4954): the scenario determines whether the credentials are right. */
import type { Login as LoginKind, Weather } from "./scenario.ts";

/** The server's answer: a challenge, or the final reply. */
export type AuthAnswer =
  | { readonly challenge: string; readonly verdict?: undefined }
  | { readonly verdict: string; readonly challenge?: undefined };

/** The tokens of the scenario's accounts: the first one is stale if the scenario has a stale token. */
export const TOKENS = ["token-one", "token-two"] as const;

/** The logins of one connection. */
export class Login {
  /** True once a login succeeded, or if none is required. */
  isOver: boolean;
  readonly #kind: LoginKind;
  readonly #mechanisms: readonly string[];
  readonly #weather: () => Weather;
  #mechanism = "";
  #responses = 0;

  constructor(kind: LoginKind, mechanisms: readonly string[], weather: () => Weather) {
    this.#kind = kind;
    this.#mechanisms = mechanisms;
    this.#weather = weather;
    this.isOver = kind === "none";
  }

  /** The line of EHLO that offers AUTH. */
  get offer(): string[] {
    return this.#kind === "none" ? [] : [`AUTH ${this.#mechanisms.join(" ")}`];
  }

  /** Processes the AUTH command. */
  begin(line: string): AuthAnswer {
    const [, mechanism = "", initial] = line.split(" ");
    this.#mechanism = mechanism;
    this.#responses = 0;
    return initial === undefined ? this.#next() : this.respond(initial);
  }

  /** Processes a response. */
  respond(response: string): AuthAnswer {
    if (response === "*") return { verdict: "501 5.0.0 cancelled" };
    this.#responses++;
    if (this.#mechanism === "XOAUTH2") return this.#token(response);
    return this.#responses < (this.#mechanism === "LOGIN" ? 2 : 1) ? this.#next() : { verdict: this.#verdict() };
  }

  #next(): AuthAnswer {
    if (this.#mechanism === "LOGIN") return { challenge: base64(this.#responses === 0 ? "Username:" : "Password:") };
    return { challenge: this.#mechanism === "CRAM-MD5" ? base64("<1.2@mail.test>") : "" };
  }

  #token(response: string): AuthAnswer {
    if (this.#responses > 1) return { verdict: "535 5.7.8 no" };
    const isStale = this.#kind === "stale token" && Buffer.from(response, "base64").toString().includes(TOKENS[0]);
    return isStale ? { challenge: base64('{"status":"401"}') } : { verdict: this.#verdict() };
  }

  #verdict(): string {
    const weather = this.#weather();
    if (weather === "454 AUTH") return "454 4.7.0 later";
    const isRight = this.#kind !== "wrong" && weather !== "535 AUTH";
    return isRight ? "235 2.7.0 welcome" : "535 5.7.8 wrong credentials";
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
