/** Runs a mechanism as `src/sasl/mechanism.ts` describes it, without a connection. */
import type { Mechanism } from "../../src/sasl/mechanism.ts";

export type Exchange = {
  /** What goes along with AUTH; undefined where the server speaks first. */
  readonly initial: string | undefined;
  /** The responses to the challenges; "cancelled" where there was none. */
  readonly responses: readonly string[];
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Plays the server: challenges one by one, then 235. */
export async function exchange(mechanism: Mechanism, challenges: readonly string[] = []): Promise<Exchange> {
  const steps = mechanism.start({ host: "mail.example.com", tls: undefined });
  const first = await steps.next().value;
  if (first === undefined) throw new Error(`${mechanism.name} never yields`);
  const responses: string[] = [];
  for (const challenge of challenges) {
    const step = steps.next(encoder.encode(challenge));
    responses.push(step.done === true ? "cancelled" : decoder.decode(await step.value));
  }
  steps.next(new Uint8Array());
  steps.return();
  return { initial: mechanism.serverFirst === true ? undefined : decoder.decode(first), responses };
}
