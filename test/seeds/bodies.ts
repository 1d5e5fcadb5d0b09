/** The caller's bodies: the same text in every form that the pool takes, from sources that pause, fail and hang. */
import type { Body } from "../../src/index.ts";
import type { BodyPlan } from "./scenario.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a source fails with. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

/** A body, and what is expected of it. */
export type MadeBody = {
  readonly body: Body | object;
  /** The content as the server has to get it. */
  readonly expected: string;
  /** How often its source was asked to begin. */
  begun: number;
};

const LINES = ["hello", ".", "..", ".dots", "", "a longer line that says nothing of interest to anybody"] as const;

/** The text of a message: line ends of all kinds, and dots at the beginning of lines. */
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

/** Three pieces, cut where it hurts: within line ends and behind dots. */
function chunksOf(text: string): string[] {
  const third = Math.ceil(text.length / 3);
  return [text.slice(0, third), text.slice(third, 2 * third), text.slice(2 * third)];
}
