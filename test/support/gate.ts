/** A promise that a test settles, to delay something until then. */

/** Closed at first: `opened` resolves once `open` is called. */
export type Gate = { readonly open: () => void; readonly opened: Promise<void> };

/** A new gate. */
export function gate(): Gate {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}
