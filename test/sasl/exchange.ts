/** Runs a mechanism as `src/sasl/mechanism.ts` describes it, without a connection. */
import type { Mechanism, MechanismContext } from "../../src/sasl/mechanism.ts";

export type Exchange = {
  /** The initial response; undefined if the server sends first. */
  readonly initial: string | undefined;
  /** The responses to the challenges; "cancelled" if there was none. */
  readonly responses: readonly string[];
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Plays the server: sends challenges one by one, each a text or a function of the client's last message, then 235. */
export async function exchange(
  mechanism: Mechanism,
  challenges: readonly (string | Uint8Array | ((said: string) => string))[] = [],
  context: Partial<MechanismContext> = {},
): Promise<Exchange> {
  const steps = mechanism.start({ host: "mail.example.com", tls: undefined, ...context });
  const first = await steps.next().value;
  if (first === undefined) throw new Error(`${mechanism.name} never yields`);
  const responses: string[] = [];
  let said = decoder.decode(first);
  for (const challenge of challenges) {
    const text = typeof challenge === "function" ? challenge(said) : challenge;
    const step = steps.next(typeof text === "string" ? encoder.encode(text) : text);
    said = step.done === true ? "cancelled" : decoder.decode(await step.value);
    responses.push(said);
  }
  steps.next(new Uint8Array());
  steps.return();
  return { initial: mechanism.serverFirst === true ? undefined : decoder.decode(first), responses };
}
