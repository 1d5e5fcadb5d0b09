/** DSN: requests delivery reports (RFC 3461), also for non-ASCII addresses (RFC 6533). */
import { checkArgument } from "../bytes.ts";
import { encodeUtf8AddrXtext, encodeXtext } from "../xtext.ts";
import { type Extension, type MailOptions, oneOf, type RcptOptions, someText } from "./extension.ts";

export const dsn: Extension = {
  keyword: "DSN",
  rfc: "3461",
  mail: { options: ["ret", "envid"], of: mailParameters },
  rcpt: { options: ["notify", "orcpt"], of: rcptParameters },
};

const ASCII = /^[\x00-\x7f]*$/;

function mailParameters({ ret, envid }: MailOptions): readonly string[] {
  const parameters: string[] = [];
  if (ret !== undefined) parameters.push(`RET=${oneOf(ret, ["FULL", "HDRS"], "ret")}`);
  if (envid !== undefined) parameters.push(`ENVID=${envelopeId(envid)}`);
  return parameters;
}

function rcptParameters({ notify, orcpt }: RcptOptions): readonly string[] {
  const parameters: string[] = [];
  if (notify !== undefined) parameters.push(`NOTIFY=${notifyList(notify)}`);
  if (orcpt !== undefined) parameters.push(`ORCPT=${atMost(500, originalRecipient(orcpt), "orcpt")}`);
  return parameters;
}

/** RFC 3461 4.4: printable ASCII only, since delivery reports cannot contain other characters. */
function envelopeId(envid: string): string {
  const text = someText(envid, "envid");
  if (!ASCII.test(text)) throw new RangeError(`the option envid must be ASCII, not ${JSON.stringify(text)}`);
  return atMost(100, encodeXtext(text, "envid"), "envid");
}

/** The longest values that a server must accept (RFC 3461 4.2, 4.4). */
function atMost(most: number, encoded: string, option: string): string {
  if (encoded.length <= most) return encoded;
  throw new RangeError(
    `the option ${option} must have at most ${most} characters as it is sent, not ${encoded.length}`,
  );
}

function notifyList(notify: NonNullable<RcptOptions["notify"]>): string {
  if (!Array.isArray(notify)) throw new TypeError("the option notify must be an array");
  const list = notify.map((when) => oneOf(when, ["NEVER", "SUCCESS", "FAILURE", "DELAY"], "notify"));
  if (list.length === 0 || (list.length > 1 && list.includes("NEVER"))) {
    throw new RangeError("the option notify must be NEVER alone, or some of SUCCESS, FAILURE, DELAY");
  }
  return list.join(",");
}

/**
 * Sends the address type unchanged, the address as xtext (RFC 3461 4.2); for the type utf-8 in the form for servers
 * with and without SMTPUTF8 (RFC 6533 3). A non-ASCII address must have that type.
 */
function originalRecipient(orcpt: string): string {
  const [, type, address] = /^([A-Za-z0-9-]+);(.+)$/s.exec(checkArgument(orcpt, "orcpt")) ?? [];
  if (type === undefined || address === undefined) {
    throw new RangeError(
      `the option orcpt must be "type;address", as "rfc822;user@example.com", not ${JSON.stringify(orcpt)}`,
    );
  }
  if (type.toLowerCase() === "utf-8") return `${type};${encodeUtf8AddrXtext(address, "orcpt")}`;
  if (ASCII.test(address)) return `${type};${encodeXtext(address, "orcpt")}`;
  throw new RangeError(
    `the option orcpt must be "utf-8;address" for an address beyond ASCII: ${JSON.stringify(orcpt)}`,
  );
}
