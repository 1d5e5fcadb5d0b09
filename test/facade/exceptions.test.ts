/** The exceptions by themselves: their defaults without arguments. */
import { expect, test } from "vitest";
import { SMTPException, SMTPTimeoutError } from "../../src/index.ts";

test("an SMTPException needs no message, and is permanent unless told otherwise", () => {
  const error = new SMTPException();
  expect(error).toMatchObject({ name: "SMTPException", message: "", temporary: false, delivery: undefined });
  expect(error).not.toHaveProperty("cause");
});

test("an SMTPTimeoutError tells its phase, in words of its own if it is given none", () => {
  expect(new SMTPTimeoutError("dataInit")).toMatchObject({ phase: "dataInit", message: "timed out (dataInit)" });
  expect(new SMTPTimeoutError("quit", "too late")).toMatchObject({ phase: "quit", message: "too late" });
});
