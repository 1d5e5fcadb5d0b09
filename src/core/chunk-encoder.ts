/** Encodes message data for BDAT (RFC 3030 2). Separate from `body.ts`, because only servers with CHUNKING get it. */
import { BodyEncoder, NONE, skipWholeLineEnds } from "./body.ts";

/**
 * Encodes a message for BDAT: CRLF line ends and no stuffing. `end()` completes a lone CR or adds a missing last CRLF;
 * otherwise it returns an empty array. The lengths of the results of `encode()` and `end()` are the sizes of BDAT
 * chunks.
 */
export class ChunkEncoder extends BodyEncoder {
  constructor() {
    super(NONE, skipWholeLineEnds);
  }
}
