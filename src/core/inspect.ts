/** How an object shows itself to `console.log`. Node, Deno and Bun honour the same symbol. */

/** The name of the method that returns what is printed in place of an object: Node's `util.inspect.custom`. */
export const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * Has an instance print as these fields, under the name of its class, unless a subclass has a form of its own. It is the
 * runtime that prints them, to its depth, in its colours.
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
