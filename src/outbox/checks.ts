/** Checks of arguments: names of options, methods, and what is stored as text. */
import { hasLoneSurrogate, quoted, wrongType } from "../core/bytes.ts";
import { checkObject } from "../facade/options.ts";

/**
 * Checks the names of an object's properties. An object of a class may have what it likes besides.
 * @throws {TypeError} naming the property that is unknown, or the object if it is none
 */
export function checkNames(options: object, known: readonly string[], where: string): void {
  checkObject(options, where);
  if (![Object.prototype, null].includes(Object.getPrototypeOf(options))) return;
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(`there is no option ${quoted(name)} in ${where}`);
  }
}

/**
 * Checks methods, which may be inherited.
 * @throws {TypeError} naming the object, or the method that is missing
 */
export function checkMethods(object: object, names: readonly string[], where: string): void {
  checkObject(object, where);
  for (const name of names) {
    const method: unknown = Reflect.get(object, name);
    if (typeof method !== "function") throw wrongType(`${where}.${name}`, "a function", method);
  }
}

const NUL = "\0";

/**
 * Checks text that a queue stores. PostgreSQL takes no NUL, and two different lone surrogates become the same octets.
 * @throws {TypeError} or {RangeError} naming the argument
 */
export function checkText(value: unknown, name: string): asserts value is string {
  if (typeof value !== "string") throw wrongType(name, "a string", value);
  if (value.includes(NUL)) throw new RangeError(`${name} must not contain NUL`);
  if (hasLoneSurrogate(value)) throw new RangeError(`${name} has a lone surrogate, which cannot be encoded`);
}

/**
 * Checks the name of a message.
 * @throws {TypeError} naming the argument
 */
export function checkId(id: unknown): asserts id is string {
  if (typeof id !== "string") throw wrongType("id", "a string", id);
}

/**
 * Checks which part of a list is asked for.
 * @throws {TypeError} or {RangeError} naming the argument
 */
export function checkRange(start: unknown, end: unknown): void {
  for (const [name, value] of Object.entries({ start, end })) {
    if (typeof value !== "number") throw wrongType(name, "a number", value);
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name} must be a whole number from 0 on`);
  }
}
