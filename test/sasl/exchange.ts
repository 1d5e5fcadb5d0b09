/** Runs a mechanism as `src/sasl/mechanism.ts` describes it, without a connection. */
import type { Mechanism, MechanismContext } from "../../src/sasl/mechanism.ts";

export type Exchange = {
  /** What goes along with AUTH; undefined where the server speaks first. */
  readonly initial: string | undefined;
  /** The responses to the challenges; "cancelled" where there was none. */
  readonly responses: readonly string[];
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Plays the server: challenges one by one, each a text or made from what the client said last, then 235. */
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
