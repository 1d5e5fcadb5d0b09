/**
 * The judge of every test: a test with a violation fails. A test whose caller breaks a rule on purpose names it with
 * `permit()`.
 */
import { afterEach, expect } from "vitest";
import type { Violation } from "./transcript.ts";
import { takeViolations } from "./watch.ts";

const permitted: RegExp[] = [];

/** Permits violations of rules for the rest of the test, whose caller or server breaks them on purpose. */
export function permit(rule: RegExp): void {
  permitted.push(rule);
}

/** The violations since the last call, except the permitted ones. */
export function violations(): Violation[] {
  return takeViolations().filter(({ rule }) => !permitted.some((one) => one.test(rule)));
}

/** Fails each test of the file with a violation. */
export function judgeEachTest(): void {
  afterEach(() => {
    const left = violations();
    permitted.length = 0;
    expect(left, "violations of the RFCs").toEqual([]);
  });
}
