/** Defines how `console.log` prints an object. Node, Deno and Bun use the same symbol. */

/** The name of the method that returns a replacement to print: Node's `util.inspect.custom`. */
export const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * Makes an instance print these fields, under the name of its class, unless a subclass has its own form. The runtime
 * prints them, with its depth and colors.
 */
export function showAs(instance: object, fields: () => object): void {
  if (INSPECT in instance) return;
  const value = (): object => named(instance.constructor.name, fields());
  Object.defineProperty(instance, INSPECT, { value });
}

/** Node and Deno print the name of the class, Bun the tag. */
function named(name: string, fields: object): object {
  const Named = { [name]: class {} }[name] ?? Object;
  const shown = Object.assign(new Named(), fields);
  return Object.defineProperty(shown, Symbol.toStringTag, { value: name });
}
