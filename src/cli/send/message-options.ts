/** The options of a message that use an extension of the server, such as delivery reports, as typed options. */
import type { DeliveryRequest, MailOptions, RcptOptions } from "../../index.ts";
import type { Arguments, OptionTable } from "../arguments.ts";
import { UsageError } from "../exit-codes.ts";

/** The options. */
export const MESSAGE_OPTIONS: OptionTable = {
  notify: { value: "LIST", help: "report NEVER, or on SUCCESS,FAILURE,DELAY (RFC 3461)" },
  ret: { value: "FULL|HDRS", help: "the part of the message that a failure report returns (RFC 3461)" },
  envid: { value: "ID", help: "the name of this transaction in reports (RFC 3461)" },
  orcpt: { value: "TYPE;ADDRESS", help: "the original recipient (RFC 3461)" },
  requiretls: { help: "each hop must use verified TLS, or the message comes back (RFC 8689)" },
  by: { value: "SECONDS[:return]", help: "deliver within this time, or notify, or return (RFC 2852)" },
  "hold-for": { value: "SECONDS", help: "the time for which the server holds the message (RFC 4865)" },
  "hold-until": { value: "DATE", help: "the time until which the server holds the message (RFC 4865)" },
  "mt-priority": { value: "NUMBER", help: "the priority, from -9 to 9 (RFC 6710)" },
  rrvs: { value: "DATE", help: "the recipient must own the address since then (RFC 7293)" },
  "body-type": { value: "TYPE", help: "7BIT, 8BITMIME or BINARYMIME" },
  smtputf8: { help: "addresses or header fields are not ASCII (RFC 6531)" },
  submitter: { value: "ADDRESS", help: "the original submitter: AUTH= of MAIL (RFC 4954)" },
};

/** The options of a message. */
export type Asked = Omit<DeliveryRequest, "from" | "to" | "body" | "signal">;

/** The options of each recipient. */
export type AskedOfRecipients = RcptOptions;

const NOTIFY = ["NEVER", "SUCCESS", "FAILURE", "DELAY"] as const;

/**
 * Reads the options of the message.
 * @throws {UsageError} for an invalid option
 */
export function askedOfMessage(args: Arguments): Asked {
  const by = args.text("by");
  const until = dateOf(args, "hold-until");
  const submitter = args.text("submitter");
  // The library checks it only if the server offers AUTH.
  if (submitter !== undefined && /\s/.test(submitter)) throw new UsageError("--submitter", "must be one address");
  args.atMostOneOf("hold-for", "hold-until");
  return defined({
    ret: args.choice("ret", ["FULL", "HDRS"]),
    envid: args.text("envid"),
    requiretls: args.has("requiretls") ? true : undefined,
    by: by === undefined ? undefined : byOf(by),
    holdFor: args.number("hold-for", 1, 999_999_999),
    holdUntil: until,
    mtPriority: args.number("mt-priority", -9, 9),
    bodyType: args.choice("body-type", ["7BIT", "8BITMIME", "BINARYMIME"]),
    smtputf8: args.has("smtputf8") ? true : undefined,
    auth: submitter,
  });
}

/**
 * Reads the options of each recipient.
 * @throws {UsageError} for an invalid option
 */
export function askedOfRecipients(args: Arguments): AskedOfRecipients {
  const notify = args.list("notify").map((name) => {
    const found = NOTIFY.find((one) => one === name.toUpperCase());
    if (found === undefined)
      throw new UsageError("--notify", `must be of ${NOTIFY.join(", ")}: ${JSON.stringify(name)}`);
    return found;
  });
  const since = dateOf(args, "rrvs");
  return defined({
    notify: notify.length === 0 ? undefined : notify,
    orcpt: args.text("orcpt"),
    rrvs: since === undefined ? undefined : { since },
  });
}

function byOf(text: string): NonNullable<MailOptions["by"]> {
  const [, seconds, mode = "notify"] = /^(-?\d{1,9})(?::(notify|return))?$/.exec(text) ?? [];
  if (seconds === undefined || (mode !== "notify" && mode !== "return")) {
    throw new UsageError("--by", `must be SECONDS, SECONDS:notify or SECONDS:return: ${JSON.stringify(text)}`);
  }
  return { seconds: Number(seconds), mode };
}

function dateOf(args: Arguments, name: string): Date | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  throw new UsageError(`--${name}`, `must be a date, as in 2030-01-01T12:00Z: ${JSON.stringify(text)}`);
}

/** The members that have a value. */
function defined<T extends object>(members: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  const given = Object.entries(members).filter(([, value]) => value !== undefined);
  const found: { [Key in keyof T]?: NonNullable<T[Key]> } = {};
  return Object.assign(found, Object.fromEntries(given));
}
