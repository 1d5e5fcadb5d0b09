/** Reads the message of `send_message`: a whole RFC 5322 message, or an object of a MIME library that returns one. */

import { callerContext } from "../client/caller-context.ts";
import { fromCaller, resultFromCaller } from "../client/caller-errors.ts";
import { type Chunks, chunksWithin, giveUp, isWrongChunk } from "../client/chunks.ts";
import { contentOf, heardOf, isSource } from "../client/content.ts";
import type { MessageRequest } from "../client/delivery.ts";
import { textOf } from "../client/session-end.ts";
import { concat, kindOf, utf8 } from "../core/bytes.ts";
import { type ReadMessage, readMessage } from "../core/headers.ts";
import { SMTPException } from "../errors.ts";
import { type Envelope, noRecipients, requestOf } from "./envelope.ts";

/**
 * A whole RFC 5322 message, Bcc fields included: anything that `sendmail` accepts as a body, which is read into memory;
 * or an object that returns one from `build()`, `asRaw()`, `createReadStream()`, `readAsync()` or its own `toString()`,
 * such as those of nodemailer's MailComposer, mimetext and emailjs.
 */
export type Message = string | Uint8Array | object;

/** A message that is being read into memory. */
export type Reading = {
  /** Resolves with the message, checked with its envelope, once it is read. */
  readonly request: Promise<MessageRequest>;
  /** Stops reading. Never throws. */
  stop(reason: unknown): void;
};

/**
 * Gets the message from `msg`, and checks it with its envelope: the header supplies missing arguments. Synchronous if
 * the message is in memory.
 * @throws {TypeError} naming `msg`, if it is no message and returns none; and the errors of `requestOf`
 */
export function requestOfMessage(msg: unknown, envelope: Envelope): MessageRequest | Reading {
  const octets = octetsOf(msg);
  if (octets !== undefined) return requestOfOctets(octets, envelope);
  if (typeof msg !== "object" || msg === null) throw notAMessage(msg);
  const reader = new MessageReader();
  const request = reader.read(msg).then((whole) => requestOfOctets(whole, envelope));
  // A call that fails before its turn does not wait for the message.
  request.catch(() => {});
  return { request, stop: (reason) => reader.stop(reason) };
}

function requestOfOctets(octets: Uint8Array, envelope: Envelope): MessageRequest {
  const message: ReadMessage = readMessage(octets);
  const from_addr = envelope.from_addr ?? message.sender();
  if (from_addr === undefined) throw noSender(message);
  const to_addrs = envelope.to_addrs ?? recipientsIn(message);
  return requestOf({ ...envelope, from_addr, to_addrs }, contentOf(message.message, "msg"), message.utf8Headers);
}

function recipientsIn(message: ReadMessage): readonly string[] {
  const recipients = message.recipients();
  if (recipients.length > 0) return recipients;
  throw noRecipients("to_addrs is missing, and msg names nobody in To, Cc or Bcc (or Resent-To, -Cc, -Bcc)");
}

function noSender({ resent }: ReadMessage): TypeError {
  const fields = resent
    ? "its Resent- block, which counts where there is a Resent-Date, has neither Resent-Sender nor Resent-From"
    : "msg has neither Sender nor From";
  return new TypeError(`from_addr is missing, and ${fields}`);
}

/** Releases the source for `send_message`, if a call fails before it is read. Never throws. */
export function discardMessage(msg: unknown): void {
  if (octetsOf(msg) !== undefined || !isSource(msg)) return;
  heardOf(msg);
  giveUp(msg);
}

/** Reads one message that is not in memory. */
class MessageReader {
  /** The context of the caller's code, even if another call ends this one. */
  readonly #within = callerContext();
  #chunks: Chunks | undefined;
  #stopped = false;

  async read(msg: object): Promise<Uint8Array> {
    const octets = octetsOf(await this.#rendered(msg));
    if (octets === undefined) throw notAMessage(msg);
    return octets;
  }

  stop(reason: unknown): void {
    this.#stopped = true;
    this.#chunks?.cancel(reason);
  }

  async #rendered(given: object): Promise<unknown> {
    const msg = hasMethod(given, "compile") ? checkedObject(fromCaller(() => given.compile())) : given;
    if (hasMethod(msg, "build")) return builtWithBcc(msg);
    if (hasMethod(msg, "asRaw")) return resultFromCaller(() => msg.asRaw());
    if (hasMethod(msg, "readAsync")) return `${hiddenBcc(msg)}${String(await resultFromCaller(() => msg.readAsync()))}`;
    if (hasMethod(msg, "createReadStream")) return this.#collected(streamOf(fromCaller(() => msg.createReadStream())));
    if (isSource(msg)) return this.#collected(msg);
    return ownText(msg);
  }

  async #collected(source: object): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    heardOf(source);
    try {
      if (this.#stopped) this.#within(() => giveUp(source));
      else this.#chunks = chunksWithin({ source, within: this.#within }, "msg");
      for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) parts.push(chunk);
    } catch (error) {
      this.#chunks?.cancel();
      if (isWrongChunk(error)) throw error;
      const text = `the source of the message failed: ${textOf(error)}`;
      throw new SMTPException(text, { cause: error, delivery: "not-sent" });
    }
    return concat(parts);
  }

  async #next(): Promise<Uint8Array | undefined> {
    const chunk = await this.#chunks?.next();
    // The call has ended, and part of a message must not be used as the whole.
    if (this.#stopped) throw new Error("reading was given up");
    return chunk;
  }
}

/** nodemailer's nodes omit Bcc by default, but its recipients get the mail; this library removes the field later. */
async function builtWithBcc(msg: { build: () => unknown; keepBcc?: unknown }): Promise<unknown> {
  const before = msg.keepBcc;
  if (typeof before !== "boolean") return resultFromCaller(() => msg.build());
  msg.keepBcc = true;
  try {
    return await resultFromCaller(() => msg.build());
  } finally {
    msg.keepBcc = before;
  }
}

/** emailjs never writes Bcc, but stores it among the headers of the object. */
function hiddenBcc(msg: object): string {
  const header: unknown = Reflect.get(msg, "header");
  if (typeof header !== "object" || header === null) return "";
  const bcc: unknown = Reflect.get(header, "bcc");
  return typeof bcc === "string" && bcc !== "" ? `Bcc: ${bcc}\r\n` : "";
}

/** The text of an object whose class has a `toString()` that returns a message; built-in ones return none. */
function ownText(msg: object): unknown {
  const own: unknown = Reflect.get(msg, "toString");
  if (typeof own !== "function" || isBuiltIn(own, msg)) throw notAMessage(msg);
  const text: unknown = fromCaller(() => own.call(msg));
  if (typeof text === "string" && !/^[!-9;-~]+[ \t]*:[^\r\n]*[\r\n]/.test(text)) throw notAMessage(msg);
  return text;
}

function isBuiltIn(method: object, of: object): boolean {
  // Some runtimes implement platform classes, such as URL, in JavaScript.
  const platform: unknown = Reflect.get(globalThis, kindOf(of));
  if (typeof platform === "function" && method === Reflect.get(Object(platform.prototype), "toString")) return true;
  const bound = String(Reflect.get(method, "name")).startsWith("bound ");
  return !bound && /\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(method));
}

/** A message in memory. Joins texts before encoding them: a surrogate pair may be split between two. */
function octetsOf(value: unknown): Uint8Array | undefined {
  if (typeof value === "string") return utf8(value);
  if (value instanceof Uint8Array) return value;
  return Array.isArray(value) ? joined(value) : undefined;
}

function joined(chunks: readonly unknown[]): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let text = "";
  for (const chunk of chunks) {
    if (typeof chunk === "string") text += chunk;
    else if (chunk instanceof Uint8Array) {
      parts.push(utf8(text), chunk);
      text = "";
    } else return undefined;
  }
  return concat([...parts, utf8(text)]);
}

function hasMethod<Name extends string>(value: object, name: Name): value is { [key in Name]: () => unknown } {
  // RegExp has its own compile().
  return typeof Reflect.get(value, name) === "function" && !(value instanceof RegExp);
}

function streamOf(stream: unknown): object {
  if (isSource(stream)) return stream;
  throw new TypeError("msg.createReadStream() gave no readable stream");
}

function checkedObject(value: unknown): object {
  if (typeof value === "object" && value !== null) return value;
  throw notAMessage(value);
}

function notAMessage(value: unknown): TypeError {
  return new TypeError(`msg must be an RFC 5322 message or an object that gives one, not ${kindOf(value)}`);
}
