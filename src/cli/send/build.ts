/** Builds messages from options, with nodemailer's MailComposer if it is installed. */
import { basename } from "node:path";
import type { Arguments, OptionTable } from "../arguments.ts";
import { CommandError, EXIT, UsageError } from "../exit-codes.ts";
import { checkReadable, readText, reasonOf } from "../files.ts";
import type { Surroundings } from "../surroundings.ts";

/** The options that describe a message. */
export const BUILDING_OPTIONS: OptionTable = {
  subject: { value: "TEXT", empty: true, short: "s", help: "the subject" },
  text: { value: "TEXT|@FILE|-", empty: true, free: true, help: "the text; a file, or standard input" },
  html: { value: "HTML|@FILE|-", empty: true, free: true, help: "the same as HTML" },
  attach: { value: "FILE", multiple: true, help: "a file to attach" },
  header: { value: '"NAME: TEXT"', multiple: true, help: "another header field" },
};

/** The option that asks for a message to be built, if there is one. */
export function isBuilt(args: Arguments): string | undefined {
  const name = Object.keys(BUILDING_OPTIONS).find((one) => args.has(one));
  return name === undefined ? undefined : `--${name}`;
}

/**
 * Builds the message, Bcc included.
 * @throws {CommandError} if nodemailer is not installed, or a file cannot be read; {UsageError} for a header field
 */
export async function buildMessage(args: Arguments, around: Surroundings): Promise<Uint8Array> {
  if (args.text("text") === "-" && args.text("html") === "-") {
    throw new UsageError("--html", "cannot be read from standard input, which --text takes");
  }
  for (const path of args.texts("attach")) await checkReadable("--attach", path);
  const MailComposer = await composer();
  const lists = Object.fromEntries(
    ["to", "cc", "bcc"].flatMap((name) => (args.has(name) ? [[name, args.texts(name).join(", ")]] : [])),
  );
  const node = new MailComposer({
    ...lists,
    from: args.text("from"),
    subject: args.text("subject"),
    text: await contentOf(args, "text", around),
    html: await contentOf(args, "html", around),
    attachments: args.texts("attach").map((path) => ({ path, filename: basename(path) })),
    headers: headersOf(args),
    disableUrlAccess: true,
  }).compile();
  node.keepBcc = true;
  try {
    return new Uint8Array(await node.build());
  } catch (error) {
    throw new CommandError(EXIT.noInput, `the message cannot be built: ${reasonOf(error)}`, { cause: error });
  }
}

type Node = { keepBcc: boolean; build(): Promise<Uint8Array> };
type Composer = new (options: object) => { compile(): Node };

async function composer(): Promise<Composer> {
  try {
    const module: { default: Composer } = await import("nodemailer/lib/mail-composer/index.js");
    return module.default;
  } catch (cause) {
    const text = "building messages takes nodemailer: npm install nodemailer, or give a finished message";
    throw new CommandError(EXIT.unavailable, text, { cause });
  }
}

async function contentOf(args: Arguments, name: string, { stdin }: Surroundings): Promise<string | undefined> {
  const text = args.text(name);
  if (text === undefined) return undefined;
  if (text.startsWith("@")) return readText(`--${name}`, text.slice(1));
  if (text !== "-") return text;
  const decoder = new TextDecoder();
  let whole = "";
  for await (const chunk of stdin) whole += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
  return whole + decoder.decode();
}

function headersOf(args: Arguments): { key: string; value: string }[] {
  return args.texts("header").map((field) => {
    const [, key, value] = /^([!-9;-~]+):[ \t]*([^\r\n\0]*)$/.exec(field) ?? [];
    if (key !== undefined && value !== undefined) return { key, value };
    throw new UsageError("--header", `must be "NAME: TEXT": ${JSON.stringify(field)}`);
  });
}
