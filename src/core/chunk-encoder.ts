/** Message data for BDAT (RFC 3030 2). Apart from `body.ts`, because only servers with CHUNKING get it. */
import { BodyEncoder, NONE, skipWholeLineEnds } from "./body.ts";

/**
 * Encodes a message for BDAT: CRLF line ends and no stuffing.
 * `end()` completes a lone CR or adds a missing last CRLF; it is empty when there is nothing to add.
 * The octet counts of BDAT are the lengths of what `encode()` and `end()` return.
 */
export class ChunkEncoder extends BodyEncoder {
  constructor() {
    super(NONE, skipWholeLineEnds);
  }
}
