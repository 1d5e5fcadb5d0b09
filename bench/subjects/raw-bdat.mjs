/** The ceiling of bdat: whole transactions, up to 256 KiB in flight. */
import { rawSubject } from "./raw/subject.mjs";

export default rawSubject("bdat");
