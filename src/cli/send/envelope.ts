/** The sender and the recipients of a message: from the options, else from its header. */
import { readMessage } from "../../core/index.ts";
import type { Arguments, OptionTable } from "../arguments.ts";
import { UsageError } from "../exit-codes.ts";

/** The options of the envelope. */
export const ENVELOPE_OPTIONS: OptionTable = {
  from: {
    value: "ADDRESS",
    empty: true,
    short: "f",
    help: "the sender; <> for none. Default: Sender or From in the header",
  },
  to: { value: "ADDRESSES", multiple: true, help: "recipients. Default: To, Cc and Bcc in the header" },
  cc: { value: "ADDRESSES", multiple: true, help: "more recipients" },
  bcc: { value: "ADDRESSES", multiple: true, help: "more recipients, not named in the header" },
  "envelope-from": { value: "ADDRESS", empty: true, help: "the reverse path, for failure reports. Default: --from" },
};

/** The sender and the recipients of a message. */
export type Envelope = { readonly from: string; readonly to: readonly string[] };

/** The sender and the recipients in a message's header. */
export type HeaderAddresses = { sender(): string | undefined; recipients(): string[] };

/**
 * The envelope of a message.
 * @throws {UsageError} if the sender or all recipients are missing
 */
export function envelopeOf(args: Arguments, header: HeaderAddresses): Envelope {
  const asked = recipientsAsked(args);
  const to = asked.length > 0 ? asked : fromHeader("--to", () => header.recipients());
  if (to.length === 0) throw new UsageError("--to", "is missing, and the message names nobody");
  const from = senderAsked(args) ?? fromHeader("--from", () => header.sender());
  if (from === undefined) throw new UsageError("--from", "is missing, and the message has neither Sender nor From");
  return { from, to };
}

/** Whether the options name recipients. */
export function recipientsAsked(args: Arguments): readonly string[] {
  return ["to", "cc", "bcc"].flatMap((name) => args.texts(name).flatMap((text) => addressesIn(name, text)));
}

function senderAsked(args: Arguments): string | undefined {
  const name = args.has("envelope-from") ? "envelope-from" : "from";
  const text = args.text(name)?.trim();
  if (text === undefined || text === "" || text === "<>") return text === undefined ? undefined : "";
  const [sender, ...more] = addressesIn(name, text);
  if (sender === undefined || more.length > 0) throw new UsageError(`--${name}`, "must be one address");
  return sender;
}

/** The addresses of a list as it stands in a header: names, comments and quotes are understood. */
function addressesIn(name: string, text: string): string[] {
  let found: string[] = [];
  try {
    found = readMessage(new TextEncoder().encode(`To: ${text}\r\n\r\n`)).recipients();
  } catch {
    throw new UsageError(`--${name}`, `is no list of addresses: ${JSON.stringify(text)}`);
  }
  // With recipients in the options, those of the message's header must not get the message.
  if (found.length === 0) throw new UsageError(`--${name}`, `holds no address: ${JSON.stringify(text)}`);
  return found;
}

function fromHeader<T>(argument: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(argument, `is missing, and the message's header cannot be read: ${error.message}`);
  }
}
