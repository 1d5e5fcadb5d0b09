/** Works on several things at a time, and gives the results in order. */
import { onAbort } from "../client/abort.ts";

/**
 * Gives what `work` makes of each item, as soon as it and all before it are there. At most `most` are under way, and
 * no more items are asked for than results are taken. What fails ends it, and the signal does, whatever is waited for.
 */
export async function* inOrder<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  most: number,
  work: (item: Item) => Promise<Result>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Result, void, undefined> {
  const iterator = iteratorOf(items);
  const underWay: Promise<Result>[] = [];
  let asked: Promise<IteratorResult<Item>> | undefined;
  let more = true;
  try {
    while (more || underWay.length > 0) {
      if (more && underWay.length < most) asked ??= heardOf(Promise.resolve(iterator.next()));
      const first = underWay[0];
      const next = Promise.race([...(asked ? [asked] : []), ...(first ? [first.then(() => undefined)] : [])]);
      const came = await unlessAborted(next, signal);
      if (came === undefined) {
        if (first !== undefined) yield await first;
        underWay.shift();
        continue;
      }
      asked = undefined;
      if (came.done) more = false;
      else underWay.push(heardOf(work(came.value)));
    }
  } finally {
    const returned = more ? heardOf(Promise.resolve(iterator.return?.())) : undefined;
    // A source that was asked for an item may take its time, and ends behind that.
    if (asked === undefined) await returned;
  }
}

/** Waits for the work, but not longer than until the signal fires. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const unlink = onAbort(signal, reject);
    work.then(resolve, reject).finally(unlink);
  });
}

function iteratorOf<Item>(items: Iterable<Item> | AsyncIterable<Item>): Iterator<Item> | AsyncIterator<Item> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}

/** Its failure is told when its turn has come: it is not unhandled until then. */
function heardOf<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}
