/** The page. */
import type { History } from "../history.ts";

/** A running page. */
export type Ui = { readonly url: string; close(): Promise<void> };

/** Starts it. */
export async function startUi(_history: History, port: number): Promise<Ui> {
  return { url: `http://127.0.0.1:${port}/`, close: async () => {} };
}
