/** The program that sends by nodemailer's SMTP transport. */
import { createTransport } from "nodemailer";
import { type Answer, type Claim, PATIENCE, type Task, textOf } from "../claims.ts";
import { answerAll } from "./main.ts";

/** The fields of nodemailer's errors that concern the message. */
type Failure = {
  readonly code?: string;
  readonly command?: string;
  readonly message?: string;
  readonly responseCode?: number;
  readonly permanent?: boolean;
  readonly rejectedErrors?: readonly (Failure & { readonly recipient?: string })[];
};

await answerAll(send);

async function send(task: Task): Promise<Answer> {
  const { id, port, protocol, from, to } = task;
  const milliseconds = PATIENCE * 1000;
  const transport = createTransport({
    host: "127.0.0.1",
    port,
    lmtp: protocol === "lmtp",
    ignoreTLS: true,
    connectionTimeout: milliseconds,
    greetingTimeout: milliseconds,
    socketTimeout: milliseconds,
  });
  const claims: Record<string, Claim> = {};
  let words = "";
  try {
    const info = await transport.sendMail({ envelope: { from, to: [...to] }, raw: textOf(task) });
    for (const recipient of to) claims[recipient] = info.accepted.includes(recipient) ? "delivered" : "error";
    for (const failure of failuresOf(info)) claims[failure.recipient ?? ""] = claimOf(failure);
  } catch (error) {
    const failure: Failure = typeof error === "object" && error !== null ? error : {};
    words = `${failure.code} ${failure.command}: ${failure.message}`;
    for (const recipient of to) claims[recipient] = claimOf(failure);
    for (const one of failure.rejectedErrors ?? []) claims[one.recipient ?? ""] = claimOf(one);
  }
  return { id, claims, words };
}

function failuresOf(info: object): NonNullable<Failure["rejectedErrors"]> {
  const { rejectedErrors }: Failure = info;
  return rejectedErrors ?? [];
}

/** A reply's code tells whether to try again; so does `permanent`, if it is set. */
function claimOf({ responseCode, permanent }: Failure): Claim {
  if (responseCode !== undefined && responseCode >= 400) return responseCode < 500 ? "later" : "refused";
  return permanent === true ? "refused" : "error";
}
