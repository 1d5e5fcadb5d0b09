/** CHUNKING: the content in BDAT commands, each with its length (RFC 3030). The plan chooses the verb. */
import type { Extension } from "./extension.ts";

export const chunking: Extension = { keyword: "CHUNKING", rfc: "3030" };
