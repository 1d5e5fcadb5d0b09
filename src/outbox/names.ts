/** Refuses options that do not exist, such as misspelled ones. */
import { quoted } from "../core/bytes.ts";
import { checkObject } from "../facade/options.ts";

/**
 * Checks the names of an object's properties. An object of a class may have what it likes besides.
 * @throws {TypeError} naming the property that is unknown, or the object if it is none
 */
export function checkNames(options: object, known: readonly string[], where: string): void {
  checkObject(options, where);
  if (Object.getPrototypeOf(options) !== Object.prototype) return;
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(`there is no option ${quoted(name)} in ${where}`);
  }
}
