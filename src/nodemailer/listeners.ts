/** The listeners of a transport's events; `node:events` does not exist on every runtime. */

type Listener = (...args: unknown[]) => void;
type Entry = { readonly tell: Listener; readonly times: "always" | "once" };

/** The listeners of each event, in the order of their registration. */
export class Listeners {
  readonly #entries = new Map<string | symbol, Entry[]>();

  /** Adds one. */
  add(event: string | symbol, listener: Listener, times: Entry["times"] = "always"): void {
    this.#entries.set(event, [...(this.#entries.get(event) ?? []), { tell: listener, times }]);
  }

  /** Removes one. */
  remove(event: string | symbol, listener: Listener): void {
    this.#keep(event, (entry) => entry.tell !== listener);
  }

  /** Calls those of an event. */
  tell(event: string): void {
    const entries = this.#entries.get(event) ?? [];
    this.#keep(event, ({ times }) => times === "always");
    for (const { tell } of entries) tell();
  }

  #keep(event: string | symbol, which: (entry: Entry) => boolean): void {
    this.#entries.set(event, (this.#entries.get(event) ?? []).filter(which));
  }
}
