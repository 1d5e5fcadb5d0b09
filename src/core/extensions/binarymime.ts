/** BINARYMIME: any octets in a body, sent as they are (RFC 3030 3). Only when asked for: line ends would no longer become CRLF. */
import { notOffered, offers } from "../features.ts";
import type { Extension } from "./extension.ts";

export const binaryMime: Extension = {
  keyword: "BINARYMIME",
  rfc: "3030",
  mail: {
    options: ["body"],
    asked: ({ body }) => body === "BINARYMIME",
    of(_, server) {
      // Such a body may hold what ends DATA: it takes BDAT.
      const chunking = server === undefined || offers(server.features, "CHUNKING");
      if (!chunking) throw notOffered("CHUNKING", "the option body: BINARYMIME");
      return ["BODY=BINARYMIME"];
    },
  },
};
