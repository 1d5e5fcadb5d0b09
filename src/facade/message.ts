/** What `send_message` takes: a whole RFC 5322 message, or an object of a MIME library that can give one. */
import { contentOf } from "../client/source.ts";
import { concat, kindOf, utf8 } from "../core/bytes.ts";
import { type ReadMessage, readMessage } from "../core/headers.ts";
import { type Envelope, noRecipients, type Request, requestOf } from "./envelope.ts";

/**
 * A whole RFC 5322 message, Bcc fields included, or an object that can give one by `build()`, `asRaw()`,
 * `createReadStream()`, `readAsync()` or its own `toString()`, as those of nodemailer's MailComposer, mimetext
 * and emailjs do.
 */
export type Message = string | Uint8Array | object;

/**
 * Gets the message out of what the caller has, and checks it with its envelope: the header says what the arguments leave
 * open. At once where that is possible.
 * @throws {TypeError} naming `msg`, if it gives no message; else as `requestOf` does
 */
export function requestOfMessage(msg: unknown, envelope: Envelope): Request | Promise<Request> {
  const octets = octetsOf(msg);
  if (octets !== undefined) return requestOfOctets(octets, envelope);
  if (typeof msg === "object" && msg !== null) return messageOf(msg).then((whole) => requestOfOctets(whole, envelope));
  throw notAMessage(msg);
}

function requestOfOctets(octets: Uint8Array, envelope: Envelope): Request | Promise<Request> {
  const message: ReadMessage = readMessage(octets);
  const from_addr = envelope.from_addr ?? message.sender();
  if (from_addr === undefined) throw new TypeError("from_addr is missing, and msg has neither Sender nor From");
  const to_addrs = envelope.to_addrs ?? recipientsIn(message);
  return requestOf({ ...envelope, from_addr, to_addrs }, contentOf(message.message, "msg"), message.utf8Headers);
}

function recipientsIn(message: ReadMessage): readonly string[] {
  const recipients = message.recipients();
  if (recipients.length > 0) return recipients;
  throw noRecipients("to_addrs is missing, and msg names nobody in To, Cc or Bcc (or Resent-To, -Cc, -Bcc)");
}

async function messageOf(msg: object): Promise<Uint8Array> {
  const octets = octetsOf(await rendered(msg));
  if (octets === undefined) throw notAMessage(msg);
  return octets;
}

async function rendered(msg: object): Promise<unknown> {
  if (hasMethod(msg, "compile")) return rendered(checkedObject(msg.compile()));
  if (hasMethod(msg, "build")) return builtWithBcc(msg);
  if (hasMethod(msg, "asRaw")) return msg.asRaw();
  if (hasMethod(msg, "readAsync")) return `${hiddenBcc(msg)}${String(await msg.readAsync())}`;
  if (hasMethod(msg, "createReadStream")) return collected(msg.createReadStream());
  if (msg.toString === Object.prototype.toString) throw notAMessage(msg);
  return msg.toString();
}

/** nodemailer's nodes leave Bcc out unless they are told otherwise; who is in it gets mail, and the field is removed here. */
async function builtWithBcc(msg: { build: () => unknown; keepBcc?: unknown }): Promise<unknown> {
  const before = msg.keepBcc;
  if (typeof before !== "boolean") return msg.build();
  msg.keepBcc = true;
  try {
    return await msg.build();
  } finally {
    msg.keepBcc = before;
  }
}

/** emailjs never writes Bcc, but keeps it among the headers of the object. */
function hiddenBcc(msg: object): string {
  const header: unknown = Reflect.get(msg, "header");
  if (typeof header !== "object" || header === null) return "";
  const bcc: unknown = Reflect.get(header, "bcc");
  return typeof bcc === "string" && bcc !== "" ? `Bcc: ${bcc}\r\n` : "";
}

async function collected(stream: unknown): Promise<Uint8Array> {
  if (!isAsyncIterable(stream)) throw new TypeError("msg.createReadStream() gave no readable stream");
  const parts: Uint8Array[] = [];
  for await (const chunk of stream) {
    const octets = octetsOf(chunk);
    if (octets === undefined)
      throw new TypeError("msg.createReadStream() gave something else than strings and Uint8Arrays");
    parts.push(octets);
  }
  return concat(parts);
}

function octetsOf(value: unknown): Uint8Array | undefined {
  if (typeof value === "string") return utf8(value);
  return value instanceof Uint8Array ? value : undefined;
}

function hasMethod<Name extends string>(value: object, name: Name): value is { [key in Name]: () => unknown } {
  return typeof Reflect.get(value, name) === "function";
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

function checkedObject(value: unknown): object {
  if (typeof value === "object" && value !== null) return value;
  throw notAMessage(value);
}

function notAMessage(value: unknown): TypeError {
  return new TypeError(`msg must be an RFC 5322 message or an object that gives one, not ${kindOf(value)}`);
}
