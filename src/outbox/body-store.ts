/** Bodies that are too large for a queue: where they are kept, and how they are read. */
import { builtinModule } from "../client/builtin-module.ts";
import { decodeBase64, encodeBase64 } from "../core/base64.ts";
import { asUtf8, utf8 } from "../core/bytes.ts";

/** Keeps bodies under names that this package makes: letters, digits and "-". */
export type BodyStore = {
  put(name: string, body: Uint8Array): Promise<unknown>;
  /** Rejects, or gives undefined, where there is none. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Succeeds where there is none. */
  delete(name: string): Promise<unknown>;
};

/** A body in a queue: as text, as base64 where no queue takes it as text, or the name under which a store has it. */
export type StoredBody = { readonly text: string } | { readonly base64: string } | { readonly name: string };

/** The body could not be read or written. The message is tried again. */
export class BodyUnavailableError extends Error {
  override readonly name: string = "BodyUnavailableError";
  /** A store that fails may work later. */
  readonly temporary: boolean = true;
  /** Nothing of the message was sent. */
  readonly delivery: string = "not-sent";
}

/** A body for the queue. */
export function inlineBody(body: Uint8Array): StoredBody {
  const text = asUtf8(body);
  // PostgreSQL takes no NUL in JSON.
  return text === undefined || text.includes("\0") ? { base64: encodeBase64(body) } : { text };
}

/** A queued body, and how long it is. */
type Queued = { readonly body: StoredBody; readonly octets: number };

/**
 * The body of a queued message.
 * @throws {BodyUnavailableError} if the store fails, has no such body or another one, or is missing
 */
export async function readBody({ body, octets }: Queued, store: BodyStore | undefined): Promise<Uint8Array> {
  const read = await readAny(body, store);
  if (read.length === octets) return read;
  throw new BodyUnavailableError(`the body has ${read.length} octets, and had ${octets} when it was queued`);
}

async function readAny(body: StoredBody, store: BodyStore | undefined): Promise<Uint8Array> {
  if ("text" in body) return utf8(body.text);
  if ("base64" in body) {
    const octets = decodeBase64(body.base64);
    if (octets === undefined) throw new BodyUnavailableError("the body in the queue is no base64");
    return octets;
  }
  if (store === undefined) throw new BodyUnavailableError("the body is in a store, and the option bodies names none");
  return await readStored(body.name, store);
}

async function readStored(name: string, store: BodyStore): Promise<Uint8Array> {
  let octets: unknown;
  try {
    octets = await store.get(name);
  } catch (cause) {
    throw new BodyUnavailableError("the store of bodies failed", { cause });
  }
  if (octets === undefined) throw new BodyUnavailableError(`the store of bodies has no ${name}`);
  if (octets instanceof Uint8Array) return octets;
  throw new BodyUnavailableError("the store of bodies gave something that is no Uint8Array");
}

/** The functions of `node:fs/promises` that are used. */
type Files = {
  mkdir(path: string, options: { recursive: boolean }): Promise<unknown>;
  open(path: string, flags: string): Promise<File>;
  rename(from: string, to: string): Promise<void>;
  readFile(path: string): Promise<Uint8Array>;
  rm(path: string, options: { force: boolean }): Promise<void>;
};

type File = { writeFile(data: Uint8Array): Promise<void>; sync(): Promise<void>; close(): Promise<void> };

/**
 * Keeps bodies as files of a folder, which all workers have to reach. A body is written under another name, flushed to
 * the disk and renamed, and its folder is flushed, so that a crash leaves no half of one and a power failure loses none.
 * @param folder - made where it is missing
 * @throws {Error} if the runtime has no `node:fs`
 */
export function fileBodies(folder: string): BodyStore {
  if (typeof folder !== "string" || folder === "") throw new TypeError("folder must be the path of a folder");
  const files = builtinModule<Files>("fs/promises");
  if (files === undefined) throw new Error("this runtime has no node:fs");
  const path = (name: string): string => `${folder}/${checkName(name)}`;
  return {
    async put(name, body) {
      const made = await files.mkdir(folder, { recursive: true });
      if (made !== undefined) await flushed(files, `${folder}/..`);
      const unfinished = `${path(name)}.${crypto.randomUUID()}`;
      try {
        await written(await files.open(unfinished, "wx"), body);
        await files.rename(unfinished, path(name));
      } catch (error) {
        await files.rm(unfinished, { force: true });
        throw error;
      }
      await flushed(files, folder);
    },
    get: (name) => files.readFile(path(name)),
    delete: (name) => files.rm(path(name), { force: true }),
  };
}

async function written(file: File, body: Uint8Array): Promise<void> {
  try {
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Flushes the names in a folder, where the system lets a folder be opened: Windows does not, and journals them. */
async function flushed(files: Files, folder: string): Promise<void> {
  const opened = await files.open(folder, "r").catch(() => undefined);
  if (opened === undefined) return;
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

function checkName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(name)) return name;
  throw new RangeError("the name of a body must be of letters, digits, dots and hyphens");
}
