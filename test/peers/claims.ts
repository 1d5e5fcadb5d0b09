/** A client's claim about a message for one recipient, and its worth according to the server's ledger. */

/**
 * A claim. "delivered": the server has it. "refused": certainly not delivered, and should not be tried again. "later":
 * certainly not delivered, and should be tried again. "unknown": the client reports that it does not know. "error": the
 * client fails, and leaves open whether the message was delivered.
 */
export type Claim = "delivered" | "refused" | "later" | "unknown" | "error";

/**
 * The worth of a claim. "right": it is true. "open": the client reports that the outcome is unknown. "lost": reported
 * as delivered, but not delivered. "doubled": delivered, and sent again. "denied": reported as refused, but delivered.
 * "silent": an error without an outcome; sending again doubles the message if it was delivered, and not sending again
 * loses it if it was not.
 */
export type Worth = "right" | "open" | "lost" | "doubled" | "denied" | "silent";

/** The worths from the best to the worst. */
export const WORTHS: readonly Worth[] = ["right", "open", "silent", "denied", "doubled", "lost"];

/** Compares a claim with the number of times that the server accepted the message for this recipient. */
export function worthOf(claim: Claim, taken: number): Worth {
  if (taken > 1) return "doubled";
  switch (claim) {
    case "delivered":
      return taken === 1 ? "right" : "lost";
    case "refused":
      return taken === 0 ? "right" : "denied";
    case "later":
      return taken === 0 ? "right" : "doubled";
    case "unknown":
      return "open";
    case "error":
      return "silent";
  }
}

/** The worst of several worths. */
export function worst(worths: readonly Worth[]): Worth {
  const ranks = worths.map((worth) => WORTHS.indexOf(worth));
  return WORTHS[Math.max(0, ...ranks)] ?? "right";
}

/** A mail for a client to send. */
export type Task = {
  /** The script's id. */
  readonly id: string;
  readonly port: number;
  readonly protocol: "smtp" | "lmtp";
  readonly from: string;
  readonly to: readonly string[];
  readonly mail: { readonly header: string; readonly line: string; readonly lines: number };
};

/** The text of a task's mail. */
export function textOf({ mail: { header, line, lines } }: Task): string {
  return header + line.repeat(lines);
}

/** A client's answer: a claim for each recipient, and its own error text. */
export type Answer = {
  readonly id: string;
  readonly claims: { readonly [recipient: string]: Claim };
  readonly words: string;
};

/** The seconds that a client waits for a reply. */
export const PATIENCE = 2;
