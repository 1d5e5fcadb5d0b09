/** Deadlines: the values from the options, and the one timer that watches them. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DEFAULT_TIMEOUTS, type Deadline, resolveTimeouts, Watchdog } from "../../src/client/deadline.ts";

describe("the timeouts", () => {
  test("are the RFC's by default", () => {
    expect(resolveTimeouts(undefined)).toEqual(DEFAULT_TIMEOUTS);
    expect(resolveTimeouts(null)).toEqual(DEFAULT_TIMEOUTS);
    expect(DEFAULT_TIMEOUTS).toEqual({
      connect: 30,
      greeting: 300,
      tls: 30,
      command: 300,
      envelope: 300,
      dataInit: 120,
      dataBlock: 180,
      dataDone: 600,
      quit: 5,
      total: undefined,
    });
  });

  test("are all set by `timeout` but quit and total", () => {
    const { quit, total, ...others } = resolveTimeouts(0.5);
    expect(new Set(Object.values(others))).toEqual(new Set([0.5]));
    expect([quit, total]).toEqual([5, undefined]);
  });

  test("can be set one by one, over `timeout`", () => {
    expect(resolveTimeouts(10, { dataDone: 60, quit: 1, total: 99, greeting: undefined, tls: null })).toMatchObject({
      command: 10,
      dataDone: 60,
      quit: 1,
      total: 99,
      greeting: 10,
      tls: 10,
    });
  });

  test.each([0, -1, -0, Number.NaN, Number.POSITIVE_INFINITY])("of %d seconds are refused", (seconds) => {
    expect(() => resolveTimeouts(seconds)).toThrow(RangeError);
    expect(() => resolveTimeouts(seconds)).toThrow(/timeout/);
    expect(() => resolveTimeouts(undefined, { quit: seconds })).toThrow(/timeouts\.quit/);
  });

  test.each(["5", true, [5], {}])("that are no numbers are refused: %j", (seconds) => {
    expect(() => resolveTimeouts(seconds)).toThrow(TypeError);
    expect(() => resolveTimeouts(undefined, { total: seconds })).toThrow(TypeError);
  });

  test("of phases that do not exist are refused", () => {
    expect(() => resolveTimeouts(undefined, { data: 5 })).toThrow(/"data"/);
    expect(() => resolveTimeouts(undefined, { constructor: 5 })).toThrow(TypeError);
  });
});

describe("the watchdog", () => {
  let expired: Deadline[];
  let dog: Watchdog;

  beforeEach(() => {
    vi.useFakeTimers();
    expired = [];
    dog = new Watchdog((deadline) => expired.push(deadline));
  });

  afterEach(() => {
    dog.close();
    vi.useRealTimers();
  });

  test("says once that a deadline was reached, and not before", () => {
    const deadline = dog.add("command");
    dog.arm(deadline, "envelope", 2);
    vi.advanceTimersByTime(1999);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(2);
    expect(expired).toEqual([deadline]);
    expect(deadline.phase).toBe("envelope");
    vi.advanceTimersByTime(100_000);
    expect(expired).toHaveLength(1);
  });

  test("needs one timer, however many deadlines and however often they are set", () => {
    const [a, b] = [dog.add("command"), dog.add("total")];
    for (let i = 0; i < 1000; i++) {
      dog.arm(a, "command", 300);
      dog.arm(b, "total", 600);
      dog.disarm(a);
    }
    expect(vi.getTimerCount()).toBe(1);
  });

  test("follows a deadline that is put off, and one that is moved nearer", () => {
    const deadline = dog.add("command");
    dog.arm(deadline, "command", 2);
    vi.advanceTimersByTime(1500);
    dog.arm(deadline, "command", 2);
    vi.advanceTimersByTime(1500);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(600);
    expect(expired).toHaveLength(1);
    dog.arm(deadline, "command", 100);
    dog.arm(deadline, "command", 1);
    vi.advanceTimersByTime(1001);
    expect(expired).toHaveLength(2);
  });

  test("forgets one that is turned off, removed, or has no seconds", () => {
    const [a, b, c] = [dog.add("command"), dog.add("quit"), dog.add("total")];
    for (const deadline of [a, b, c]) dog.arm(deadline, "command", 1);
    dog.disarm(a);
    dog.remove(b);
    dog.arm(c, "total", undefined);
    vi.advanceTimersByTime(10_000);
    expect(expired).toEqual([]);
  });

  test("tells of each of several, those reached at once included", () => {
    const [a, b, c] = [dog.add("command"), dog.add("quit"), dog.add("total")];
    dog.arm(c, "total", 3);
    dog.arm(a, "command", 1);
    dog.arm(b, "quit", 1);
    vi.advanceTimersByTime(1001);
    expect(expired).toEqual([a, b]);
    vi.advanceTimersByTime(2000);
    expect(expired).toEqual([a, b, c]);
  });

  test("leaves no timer when it is closed, also from within, and none afterwards", () => {
    const deadline = dog.add("command");
    dog.arm(deadline, "command", 1);
    dog.close();
    expect(vi.getTimerCount()).toBe(0);
    dog.arm(dog.add("quit"), "quit", 1);
    expect(vi.getTimerCount()).toBe(0);

    const other: Watchdog = new Watchdog(() => other.close());
    other.arm(other.add("command"), "command", 1);
    vi.advanceTimersByTime(1001);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("does not fire at once for more than setTimeout can wait", () => {
    const deadline = dog.add("total");
    dog.arm(deadline, "total", 2 ** 31 / 1000 + 10);
    vi.advanceTimersByTime(1000);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(2 ** 31 + 10_000);
    expect(expired).toEqual([deadline]);
  });
});
