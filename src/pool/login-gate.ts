/**
 * Whether connections may sign on at the same time. Until a login has succeeded, one signs on and the others wait for its
 * verdict: a wrong password costs one session's login, however many connections there may be.
 */

/** A connection that signs on; only its identity counts. */
type Candidate = object;

/** A refusal that another connection would meet, too. */
export type Refusal = { readonly error: unknown };

/** Lets one connection sign on, or all. */
export class LoginGate {
  readonly #guarded: boolean;
  #isOpen: boolean;
  #first: Candidate | undefined;
  #waiting: ((refusal: Refusal | undefined) => void)[] = [];

  /** `guarded`: there is a login. Without one, the gate is open all the time. */
  constructor(guarded: boolean) {
    this.#guarded = guarded;
    this.#isOpen = !guarded;
  }

  /** How many more may begin to sign on now. */
  get room(): number {
    if (this.#isOpen) return Number.POSITIVE_INFINITY;
    return this.#first === undefined ? 1 : 0;
  }

  /** A connection begins to sign on. */
  enter(candidate: Candidate): void {
    if (!this.#isOpen) this.#first ??= candidate;
  }

  /** A connection has signed on. */
  signedOn(candidate: Candidate): void {
    this.#isOpen = true;
    this.left(candidate);
  }

  /** A connection has not signed on; if another one would not either, `refusal` says why. */
  left(candidate: Candidate, refusal?: Refusal): void {
    if (refusal !== undefined) this.#isOpen = !this.#guarded;
    if (this.#first === candidate) this.#first = undefined;
    if (this.#first !== undefined) return;
    for (const told of this.#waiting.splice(0)) told(refusal);
  }

  /** Resolves when the connection that signs on has its verdict: with the refusal, if that is one for all. */
  verdict(): Promise<Refusal | undefined> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
