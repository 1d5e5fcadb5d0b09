/** Transcripts as text, for the judge's own tests. */
import { judgeOutcome, type Reported } from "./outcomes.ts";
import type { Circumstances, Violation, WireEvent } from "./transcript.ts";
import { WireJudge } from "./wire-judge.ts";

/**
 * A transcript, one event in each line: `S: ` bytes of the server, `C: ` one write of the client, `C+ ` more in the
 * same write, each with CRLF added; `C~ ` a write without it; `TLS`, `CLOSE` (in order), `DROP`, `LOST`; `CREDIT VERB
 * CODE` a reply that a call returned; `RECONNECT` begins another connection. `\r`, `\n` and `\xHH` represent bytes.
 */
export type Script = string;

/** Plays a transcript to a judge; before each write, the client has acted on everything it received. */
function play(script: Script, circumstances: Partial<Circumstances> = {}): WireJudge {
  const judge = new WireJudge({ protocol: "smtp", clearTextAllowed: false, ...circumstances });
  const lines = script
    .trimStart()
    .split("\n")
    .map((line) => line.trimStart());
  for (const [index, line] of lines.entries()) {
    if (line.startsWith("C+ ")) continue;
    if (line === "TLS") judge.take({ kind: "tls" });
    else if (line === "CLOSE") judge.take({ kind: "closed" });
    else if (line === "DROP") judge.take({ kind: "dropped" });
    else if (line === "LOST") judge.take({ kind: "lost" });
    else if (line.startsWith("CREDIT ")) judge.take(credit(line));
    else if (line.startsWith("S: ")) {
      judge.take({ kind: "read", bytes: bytesOf(`${line.slice(3)}\\r\\n`) });
      judge.take({ kind: "settled" });
    } else if (/^C[:~]/.test(line)) judge.take({ kind: "write", bytes: bytesOf(writeAt(lines, index)) });
    else throw new Error(`not a line of a transcript: ${line}`);
  }
  return judge;
}

/** The judge's violations for transcripts and, if there is one, for the report of their only message. */
export function verdicts(script: Script, circumstances: Partial<Circumstances> = {}, reported?: Reported): Violation[] {
  const judges = script.split("\nRECONNECT\n").map((connection) => play(connection, circumstances));
  const { protocol = "smtp" } = circumstances;
  const wire = judges.flatMap((judge) => judge.violations);
  const transactions = judges.flatMap((judge) => judge.transactions);
  return reported ? [...wire, ...judgeOutcome(reported, transactions, protocol)] : wire;
}

function credit(line: string): WireEvent {
  const [, verb = "", code] = line.split(" ");
  return { kind: "credited", verb, code: Number(code) };
}

function writeAt(lines: readonly string[], index: number): string {
  let text = textOf(lines[index] ?? "");
  for (let next = index + 1; lines[next]?.startsWith("C+ "); next++) text += textOf(lines[next] ?? "");
  return text;
}

function textOf(line: string): string {
  return line.startsWith("C~ ") ? line.slice(3) : `${line.slice(3)}\\r\\n`;
}

function bytesOf(text: string): Uint8Array {
  const unescaped = text.replace(/\\(r|n|x([\da-f]{2}))/gi, (_, kind: string, hex: string | undefined) => {
    if (kind === "r") return "\r";
    if (kind === "n") return "\n";
    return String.fromCharCode(Number.parseInt(hex ?? "0", 16));
  });
  return Uint8Array.from(Buffer.from(unescaped, "latin1"));
}
