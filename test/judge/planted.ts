/**
 * Transcripts with one planted fault each, and the rule that the judge has to name; and transcripts without a fault.
 */
import { CONTENT } from "./planted/content.ts";
import { OUTCOMES } from "./planted/outcomes.ts";
import type { Planted } from "./planted/script.ts";
import { SESSION } from "./planted/session.ts";
import { TLS } from "./planted/tls.ts";
import { TRANSACTIONS } from "./planted/transactions.ts";

export { FAULTLESS } from "./planted/faultless.ts";
export type { Planted } from "./planted/script.ts";

export const PLANTED: readonly Planted[] = [...SESSION, ...TLS, ...TRANSACTIONS, ...CONTENT, ...OUTCOMES];
