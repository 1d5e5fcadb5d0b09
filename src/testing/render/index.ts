/** A transcript as a page: a sequence diagram on a time axis, self-contained and without a script. */
import { STYLE } from "./style.ts";
import { type Step, type Timeline, timelinesOf } from "./timeline.ts";

/**
 * Draws a transcript of `recordTranscript` as an HTML page: the client left, the server right, which side waited, which
 * lines were sent in one write, numbers of bytes and round trips. With the option `times` of the recording it has a
 * time axis, on which longer pauses are shortened. The page loads nothing.
 *
 * @throws SyntaxError for an invalid transcript
 * @example
 * ```ts
 * import { recordTranscript, renderTranscript, startServer } from "smtplib/testing";
 *
 * const server = startServer();
 * const recording = recordTranscript(server.transport, { times: true });
 * const smtp = await SMTP.connect("mail.example.com", 25, { transport: recording.transport });
 * await smtp.noop();
 * await smtp.quit();
 * await server.close();
 * const page = renderTranscript(recording.transcript); // an HTML document
 * console.log(page.startsWith("<!doctype html>")); // true
 * ```
 */
export function renderTranscript(transcript: string): string {
  const timelines = timelinesOf(transcript);
  const [first] = timelines;
  const title = first === undefined ? "No dialogue" : `Dialogue with ${first.endpoint}`;
  // A recording may have begun long before the first session.
  const start = first?.steps[0]?.at ?? 0;
  const sections = timelines.map((timeline, index) =>
    section(timeline, start, timelines.length > 1 ? index + 1 : undefined),
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
<p class="about">${timelines.length === 0 ? "There was no connection." : ABOUT}</p>
${sections.join("\n")}
</main>
</body>
</html>
`;
}

const ABOUT =
  "Times count from the first line. A row is what was written or read at once; open it for the octets. Secrets are ***.";

/** The number of lines that a row shows before it is opened. */
const SHOWN = 8;

function section(timeline: Timeline, start: number, number: number | undefined): string {
  const heading = number === undefined ? "" : `<h2>Connection ${number}: ${escaped(timeline.endpoint)}</h2>\n`;
  const steps = timeline.steps.map((step, index) => stepHtml(step, timeline.steps[index - 1], start));
  return `<section>
${heading}<dl class="sums">${sums(timeline)}</dl>
<div class="ends" aria-hidden="true"><span class="c">client</span><span class="s">server</span></div>
<ol class="sequence">
${steps.join("\n")}
</ol>
<p class="legend"><span><i></i> waits for the other side; the axis is logarithmic</span></p>
</section>`;
}

function sums(timeline: Timeline): string {
  const { duration, sent, received, sentMasked, receivedMasked, writes, roundTrips, clientWaited, serverWaited } =
    timeline;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["took", duration === undefined ? undefined : shownTime(duration)],
    ["round trips", String(roundTrips)],
    ["writes", String(writes)],
    ["sent", `${shownOctets(sent)}${sentMasked ? " and secrets" : ""}`],
    ["received", `${shownOctets(received)}${receivedMasked ? " and secrets" : ""}`],
    ["client waited", clientWaited === undefined ? undefined : shownTime(clientWaited)],
    ["server waited", serverWaited === undefined ? undefined : shownTime(serverWaited)],
  ];
  return rows
    .flatMap(([name, value]) => (value === undefined ? [] : [`<div><dt>${name}</dt><dd>${value}</dd></div>`]))
    .join("");
}

function stepHtml(step: Step, before: Step | undefined, start: number): string {
  const gap = pauseHtml(step, before);
  const style = gap === "" ? "" : ` style="--gap: ${height(step.gap ?? 0)}px"`;
  const time = step.at === undefined ? "" : `<time>${shownTime(step.at - start)}</time>`;
  return `<li class="step ${step.kind}"${style}>${gap}${time}${bodyHtml(step)}</li>`;
}

function bodyHtml(step: Step): string {
  switch (step.kind) {
    case "connect":
      return `<div class="plain">connected to ${escaped(step.lines[0] ?? "")}</div>`;
    case "tls":
      return `<div class="plain">TLS from here on${step.notes.map((note) => `: ${escaped(note)}`).join("")}<span class="band"></span></div>`;
    case "end":
      return '<div class="plain">the server ends the connection</div>';
    default:
      return `<details><summary>${labelHtml(step)}<span class="arrow"></span></summary><pre tabindex="0">${escaped(step.lines.join("\n"))}</pre></details>`;
  }
}

function labelHtml({ kind, commands, content, masked, octets }: Step): string {
  const shown = kind === "server" ? replyLines(commands) : commands.slice(0, SHOWN);
  const more = commands.length - shown.length;
  const lines = shown.map((line) => `<code${severityOf(kind, line)}>${escaped(shortened(line))}</code>`);
  const rest = kind === "client" && more > 0 ? [`<code>and ${more} more lines</code>`] : [];
  const message = content > 0 ? [`<code>message: ${shownOctets(content)}</code>`] : [];
  const together = kind === "client" && commands.length > 1 ? `${commands.length} commands in one write, ` : "";
  return `${[...lines, ...rest, ...message].join("")}<span class="size">${together}${shownSize(octets, masked)}</span>`;
}

function shownSize(octets: number, masked: boolean): string {
  if (!masked) return shownOctets(octets);
  return octets === 0 ? "a secret" : `${shownOctets(octets)} and a secret`;
}

/** Each reply; of a reply with several lines, the first one and the number of lines. */
function replyLines(lines: readonly string[]): string[] {
  const shown: string[] = [];
  let length = 0;
  for (const [index, line] of lines.entries()) {
    length += 1;
    if (/^\d{3}-/.test(line) && index + 1 < lines.length) continue;
    const first = lines[index + 1 - length] ?? line;
    shown.push(length === 1 ? line : `${first.replace("-", " ")} … (${length} lines)`);
    length = 0;
  }
  const [a, b] = [shown.slice(0, SHOWN), shown.length - SHOWN];
  return b > 0 ? [...a, `and ${b} more replies`] : a;
}

/** The side that waited: the client for a reply, the server for the client's next step. */
function pauseHtml({ gap, kind }: Step, before: Step | undefined): string {
  if (gap === undefined || gap < 0.05) return "";
  const what =
    kind === "tls"
      ? "handshake"
      : before?.kind === kind
        ? "later"
        : kind === "client"
          ? "the client took"
          : kind === "server"
            ? "the server took"
            : "after";
  return `<div class="pause"><span>${what} ${shownTime(gap)}</span></div>`;
}

/** The style of a reply: refused permanently, or temporarily. */
function severityOf(kind: Step["kind"], line: string): string {
  if (kind !== "server") return "";
  if (line.startsWith("5")) return ' class="refused"';
  return line.startsWith("4") ? ' class="later"' : "";
}

/** The height of a pause in pixels. */
function height(milliseconds: number): number {
  return Math.round(Math.min(120, 22 + 22 * Math.log10(1 + milliseconds)));
}

function shownTime(milliseconds: number): string {
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 100 ? 1 : 0)} ms`;
}

function shownOctets(octets: number): string {
  if (octets >= 1e6) return `${(octets / 1e6).toFixed(1)} MB`;
  return octets >= 1e4 ? `${(octets / 1e3).toFixed(1)} kB` : `${octets} octets`;
}

function shortened(line: string): string {
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
