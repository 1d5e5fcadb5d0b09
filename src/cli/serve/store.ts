/** `--store DIR`: each message as a file, in a Maildir or as .eml. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { TestMessage } from "../../testing/index.ts";
import { CommandError, EXIT } from "../exit-codes.ts";
import { reasonOf } from "../files.ts";

/** How messages are kept. */
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
   * Makes the folder, if it is missing.
   * @throws {CommandError} if it cannot be made
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

  /** Keeps a message; the path of its file. */
  async save(message: TestMessage): Promise<string> {
    this.#count += 1;
    // Unique among processes, and in the order in which the messages came.
    const name = `${Date.now()}.${process.pid}_${String(this.#count).padStart(6, "0")}`;
    if (this.#format === "eml") {
      const file = join(this.#folder, `${name}.eml`);
      await writeFile(file, message.content);
      return file;
    }
    const unfinished = join(this.#folder, "tmp", `${name}.${hostname()}`);
    await writeFile(unfinished, withLineFeeds(message.content));
    const file = join(this.#folder, "new", `${name}.${hostname()}`);
    await rename(unfinished, file);
    return file;
  }
}

/** A Maildir has the line ends of its system. */
function withLineFeeds(content: Uint8Array): Uint8Array {
  return content.filter((octet, at) => !(octet === 13 && content[at + 1] === 10));
}
