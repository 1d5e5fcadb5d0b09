/** Calls a function for each item of a list, `many` at a time; returns the results in the list's order. */
export async function inParallel<T, R>(list: readonly T[], many: number, work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = list.entries();
  const worker = async (): Promise<void> => {
    for (const [index, one] of queue) results[index] = await work(one);
  };
  await Promise.all(Array.from({ length: many }, worker));
  return results;
}
