/** For calls whose failure takes more than one assertion to check. */

/** The rejection of a promise. @throws Error if it resolves. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}
