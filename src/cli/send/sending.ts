/** Sends a message, once or many times, through a pool, and collects the outcomes. */
import {
  type Delivery,
  type PoolOptions,
  type Refused,
  SMTPException,
  SMTPPool,
  SMTPRecipientsRefused,
} from "../../index.ts";
import { causes, EXIT, type ExitCode, exitCodeOf } from "../exit-codes.ts";
import { shownOctets } from "../extensions.ts";
import type { Output } from "../surroundings.ts";
import type { Envelope } from "./envelope.ts";
import { afterwards } from "./interruptible.ts";
import type { OutgoingMessage } from "./message.ts";
import type { Asked, AskedOfRecipients } from "./message-options.ts";
import { counted, Progress } from "./progress.ts";

/** The message, and how to send it. */
export type Sending = {
  readonly pool: PoolOptions & { readonly host: string };
  readonly message: OutgoingMessage;
  readonly envelope: Envelope;
  readonly asked: Asked;
  readonly askedOfRecipients: AskedOfRecipients;
  /** How many times. */
  readonly repeat: number;
  readonly signal: AbortSignal;
  /** Where the progress is shown. */
  readonly progress: Output;
};

/** The outcome of one message. */
export type Outcome = {
  readonly exitCode: ExitCode;
  readonly accepted: readonly string[];
  readonly refused: readonly { readonly address: string; readonly code: number; readonly text: string }[];
  /** The last reply. */
  readonly reply?: { readonly code: number; readonly text: string };
  /** The error, if no recipient was accepted. */
  readonly error?: string;
  /** The `delivery` of a message that failed. */
  readonly delivery?: "not-sent" | "rejected" | "unknown";
};

/** Sends, and yields an outcome for each message, in the order in which they settle. */
export async function sendAll(sending: Sending): Promise<Outcome[]> {
  const pool = new SMTPPool({ ...sending.pool, signal: afterwards(sending.signal) });
  try {
    return sending.repeat === 1 ? [await sendOne(pool, sending)] : await sendMany(pool, sending);
  } finally {
    await pool.close();
  }
}

async function sendOne(pool: SMTPPool, sending: Sending): Promise<Outcome> {
  const { message, progress } = sending;
  const bar = new Progress(progress, message.size, shownOctets);
  const content = message.content();
  let sent = 0;
  const watched =
    content instanceof Uint8Array
      ? content
      : counted(content, (octets) => {
          sent += octets;
          bar.update(sent);
        });
  try {
    return await deliver(pool, sending, watched);
  } finally {
    bar.finish();
  }
}

async function sendMany(pool: SMTPPool, sending: Sending): Promise<Outcome[]> {
  const { message, progress, repeat, signal } = sending;
  const bar = new Progress(progress, repeat, (count) => `${count} messages`);
  const outcomes: Outcome[] = [];
  const body = message.content();
  const pending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  let begun = 0;
  while (begun < repeat && failure === undefined && !signal.aborted) {
    await pool.ready();
    begun += 1;
    const settled = deliver(pool, sending, body)
      .then((outcome) => bar.update(outcomes.push(outcome)))
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => pending.delete(settled));
    pending.add(settled);
  }
  await Promise.all(pending);
  bar.finish();
  if (failure !== undefined) throw failure.error;
  const left = signal.aborted ? new Array<Outcome>(repeat - begun).fill(notSent(signal)) : [];
  return [...outcomes, ...left];
}

async function deliver(
  pool: SMTPPool,
  { asked, askedOfRecipients, envelope, message, signal }: Sending,
  body: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<Outcome> {
  const { from, to } = envelope;
  const utf8 = message.utf8Headers ? { smtputf8: true } : {};
  try {
    const recipients = to.map((address) => ({ ...askedOfRecipients, address }));
    return outcomeOf(await pool.deliver({ ...utf8, ...asked, from, to: recipients, body }));
  } catch (error) {
    const isKnown = !(error instanceof SMTPException) || error.delivery === "not-sent";
    if (signal.aborted && isKnown && causes(error).includes(signal.reason)) return notSent(signal);
    if (!(error instanceof SMTPException)) throw error;
    return outcomeOfError(error);
  }
}

function outcomeOf({ accepted, refused, reply }: Delivery): Outcome {
  const list = refusedList(refused);
  return {
    exitCode: list.length === 0 ? EXIT.ok : EXIT.partial,
    accepted,
    refused: list,
    reply: { code: reply.code, text: reply.message },
  };
}

function outcomeOfError(error: SMTPException): Outcome {
  const refused = error instanceof SMTPRecipientsRefused ? refusedList(error.recipients) : [];
  const { delivery } = error;
  const known = delivery === undefined ? {} : { delivery };
  return { exitCode: exitCodeOf(error), accepted: [], refused, error: error.message, ...known };
}

/** The outcome of a message that was not sent because of Ctrl-C. */
function notSent({ reason }: AbortSignal): Outcome {
  const error = reason instanceof Error ? reason.message : String(reason);
  return { exitCode: EXIT.temporary, accepted: [], refused: [], error, delivery: "not-sent" };
}

function refusedList(refused: Refused): Outcome["refused"] {
  return Object.entries(refused).map(([address, { code, message }]) => ({ address, code, text: message }));
}
