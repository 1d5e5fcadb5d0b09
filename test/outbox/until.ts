/** Polls another process. */

/** Asks until the answer is right, and returns it. By default, the right answer is true. */
export async function until<T>(ask: () => Promise<T>, isIt: (answer: T) => boolean = Boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isIt(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Asks until a list has one entry, and returns that. */
export async function theOne<T>(ask: () => Promise<readonly T[]>): Promise<T> {
  const [one] = await until(ask, ({ length }) => length === 1);
  if (one === undefined) throw new Error("the list is empty");
  return one;
}
