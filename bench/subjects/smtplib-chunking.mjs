/** BDAT behind the replies to the envelope: the sink offers CHUNKING, and the options are the defaults. */
import { ours } from "./ours.mjs";

export default ours("smtplib-chunking", { chunking: true });
