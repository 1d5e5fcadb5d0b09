/** CHUNKING: the content in BDAT commands, of a length said beforehand (RFC 3030). The plan chooses the verb. */
import type { Extension } from "./extension.ts";

export const chunking: Extension = { keyword: "CHUNKING", rfc: "3030" };
