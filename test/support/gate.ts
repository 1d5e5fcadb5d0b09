/** A promise that a test settles, to hold something up until then. */

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
