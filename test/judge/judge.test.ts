/** The judge itself: it names each planted fault, and reports nothing for transcripts without one. */
import { describe, expect, it } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { SMTP } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { FAULTLESS, PLANTED } from "./planted.ts";
import { verdicts } from "./play.ts";
import { violations } from "./under-test.ts";

describe("the judge", () => {
  it("knows a hundred faults at least, each by its name", () => {
    expect(PLANTED.length).toBeGreaterThanOrEqual(100);
    expect(new Set(PLANTED.map(({ name }) => name)).size).toBe(PLANTED.length);
  });

  it.each(PLANTED)("refuses $name", ({ script, circumstances, reported, rule }) => {
    const named = verdicts(script, circumstances, reported).map((violation) => violation.rule);
    expect(named.join("\n")).toMatch(rule);
  });

  it.each(PLANTED)("has nothing else to say of $name", ({ script, circumstances, reported, rule, also }) => {
    const others = verdicts(script, circumstances, reported).filter(
      (violation) => !rule.test(violation.rule) && !also?.test(violation.rule),
    );
    expect(others).toEqual([]);
  });

  it.each(FAULTLESS)("accepts $name", ({ script, circumstances, reported }) => {
    expect(verdicts(script, circumstances, reported)).toEqual([]);
  });
});

describe("the hook", () => {
  it("watches each connection of a test", async () => {
    const server = new FakeServer();
    let write: ((bytes: Uint8Array) => unknown) | undefined;
    const transport: Transport = async (endpoint, options) => {
      const stream = await server.transport(endpoint, options);
      write = (bytes) => stream.write(bytes);
      return stream;
    };
    const smtp = await SMTP.connect("fake.test", 25, { transport });
    await smtp.noop();
    // The client never sends this: it is written beside it.
    write?.(new TextEncoder().encode("MAIL FROM:<a@b.test>\n"));
    expect(violations().map(({ rule }) => rule)).toEqual([
      "RFC 5321 2.3.8: a line ends in CRLF",
      "RFC 5321 4.1.1.1: no MAIL before EHLO or HELO",
    ]);
    smtp.close();
  });
});
