/** The fields of exceptions by their shape: those of another copy of the package, or from another process, have them, too. */
import type { Delivery } from "../client/outcome.ts";
import { makeReply, type Refused, type Reply } from "../core/reply.ts";
import type { DeliveryOutcome } from "../errors.ts";
import { storedText } from "./stored-reply.ts";

type Types = {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
  readonly object: object;
};

/** A field of a value; undefined where it is missing or of another type. */
export function field<T extends keyof Types>(owner: unknown, name: string, type: T): Types[T] | undefined {
  const value: unknown = typeof owner === "object" && owner !== null ? Reflect.get(owner, name) : undefined;
  return isA(value, type) ? value : undefined;
}

function isA<T extends keyof Types>(value: unknown, type: T): value is Types[T] {
  return typeof value === type && value !== null;
}

/** Returns the message of any thrown value, as it may be stored, and undefined if there is no error. */
export function textOf(error: unknown): string | undefined {
  return error === undefined ? undefined : storedText(error instanceof Error ? error.message : String(error));
}

/** The error underneath. */
export function cause(error: unknown): object | undefined {
  return field(error, "cause", "object");
}

/** Returns the field `delivery` of an exception. */
export function delivery(error: unknown): DeliveryOutcome | undefined {
  const known = field(error, "delivery", "string");
  return known === "not-sent" || known === "rejected" || known === "unknown" ? known : undefined;
}

/** True for what `deliver()` returns. */
export function isDelivery(value: unknown): value is Delivery {
  return !(value instanceof Error) && Array.isArray(field(value, "accepted", "object")) && isRefused(refusals(value));
}

/** The recipients that an exception names as refused, if there are any. */
export function refusedIn(error: unknown): Refused | undefined {
  const recipients = field(error, "recipients", "object");
  return isRefused(recipients) && Object.keys(recipients).length > 0 ? recipients : undefined;
}

/** The recipients that were refused before an outcome became unknown. */
export function refusedBefore(error: unknown): Refused {
  const refused = refusals(error);
  return isRefused(refused) ? refused : {};
}

/** The recipients that have the message although its outcome is unknown for others. */
export function acceptedBefore(error: unknown): readonly string[] {
  const accepted = field(error, "accepted", "object");
  return Array.isArray(accepted) ? accepted.filter((one) => typeof one === "string") : [];
}

function refusals(value: unknown): object | undefined {
  return field(value, "refused", "object");
}

function isRefused(value: object | undefined): value is Refused {
  return (
    value !== undefined && Object.values(value).every((reply) => typeof Reflect.get(Object(reply), 0) === "number")
  );
}

/** The reply that an exception carries; undefined where none came. */
export function replyIn(error: unknown): Reply | undefined {
  const code = field(error, "smtp_code", "number");
  if (code === undefined || code < 0) return undefined;
  return makeReply(code, (field(error, "smtp_error", "string") ?? "").split("\n"));
}
