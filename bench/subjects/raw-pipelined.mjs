/** The ceiling of pipelined: the envelope in one write, the next one behind the body. */
import { rawSubject } from "./raw/subject.mjs";

export default rawSubject("pipelined");
