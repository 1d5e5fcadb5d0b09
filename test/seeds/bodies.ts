/** The caller's bodies: the same text in every form that the pool accepts, from sources that pause, fail and hang. */
import type { Body } from "../../src/index.ts";
import type { BodyPlan } from "./scenario.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The error of a failing source. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

/** A body, and its expected content. */
export type MadeBody = {
  readonly body: Body | object;
  /** The content that the server must receive. */
  readonly expected: string;
  /** The number of times that its source was opened. */
  begun: number;
};

const LINES = ["hello", ".", "..", ".dots", "", "a longer line that says nothing of interest to anybody"] as const;

/** The text of a message: several kinds of line ends, and dots at the beginning of lines. */
export function textOf(from: string, to: readonly string[], lines: number): string {
  const content = Array.from({ length: lines }, (_, index) => LINES[index % LINES.length] ?? "");
  return `From: ${from}\nTo: ${to.join(", ")}\r\nSubject: x\n\n${content.join("\n")}`;
}

/** Makes a body. */
export function makeBody(plan: BodyPlan, text: string, time: VirtualTime): MadeBody {
  const lines = text.replaceAll("\r\n", "\n");
  const made: MadeBody = { body: "", expected: `${lines.replaceAll("\n", "\r\n")}\r\n`, begun: 0 };
  return Object.assign(made, { body: bodyOf(plan, text, time, () => made.begun++) });
}

function bodyOf(plan: BodyPlan, text: string, time: VirtualTime, begins: () => void): Body | object {
  switch (plan.kind) {
    case "text":
    case "message":
      return text;
    case "bytes":
      return new TextEncoder().encode(text);
    case "iterable":
      return {
        *[Symbol.iterator]() {
          begins();
          for (const [index, chunk] of chunksOf(text).entries()) {
            if (plan.fails === index) throw new SourceError("the source fails");
            yield chunk;
          }
        },
      };
    case "async":
      return {
        async *[Symbol.asyncIterator]() {
          begins();
          yield* paced(plan, text, time);
        },
      };
    case "stream":
      return streamOf(plan, text, time, begins);
    case "prepared":
      return {
        async asRaw() {
          begins();
          let whole = "";
          for await (const chunk of paced(plan, text, time)) whole += chunk;
          return whole;
        },
      };
  }
}

async function* paced(plan: BodyPlan, text: string, time: VirtualTime): AsyncGenerator<string> {
  for (const [index, chunk] of chunksOf(text).entries()) {
    if (plan.pause > 0) await time.wait(plan.pause);
    if (plan.fails === index) throw new SourceError("the source fails");
    if (plan.hangs === index) await new Promise(() => {});
    yield chunk;
  }
}

function streamOf(plan: BodyPlan, text: string, time: VirtualTime, begins: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const chunks = chunksOf(text);
  let index = 0;
  return new ReadableStream(
    {
      async pull(controller) {
        if (index === 0) begins();
        if (plan.pause > 0) await time.wait(plan.pause);
        if (plan.hangs === index) await new Promise(() => {});
        const chunk = chunks[index];
        if (plan.fails === index) controller.error(new SourceError("the source fails"));
        else if (chunk === undefined) controller.close();
        else controller.enqueue(encoder.encode(chunk));
        index++;
      },
    },
    { highWaterMark: 0 },
  );
}

/** Three pieces, cut at critical places: within line ends and after dots. */
function chunksOf(text: string): string[] {
  const third = Math.ceil(text.length / 3);
  return [text.slice(0, third), text.slice(third, 2 * third), text.slice(2 * third)];
}
