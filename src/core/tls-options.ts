/** Checks TLS options: each must be known, and of its type. */
import { asciiHostName } from "./a-label.ts";
import { checkArgument, wrongType } from "./bytes.ts";

/**
 * Checks TLS options.
 * @throws {TypeError} naming the option, as a member of `argument`
 * @throws {RangeError} if a value is not allowed
 */
export function checkTlsMembers(options: { cert?: unknown; key?: unknown }, argument: string): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) checkOption(name, value, argument);
  }
  if ((options.cert === undefined) === (options.key === undefined)) return;
  throw new TypeError(`${argument}.cert and ${argument}.key go together`);
}

function checkOption(name: string, value: unknown, argument: string): void {
  const path = `${argument}.${name}`;
  switch (name) {
    case "servername":
      asciiHostName(checkArgument(value, path), path);
      return;
    case "cert":
    case "key":
      return checkStrings([value], path);
    case "ca":
    case "fingerprint256":
      return checkStrings(Array.isArray(value) ? value : [value], path);
    case "rejectUnauthorized":
      if (typeof value !== "boolean") throw wrongType(path, "a boolean", value);
      return;
    case "minVersion":
      if (value === "TLSv1.2" || value === "TLSv1.3") return;
      throw new RangeError(`${path} must be "TLSv1.2" or "TLSv1.3", not ${JSON.stringify(value)}`);
    case "ciphers":
    case "groups":
      if (checkArgument(value, path) !== "") return;
      throw new RangeError(`${path} must not be empty: leave it out for the runtime's own`);
    default:
      throw new TypeError(`${argument} has no option ${JSON.stringify(name)}`);
  }
}

function checkStrings(values: readonly unknown[], argument: string): void {
  for (const value of values) if (typeof value !== "string") throw wrongType(argument, "a string", value);
}
