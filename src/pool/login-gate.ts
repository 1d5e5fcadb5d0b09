/**
 * Limits the number of connections that log in at the same time. Until the first login succeeds, only one logs in and
 * the others wait for its result: a wrong password costs one failed login, whatever their number.
 */

/** A connection that logs in; only its identity matters. */
type Candidate = object;

/** A refusal that every other connection would get, too. */
export type Refusal = { readonly error: unknown };

/** Admits one connection at a time until a login succeeds, then all. */
export class LoginGate {
  readonly #guarded: boolean;
  #isOpen: boolean;
  #first: Candidate | undefined;
  #waiting: ((refusal: Refusal | undefined) => void)[] = [];

  /** @param guarded - whether connections log in; otherwise the gate is always open */
  constructor(guarded: boolean) {
    this.#guarded = guarded;
    this.#isOpen = !guarded;
  }

  /** The number of connections that may start now. */
  get room(): number {
    if (this.#isOpen) return Number.POSITIVE_INFINITY;
    return this.#first === undefined ? 1 : 0;
  }

  /** Records that a connection starts. */
  enter(candidate: Candidate): void {
    if (!this.#isOpen) this.#first ??= candidate;
  }

  /** Records that a connection is established. */
  established(candidate: Candidate): void {
    this.#isOpen = true;
    this.failed(candidate);
  }

  /** Records that a connection failed; `refusal` is the reason if every other connection would fail likewise. */
  failed(candidate: Candidate, refusal?: Refusal): void {
    if (refusal !== undefined) this.#isOpen = !this.#guarded;
    if (this.#first === candidate) this.#first = undefined;
    if (this.#first !== undefined) return;
    for (const resolve of this.#waiting.splice(0)) resolve(refusal);
  }

  /** Resolves when the connection that logs in succeeds or fails; with the refusal if it applies to all. */
  result(): Promise<Refusal | undefined> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
