/** Runs work on several items concurrently, and yields the results in order. */
import { onAbort } from "../client/abort.ts";

/** Options of `inOrder()`. */
export type Work<Item, Result> = {
  /** The most items in progress. */
  readonly most: number;
  /** Works on an item. The signal fires when the result is no longer needed. */
  run(item: Item, signal: AbortSignal): Promise<Result>;
  /** Takes an item that arrived after the end. */
  discard(item: Item): void;
  readonly signal: AbortSignal | undefined;
  /** Called with each result right before the consumer gets it. */
  taken?(result: Result): void;
};

/** The result of asking a source for its next item. */
type Asked<Item> = { readonly next: IteratorResult<Item> } | { readonly error: unknown };

/** One item's work. */
type UnderWay<Result> = { readonly result: Promise<Result>; readonly abort: (reason: unknown) => void };

/**
 * Yields the result for each item, as soon as it and all before it are ready. Asks for items only as results are
 * consumed and `most` allows. If the source fails, the results of its items are yielded before its error is thrown.
 * When the signal fires, a result fails, or the consumer stops, it aborts the work in progress and ends the source.
 */
export async function* inOrder<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  { most, run, discard, signal, taken }: Work<Item, Result>,
): AsyncGenerator<Result, void, undefined> {
  signal?.throwIfAborted();
  const iterator = iteratorOf(items);
  const underWay: UnderWay<Result>[] = [];
  const abort = (reason: unknown): void => {
    for (const one of underWay) one.abort(reason);
  };
  const aborted = (): void => abort(signal?.reason);
  signal?.addEventListener("abort", aborted);
  let asked: Promise<Asked<Item>> | undefined;
  let failure: { readonly error: unknown } | undefined;
  let more = true;
  let failed = false;
  try {
    while (more || underWay.length > 0) {
      if (more && underWay.length < most) asked ??= ask(iterator);
      const first = underWay[0]?.result;
      const came = await unlessAborted(firstOf(asked, first), signal);
      if (came === undefined) {
        if (first !== undefined) {
          const result = await first;
          taken?.(result);
          yield result;
        }
        underWay.shift();
        continue;
      }
      asked = undefined;
      if ("error" in came) failure = came;
      if ("error" in came || came.next.done) more = false;
      else underWay.push(begin(came.next.value, run));
    }
    if (failure !== undefined) throw failure.error;
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    signal?.removeEventListener("abort", aborted);
    abort(new DOMException("the results are no longer waited for", "AbortError"));
    asked?.then((late) => {
      if ("next" in late && !late.next.done) discard(late.next.value);
    });
    const ended = more ? end(iterator) : undefined;
    // A source that is producing an item ends after it; an error does not wait for that.
    if (asked === undefined && !failed) await ended;
  }
}

/** Waits for the work, and rejects as soon as the signal fires. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const unlink = onAbort(signal, reject);
    work.then(resolve, reject).finally(unlink);
  });
}

function iteratorOf<Item>(items: Iterable<Item> | AsyncIterable<Item>): Iterator<Item> | AsyncIterator<Item> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}

async function ask<Item>(iterator: Iterator<Item> | AsyncIterator<Item>): Promise<Asked<Item>> {
  try {
    return { next: await iterator.next() };
  } catch (error) {
    return { error };
  }
}

/** The source's answer, or undefined once the first result is ready. */
function firstOf<Item>(
  asked: Promise<Asked<Item>> | undefined,
  result: Promise<unknown> | undefined,
): Promise<Asked<Item> | undefined> {
  return Promise.race([...(asked ? [asked] : []), ...(result ? [result.then(() => undefined)] : [])]);
}

function begin<Item, Result>(item: Item, run: Work<Item, Result>["run"]): UnderWay<Result> {
  const controller = new AbortController();
  return { result: heardOf(run(item, controller.signal)), abort: (reason) => controller.abort(reason) };
}

function end(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<unknown> {
  return heardOf((async () => iterator.return?.())());
}

/** Marks a failure as handled until its turn comes and it is reported. */
function heardOf<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}
