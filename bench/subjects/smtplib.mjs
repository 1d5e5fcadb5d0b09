/** DATA: the sink offers no CHUNKING. */
import { ours } from "./ours.mjs";

export default ours("smtplib", { chunking: false });
