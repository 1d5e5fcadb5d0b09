/** Hands events to a logger: a line to read, and what it says as fields, in the order in which the logger takes them. */

/** What a line of the log says, one by one. Undefined where the event has no such thing. */
export type LogFields = {
  /** What happened. */
  readonly event: "connect" | "connect-failed" | "open" | "send" | "reply" | "end" | "delivered" | "failed";
  readonly [field: string]: string | number | boolean | undefined;
};

/**
 * Any console-like object: its methods are called with the line, then the fields. LogTape's loggers accept the same; a
 * pino logger, recognized by its `bindings()`, gets the fields first.
 */
export type Logger = {
  debug(message: string, fields: LogFields): void;
  info(message: string, fields: LogFields): void;
  warn(message: string, fields: LogFields): void;
  error(message: string, fields: LogFields): void;
};

/** How serious it is. */
export type LogLevel = keyof Logger;

/** Writes a line and its fields. */
export type Log = (level: LogLevel, message: string, fields: LogFields) => void;

/** What writes to this logger. Braces and percent signs in what a server says are text, wherever it is written. */
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
