/** The ceiling of lockstep: command by command. */
import { rawSubject } from "./raw/subject.mjs";

export default rawSubject("lockstep");
