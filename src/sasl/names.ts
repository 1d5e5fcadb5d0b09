/** The names of the mechanisms for a user and a password, without their code. */

/** Strongest first. */
export const PASSWORD_MECHANISMS: readonly string[] = [
  "SCRAM-SHA-512-PLUS",
  "SCRAM-SHA-512",
  "SCRAM-SHA-256-PLUS",
  "SCRAM-SHA-256",
  "SCRAM-SHA-1-PLUS",
  "SCRAM-SHA-1",
  "CRAM-MD5",
  "PLAIN",
  "LOGIN",
];

/**
 * The caller's choice of mechanisms, in upper case.
 * @param argument - its name in the errors
 * @throws {TypeError} if it is not an array of strings
 * @throws {RangeError} if a name in it is not one of `known`
 */
export function checkMechanismNames(mechanisms: unknown, known: readonly string[], argument: string): string[] {
  if (!Array.isArray(mechanisms)) throw new TypeError(`${argument} must be an array of strings`);
  return mechanisms.map((name: unknown) => {
    if (typeof name !== "string") throw new TypeError(`${argument} must be an array of strings`);
    const upper = name.toUpperCase();
    if (!known.includes(upper))
      throw new RangeError(`${argument}: ${JSON.stringify(name)} is not one of ${known.join(", ")}`);
    return upper;
  });
}
