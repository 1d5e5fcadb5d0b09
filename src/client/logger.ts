/** Passes events to a logger: a readable line, and its fields, in the order that the logger expects. */

/** The fields of a log line. Undefined if the event has no such field. */
export type LogFields = {
  /** The kind of event. */
  readonly event: "connect" | "connect-failed" | "open" | "send" | "reply" | "end" | "delivered" | "failed";
  readonly [field: string]: string | number | boolean | undefined;
};

/**
 * Any console-like object. Its methods are called with the line, then the fields, which LogTape's loggers accept; a
 * pino logger, recognized by its `bindings()`, gets the fields first.
 */
export type Logger = {
  debug(message: string, fields: LogFields): void;
  info(message: string, fields: LogFields): void;
  warn(message: string, fields: LogFields): void;
  error(message: string, fields: LogFields): void;
};

/** The severity. */
export type LogLevel = keyof Logger;

/** Writes a line and its fields. */
export type Log = (level: LogLevel, message: string, fields: LogFields) => void;

/** A function that writes to this logger. Escapes braces and percent signs that the logger would format. */
export function logTo(logger: Logger): Log {
  if (has(logger, "bindings"))
    return (level, message, fields) => Reflect.apply(logger[level], logger, [fields, message]);
  if (has(logger, "getChild"))
    return (level, message, fields) => logger[level](message.replace(/[{}]/g, "$&$&"), fields);
  if (!has(logger, "dir")) return (level, message, fields) => logger[level](message, fields);
  return (level, message, fields) =>
    Reflect.apply(logger[level], logger, message.includes("%") ? ["%s", message, fields] : [message, fields]);
}

function has(logger: object, method: "bindings" | "getChild" | "dir"): boolean {
  return typeof Reflect.get(logger, method) === "function";
}
