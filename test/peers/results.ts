/** The results of all clients: their claims, and how often the server had accepted the message by then. */
import { type Answer, type Claim, type Worth, worst, worthOf } from "./claims.ts";
import type { FaultyServer } from "./faulty-server.ts";
import type { Script } from "./scripts.ts";

/** The clients of the table, by the names of its columns. */
export const CLIENTS = ["smtplib", "CPython", "nodemailer", "Postfix"] as const;
export type Client = (typeof CLIENTS)[number];

/** One client's result of one script, as text: a claim and a count for each recipient, "delivered/1 later/0". */
export type Cell = string;

/** Separates cells of one script and client that differ from run to run. */
export const OR = " | ";

/** `results.json`. */
export type Results = {
  readonly versions: { readonly [client in Client]: string };
  readonly rows: { readonly [id: string]: { readonly [client in Client]: Cell } };
};

/** The addresses of a script's recipients. */
export function recipientsOf(script: Script): string[] {
  return Array.from({ length: script.recipients }, (_, index) => `r${index + 1}@lab.test`);
}

/** An answer, and the counts of the server at that time. */
export function cellOf(answer: Answer, taken: (recipient: string) => number): Cell {
  return Object.entries(answer.claims)
    .map(([recipient, claim]) => `${claim}/${taken(recipient)}`)
    .join(" ");
}

/** The same, with the server's own ledger. */
export function cellBeside(answer: Answer, server: FaultyServer): Cell {
  return cellOf(answer, (recipient) => server.takenFor(recipient));
}

/** The worth of a cell, or of several: that of the worst claim. */
export function worthOfCell(cell: Cell): Worth {
  return worst(cell.split(OR).flatMap((one) => one.split(" ").map(worthOfPart)));
}

function worthOfPart(part: string): Worth {
  const [claim = "", taken = ""] = part.split("/");
  if (!isClaim(claim) || !/^\d+$/.test(taken)) throw new Error(`not a claim and a count: ${part}`);
  return worthOf(claim, Number(taken));
}

function isClaim(text: string): text is Claim {
  return ["delivered", "refused", "later", "unknown", "error"].includes(text);
}
