/** Envelopes with options, or with an address that is not plainly `a@b`: loaded with the first of them. */
import { lazy } from "../client/lazy.ts";
import type { Content } from "../client/source.ts";
import { parseMailbox } from "../core/address.ts";
import { wrongType } from "../core/bytes.ts";
import { listedParameters } from "../core/listed-parameters.ts";
import type { Mailbox } from "../core/mailbox.ts";
import type { EsmtpParameters } from "../core/plan.ts";
import { type Envelope, NONE, type Request } from "./delivery.ts";

/** An address as it was given, and as it was read. */
export type Address = { readonly given: string; readonly mailbox: Mailbox };

/**
 * What `requestOf` does not do at once; `to_addrs` is a list with somebody in it, and all is ours by now.
 * @throws as `requestOf` does
 */
export function requestOfEnvelope(
  { from_addr, to_addrs, mail_options, rcpt_options }: Envelope & { readonly to_addrs: readonly unknown[] },
  content: Content,
  utf8Headers: boolean,
): Request | Promise<Request> {
  const { given: from, mailbox: sender } = senderOf(from_addr, "from_addr");
  const to = to_addrs.map((address, index) => recipientOf(address, `to_addrs[${index}]`));
  return whenReady(
    [mailParametersOf(mail_options), rcptParametersOf(rcpt_options)],
    ([parameters = NONE, own = NONE]) => {
      const recipients = to.map((recipient) => ({ ...recipient, parameters: own }));
      return { from, sender, recipients, parameters, content, utf8Headers };
    },
  );
}

/** A reverse path: "" for none. */
export function senderOf(address: unknown, argument: string): Address {
  const mailbox = parseMailbox(address, argument);
  return { given: String(address), mailbox };
}

/** A forward path, which names somebody. */
export function recipientOf(address: unknown, argument: string): Address {
  const recipient = senderOf(address, argument);
  if (recipient.mailbox.path !== "") return recipient;
  throw new RangeError(`${argument} must be an address, not ${JSON.stringify(address)}`);
}

/** Uses parameters as soon as they are there: at once, unless what checks them is yet to be loaded. */
export function whenReady(
  parameters: readonly (EsmtpParameters | Promise<EsmtpParameters>)[],
  use: (ready: readonly EsmtpParameters[]) => Request,
): Request | Promise<Request> {
  const ready = parameters.filter((one) => typeof one === "function");
  return ready.length === parameters.length ? use(ready) : Promise.all(parameters).then(use);
}

/** The parameters of MAIL that options of either form become. */
export function mailParametersOf(options: unknown): EsmtpParameters | Promise<EsmtpParameters> {
  return parametersOf(options, "mail_options", (typed) => extensions(({ mailParameters }) => mailParameters(typed)));
}

/** The parameters of RCPT that options of either form become. */
export function rcptParametersOf(options: unknown): EsmtpParameters | Promise<EsmtpParameters> {
  return parametersOf(options, "rcpt_options", (typed) => extensions(({ rcptParameters }) => rcptParameters(typed)));
}

const extensions = lazy(() => import("../core/extensions/index.ts"));

function parametersOf(
  options: unknown = [],
  argument: string,
  check: (typed: object) => EsmtpParameters | Promise<EsmtpParameters>,
): EsmtpParameters | Promise<EsmtpParameters> {
  if (Array.isArray(options)) return listedParameters(options, argument);
  if (typeof options !== "object" || options === null)
    throw wrongType(argument, "an array of strings or an object", options);
  return Object.keys(options).length === 0 ? NONE : check(options);
}
