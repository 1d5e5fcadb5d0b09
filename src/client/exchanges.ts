/** Converts both forms of SASL mechanisms, a `Mechanism` and Python's authobject, to one exchange. */
import { utf8 } from "../core/bytes.ts";
import { SMTPException } from "../errors.ts";
import type { Mechanism, MechanismContext } from "../sasl/mechanism.ts";
import type { AuthExchange } from "./authenticate.ts";

/**
 * Python's authobject: called first without a challenge if initial responses are allowed, then with each challenge.
 * Null and undefined mean that there is no initial response.
 */
export type AuthObject = (challenge?: Uint8Array) => AuthAnswer | Promise<AuthAnswer>;

/** The result of an authobject. */
export type AuthAnswer = string | Uint8Array | null | undefined;

/** Whether AUTH may carry an initial response. */
export type InitialResponse = "allowed" | "never";

/** An exchange of a `Mechanism`. */
export function mechanismExchange(
  mechanism: Mechanism,
  context: MechanismContext,
  initialResponse: InitialResponse,
): AuthExchange {
  const steps = mechanism.start(context);
  const step = async (challenge: Uint8Array): Promise<Uint8Array> => {
    const { done, value } = steps.next(challenge);
    if (done || value === undefined)
      throw new SMTPException(`${mechanism.name} has no answer to the server's challenge`);
    return value;
  };
  let first: Promise<Uint8Array> | undefined;
  const held = (): Promise<Uint8Array> | undefined =>
    initialResponse === "never" && mechanism.serverFirst !== true ? first : undefined;
  return {
    name: mechanism.name.toUpperCase(),
    clearText: mechanism.clearText,
    async initial() {
      first = step(new Uint8Array());
      first.catch(() => {});
      if (mechanism.serverFirst === true) await first;
      else if (initialResponse === "allowed") return first;
      return undefined;
    },
    needsChallenge: () => mechanism.ignoresChallenges !== true && held() === undefined,
    answer(challenge) {
      const response = held();
      first = undefined;
      return response ?? step(challenge);
    },
    accepted: () => void steps.next(new Uint8Array()),
    explain: (challenge) => mechanism.explain?.(challenge),
    ended: () => void steps.return(),
  };
}

/** Mechanisms that reveal the secret to eavesdroppers. */
const CLEAR_TEXT: ReadonlySet<string> = new Set(["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"]);

/** Mechanisms whose responses do not depend on challenges. */
const IGNORES_CHALLENGES: ReadonlySet<string> = new Set([...CLEAR_TEXT, "EXTERNAL", "ANONYMOUS"]);

/** An exchange of an authobject. */
export function authobjectExchange(
  mechanism: string,
  authobject: AuthObject,
  initialResponse: InitialResponse,
): AuthExchange {
  const name = mechanism.toUpperCase();
  return {
    name,
    clearText: CLEAR_TEXT.has(name),
    async initial() {
      const answer = initialResponse === "allowed" ? await authobject() : undefined;
      return answer === undefined || answer === null ? undefined : octetsOf(answer);
    },
    needsChallenge: () => !IGNORES_CHALLENGES.has(name),
    answer: async (challenge) => octetsOf(await authobject(challenge)),
    accepted() {},
    explain: () => undefined,
    ended() {},
  };
}

function octetsOf(answer: unknown): Uint8Array {
  if (typeof answer === "string") return utf8(checkEncodable(answer));
  if (answer instanceof Uint8Array) return answer;
  throw new TypeError("authobject must return a string or a Uint8Array");
}

/** A lone surrogate would silently become another character, and change the password. */
function checkEncodable(answer: string): string {
  if (!/\p{Surrogate}/u.test(answer)) return answer;
  throw new TypeError("authobject gave a lone surrogate, which cannot be encoded");
}
