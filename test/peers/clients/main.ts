/** A client in a separate process: reads its tasks as a line of JSON, and prints a line for each answer. */

import type { Answer, Task } from "../claims.ts";
import { inParallel } from "../in-parallel.ts";

/** Runs a client's main program; `send` never rejects. */
export async function answerAll(send: (task: Task) => Promise<Answer>): Promise<void> {
  let text = "";
  for await (const chunk of process.stdin) text += String(chunk);
  const tasks: Task[] = JSON.parse(text);
  await inParallel(tasks, 16, async (task) => console.log(JSON.stringify(await send(task))));
}
