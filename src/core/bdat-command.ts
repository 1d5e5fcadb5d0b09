/** BDAT (RFC 3030 2). Separate from `command.ts`, because only servers with CHUNKING get it. */
import { Command, type ReplyReceiver } from "./command.ts";

/** BDAT for a chunk of `octets` bytes; "last" ends the message. */
export function bdatCommand(octets: number, place: "more" | "last", receiver?: ReplyReceiver): Command {
  return place === "last"
    ? new Command("BDAT", `BDAT ${octets} LAST`, "dataDone", receiver)
    : new Command("BDAT", `BDAT ${octets}`, "dataBlock", receiver);
}
