/** Memory for pieces that are being sent: reused if and only if the stream permits it. */
import { describe, expect, test } from "vitest";
import { reusedMemory } from "../../src/client/reused-memory.ts";

/** A stream that holds this many bytes, and an output. */
function connection(held: number | undefined) {
  const stream = {
    held,
    write: () => undefined,
    unsent: (write: unknown) => (write === stream.write ? stream.held : undefined),
  };
  return { stream, output: { length: 0 } };
}

describe("memory for pieces on their way", () => {
  test("is the same again once the stream holds nothing", () => {
    const memory = reusedMemory(connection(0));
    const first = memory(100);
    expect(first).toHaveLength(100);
    expect(memory(90).buffer).toBe(first.buffer);
    expect(memory(110).buffer).toBe(first.buffer);
  });

  test("is new each time where the stream does not tell what it holds", () => {
    const memory = reusedMemory(connection(undefined));
    expect(memory(100).buffer).not.toBe(memory(100).buffer);
  });

  test("is that of the oldest piece, as soon as the stream holds only later ones", () => {
    const ends = connection(0);
    const memory = reusedMemory(ends);
    const first = memory(100);
    ends.stream.held = 100;
    const second = memory(50);
    expect(second.buffer).not.toBe(first.buffer);
    ends.stream.held = 51;
    const third = memory(50);
    expect([first.buffer, second.buffer]).not.toContain(third.buffer);
    ends.stream.held = 100;
    expect(memory(50).buffer).toBe(first.buffer);
    ends.stream.held = 100;
    expect(memory(50).buffer).toBe(second.buffer);
  });

  test("is not used again while it waits in the output", () => {
    const ends = connection(0);
    const memory = reusedMemory(ends);
    const first = memory(100);
    ends.output.length = 1;
    expect(memory(100).buffer).not.toBe(first.buffer);
  });

  test("is replaced where it is too small", () => {
    const memory = reusedMemory(connection(0));
    const first = memory(100);
    const second = memory(100_000);
    expect(second).toHaveLength(100_000);
    expect(second.buffer).not.toBe(first.buffer);
    expect(memory(100).buffer).toBe(second.buffer);
  });
});
