/** The message to send: a finished one from a file or standard input, one that is built here, or one for a test. */

import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { hostname } from "node:os";
import { type ReadMessage, readMessage } from "../../core/index.ts";
import { mailDate } from "../../core/mail-date.ts";
import type { Arguments, OptionTable } from "../arguments.ts";
import { CommandError, EXIT, UsageError } from "../exit-codes.ts";
import { unreadable } from "../files.ts";
import type { Surroundings } from "../surroundings.ts";
import { BUILDING_OPTIONS, buildMessage, isBuilt } from "./build.ts";
import type { HeaderAddresses } from "./envelope.ts";

/** Where the message comes from. */
export const SOURCE_OPTIONS: OptionTable = {
  ...BUILDING_OPTIONS,
  test: { help: "send a short test message" },
};

/** A message that can be sent. */
export type OutgoingMessage = {
  readonly header: HeaderAddresses;
  /** True if header fields are raw UTF-8. */
  readonly utf8Headers: boolean;
  /** The size in bytes, if it is known before the end was read. */
  readonly size: number | undefined;
  /** Returns the content again at each call; a stream only once. */
  readonly content: () => Uint8Array | AsyncIterable<Uint8Array>;
  readonly isStream: boolean;
};

/** The largest message that is read into memory; a larger one is streamed. */
const LARGEST_IN_MEMORY = 8 * 1024 * 1024;

/**
 * The message that the arguments ask for.
 * @throws {UsageError} if there is none, or more than one; {CommandError} if a file cannot be read
 */
export async function messageOf(args: Arguments, around: Surroundings): Promise<OutgoingMessage> {
  const [file, more] = args.operands;
  if (more !== undefined) throw new UsageError(JSON.stringify(more), "is one argument too many");
  const asked = [file === undefined ? "" : "FILE", isBuilt(args), args.has("test") ? "--test" : ""];
  const [first, second] = asked.filter((name) => name !== "" && name !== undefined);
  if (second !== undefined) throw new UsageError(second, `cannot stand beside ${first}`);
  if (args.has("test")) return inMemory(testMessage(args));
  if (isBuilt(args) !== undefined) return inMemory(await buildMessage(args, around));
  if (file === undefined) throw new UsageError("FILE", "is missing: a message, - for standard input, --text or --test");
  if (file === "-") return fromStream(around.stdin, "standard input", undefined);
  const size = await sizeOf(file);
  return fromStream(createReadStream(file), file, size);
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    const found = await stat(file);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    throw unreadable("FILE", file, error);
  }
}

async function fromStream(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
  size: number | undefined,
): Promise<OutgoingMessage> {
  const chunks = stream[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  let isWhole = false;
  try {
    while (length <= LARGEST_IN_MEMORY && !isWhole) {
      const { done, value } = await chunks.next();
      isWhole = done === true;
      const bytes = isWhole ? new Uint8Array(0) : bytesOf(value);
      head.push(bytes);
      length += bytes.length;
    }
  } catch (error) {
    throw unreadable("FILE", name, error);
  }
  return isWhole ? inMemory(joined(head)) : streamed(joined(head), chunks, size);
}

function inMemory(bytes: Uint8Array): OutgoingMessage {
  if (bytes.length === 0) throw new CommandError(EXIT.noInput, "the message is empty");
  const read = readHeader(bytes);
  return {
    header: read,
    utf8Headers: read.utf8Headers,
    size: read.message.length,
    content: () => read.message,
    isStream: false,
  };
}

/** A message whose beginning was read, with its whole header if it has one. */
function streamed(
  head: Uint8Array,
  rest: AsyncIterator<Uint8Array | string>,
  size: number | undefined,
): OutgoingMessage {
  const read = readHeader(head);
  const content = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield read.message;
      for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield bytesOf(next.value);
    } finally {
      await rest.return?.();
    }
  };
  return { header: read, utf8Headers: read.utf8Headers, size, content, isStream: true };
}

function readHeader(bytes: Uint8Array): ReadMessage {
  try {
    return readMessage(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(EXIT.usage, `the message cannot be sent: ${reason}`, { cause: error });
  }
}

function testMessage(args: Arguments): Uint8Array {
  const id = `${randomUUID()}@${hostname()}`;
  const field = (name: string, text: string | undefined): string =>
    text === undefined || text === "" || text === "<>" ? "" : `${name}: ${text}\r\n`;
  const header = [
    field("From", args.text("from")),
    field("To", args.texts("to").join(", ")),
    field("Cc", args.texts("cc").join(", ")),
    `Subject: Test of ${new Date().toISOString()}\r\nDate: ${mailDate(new Date())}\r\nMessage-ID: <${id}>\r\n`,
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
  ];
  return new TextEncoder().encode(`${header.join("")}This is a test, sent by npx smtplib.\r\n`);
}

function bytesOf(chunk: Uint8Array | string): Uint8Array {
  return typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
