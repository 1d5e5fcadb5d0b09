/**
 * The judge under every test: after each of them no violation may stand. A test whose caller breaks a rule on purpose
 * says so by `permit()`.
 */
import { afterEach, expect } from "vitest";
import type { Violation } from "./transcript.ts";
import { takeViolations } from "./watch.ts";

const permitted: RegExp[] = [];

/** Permits violations of rules for the rest of the test: its caller, or its server, is not one that keeps to the RFCs. */
export function permit(rule: RegExp): void {
  permitted.push(rule);
}

/** What was found since the last call, except what was permitted. */
export function violations(): Violation[] {
  return takeViolations().filter(({ rule }) => !permitted.some((one) => one.test(rule)));
}

/** Fails each test of the file after which a violation stands. */
export function judgeEachTest(): void {
  afterEach(() => {
    const left = violations();
    permitted.length = 0;
    expect(left, "violations of the RFCs").toEqual([]);
  });
}
