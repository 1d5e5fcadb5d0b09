/** The judge itself: it names each planted fault, and reports nothing for transcripts without one. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { SMTP } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { read } from "../packaging/import-graph.ts";
import { onNode } from "../support/runtimes.ts";
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

describe.runIf(onNode)("the rules", () => {
  const files = rulesFrom(["test/judge/wire-judge.ts", "test/judge/outcomes.ts"]);

  it("share no code with the client, and import nothing but each other", () => {
    expect(files.size).toBeGreaterThan(8);
    expect([...files.keys()].filter((file) => !/^test\/judge\/[\w-]+\.ts$/.test(file))).toEqual([]);
    expect([...files.values()].flatMap(({ packages }) => packages)).toEqual([]);
    // They run on every runtime of the client, so they use no globals of Node.
    expect([...files.values()].flatMap(({ names }) => names.filter((name) => /^(Buffer|process)$/.test(name)))).toEqual(
      [],
    );
  });

  const rules = new Set(
    [...files.values()].flatMap(({ strings }) => strings.filter((text) => /^RFC \d+ [\d.]+: /.test(text))),
  );

  it("are as many as docs/trust.md says, and so are the transcripts", () => {
    const text = readFileSync(join(import.meta.dirname, "../../docs/trust.md"), "utf8");
    expect(text).toContain(
      `${rules.size} rules; ${PLANTED.length} transcripts with one planted fault each; ${FAULTLESS.length} without a fault`,
    );
  });

  it("are all broken by a planted fault", () => {
    expect(rules.size).toBeGreaterThan(60);
    const named = new Set(
      PLANTED.flatMap(({ script, circumstances, reported }) =>
        verdicts(script, circumstances, reported).map(({ rule }) => rule),
      ),
    );
    expect([...rules].filter((rule) => !named.has(rule))).toEqual([]);
  });
});

/** These files, and all files that they import. */
function rulesFrom(files: readonly string[]): Map<string, ReturnType<typeof read>> {
  const found = new Map<string, ReturnType<typeof read>>();
  const open = [...files];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    const one = read(file, readFileSync(join(import.meta.dirname, "../..", file), "utf8"));
    found.set(file, one);
    open.push(...one.edges.map(({ to }) => to));
  }
  return found;
}

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
