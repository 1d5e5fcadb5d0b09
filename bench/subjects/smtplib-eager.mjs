/** Whole transactions in one flight, several at a time. */
import { ours } from "./ours.mjs";

export default ours("smtplib-eager", { chunking: true, pipelining: "eager" });
