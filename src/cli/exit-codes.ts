/** The exit codes of the commands: those of BSD's sysexits, and two more for outcomes that have no number there. */
import {
  SMTPAuthenticationError,
  SMTPConnectError,
  SMTPException,
  SMTPHeloError,
  SMTPNotSupportedError,
  SMTPServerDisconnected,
  SMTPTimeoutError,
  TlsError,
} from "../index.ts";
import { ProxyError } from "../proxy/index.ts";

/** The exit codes; `docs/cli.md` explains them. */
export const EXIT = {
  /** The message was accepted; the server has no fault. */
  ok: 0,
  /** Wrong arguments. */
  usage: 64,
  /** The server rejected the message permanently. */
  rejected: 65,
  /** A file cannot be read. */
  noInput: 66,
  /** No server answers. */
  unavailable: 69,
  /** A fault of this program. */
  software: 70,
  /** A file cannot be written, or a port cannot be opened. */
  cannotCreate: 73,
  /** A temporary failure. */
  temporary: 75,
  /** The server answers, but cannot do what was requested, or fails at it. */
  protocol: 76,
  /** The login was refused. */
  login: 77,
  /** The connection was lost after the message was sent: it is unknown whether it was accepted. */
  unknown: 79,
  /** The message was accepted, but not for all recipients. */
  partial: 80,
} as const;

/** One of the exit codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An invalid argument. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** The argument as it is written: "--port", "HOST". */
  readonly argument: string;

  constructor(argument: string, problem: string) {
    super(`${argument} ${problem}`);
    this.argument = argument;
  }
}

/** A failure outside the program, with its exit code. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The exit code for what a command threw. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof SMTPException) return exitCodeOfException(error);
  // The library refused an argument before it wrote a byte.
  if (error instanceof TypeError || error instanceof RangeError) return EXIT.usage;
  return EXIT.software;
}

function exitCodeOfException(error: SMTPException): ExitCode {
  if (error.delivery === "unknown") return EXIT.unknown;
  const own = causeOf(error, CommandError);
  if (own !== undefined) return own.exitCode;
  if (causeOf(error, TlsError)?.permanent === true) return EXIT.protocol;
  if (error instanceof SMTPAuthenticationError) return error.temporary ? EXIT.temporary : EXIT.login;
  if (error instanceof SMTPNotSupportedError) return error.capability === "AUTH" ? EXIT.login : EXIT.protocol;
  if (neverConnected(error)) return EXIT.unavailable;
  if (error.temporary) return EXIT.temporary;
  if (error instanceof SMTPConnectError || error instanceof SMTPHeloError) return EXIT.unavailable;
  return error.delivery === "rejected" ? EXIT.rejected : EXIT.protocol;
}

function neverConnected(error: SMTPException): boolean {
  if (error instanceof SMTPTimeoutError) return error.phase === "connect";
  return (error instanceof SMTPConnectError && error.smtp_code < 0) || causeOf(error, ProxyError) !== undefined;
}

/** An error and its causes, the outermost first. */
export function causes(error: unknown): unknown[] {
  const found: unknown[] = [];
  for (let cause = error; cause !== undefined; cause = cause instanceof Error ? cause.cause : undefined)
    found.push(cause);
  return found;
}

/** The first error of a class among an error and its causes. */
export function causeOf<E extends Error>(error: unknown, wanted: new (...args: never[]) => E): E | undefined {
  return causes(error).find((cause): cause is E => cause instanceof wanted);
}

/** Whether the connection was lost, for any reason. */
export function isLost(error: unknown): boolean {
  return error instanceof SMTPServerDisconnected;
}
