/** Polls another process. */

/** Asks until the answer is right, and returns it. By default, the right answer is true. */
export async function until<T>(ask: () => Promise<T>, isIt: (answer: T) => boolean = Boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isIt(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
