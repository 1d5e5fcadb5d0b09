/** BINARYMIME: any bytes in a body, unchanged (RFC 3030 3). Only on request: line ends would not become CRLF. */
import { notOffered, offers } from "../features.ts";
import type { Extension } from "./extension.ts";

export const binaryMime: Extension = {
  keyword: "BINARYMIME",
  rfc: "3030",
  mail: {
    options: ["body"],
    asked: ({ body }) => body === "BINARYMIME",
    of(_, server) {
      // Such a body may contain the end of DATA: it requires BDAT.
      const chunking = server === undefined || offers(server.features, "CHUNKING");
      if (!chunking) throw notOffered("CHUNKING", "the option body: BINARYMIME");
      return ["BODY=BINARYMIME"];
    },
  },
};
