/** A transcript as a page. */
import { parseNotedTranscript } from "./transcript.ts";

/** @returns a page */
export function renderTranscript(transcript: string): string {
  return `<pre>${parseNotedTranscript(transcript).length}</pre>`;
}
