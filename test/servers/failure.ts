/** For calls that must fail in a way that takes more than one assertion to tell. */

/** What the promise rejects with. @throws Error if it resolves. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}
