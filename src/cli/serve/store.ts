/** `--store DIR`: each message as a file, in a Maildir or as .eml. */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { TestMessage } from "../../testing/index.ts";
import { CommandError, EXIT } from "../exit-codes.ts";
import { reasonOf } from "../files.ts";

/** How messages are stored. */
export const STORE_FORMATS = ["eml", "maildir"] as const;

/** A folder of messages. */
export class MessageStore {
  readonly #folder: string;
  readonly #format: (typeof STORE_FORMATS)[number];
  #count = 0;

  private constructor(folder: string, format: (typeof STORE_FORMATS)[number]) {
    this.#folder = folder;
    this.#format = format;
  }

  /**
   * Creates the folder if it is missing.
   * @throws {CommandError} if it cannot be created
   */
  static async open(folder: string, format: (typeof STORE_FORMATS)[number]): Promise<MessageStore> {
    const parts = format === "maildir" ? ["tmp", "new", "cur"] : [""];
    try {
      for (const part of parts) await mkdir(join(folder, part), { recursive: true });
    } catch (cause) {
      const text = `--store ${folder} cannot be made: ${reasonOf(cause)}`;
      throw new CommandError(EXIT.cannotCreate, text, { cause });
    }
    return new MessageStore(folder, format);
  }

  /** Stores a message; returns the path of its file. */
  async save(message: TestMessage): Promise<string> {
    this.#count += 1;
    // Unique among processes, and in the order of arrival.
    const name = `${Date.now()}.${process.pid}_${String(this.#count).padStart(6, "0")}`;
    if (this.#format === "eml") {
      return await put(message.content, join(this.#folder, `.${name}.tmp`), join(this.#folder, `${name}.eml`));
    }
    const unique = `${name}.${hostname()}`;
    const content = withLineFeeds(message.content);
    return await put(content, join(this.#folder, "tmp", unique), join(this.#folder, "new", unique));
  }
}

/** Writes a file under another name and renames it when it is complete; removes it after a failure. */
async function put(content: Uint8Array, unfinished: string, file: string): Promise<string> {
  try {
    await writeFile(unfinished, content, { flag: "wx" });
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw error;
  }
  return file;
}

/** The files of a Maildir have the line ends of the system. */
function withLineFeeds(content: Uint8Array): Uint8Array {
  return content.filter((octet, at) => !(octet === 13 && content[at + 1] === 10));
}
