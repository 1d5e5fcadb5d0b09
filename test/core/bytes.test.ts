/** Outgoing bytes, and the one check that every command argument passes (SECURITY.md, rule 1). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkArgument, concat, kindOf, utf8 } from "../../src/core/bytes.ts";
import { Output } from "../../src/core/output.ts";

const text = (parts: readonly Uint8Array[]): string => new TextDecoder().decode(concat(parts));

describe("the output", () => {
  test("gives texts and octets back in the order they came, then is empty", () => {
    const output = new Output();
    output.addText("MAIL\r\n");
    output.addText("RCPT\r\n");
    output.addBytes(utf8("body"));
    output.addText(".\r\n");
    expect(text(output.take())).toBe("MAIL\r\nRCPT\r\nbody.\r\n");
    expect(output.length).toBe(0);
    expect(output.take()).toEqual([]);
  });

  test("joins small parts into one piece: one write a flight", () => {
    const output = new Output();
    for (let i = 0; i < 100; i++) {
      output.addText(`RCPT TO:<${i}@example.com>\r\n`);
      output.addBytes(utf8("x"));
    }
    expect(output.take()).toHaveLength(1);
  });

  test("does not copy a large part", () => {
    const output = new Output();
    const large = new Uint8Array(65_536);
    output.addText("before");
    output.addBytes(large);
    output.addText("behind");
    const pieces = output.take();
    expect(pieces).toHaveLength(3);
    expect(pieces[1]).toBe(large);
  });

  test("never touches again what it gave", () => {
    const output = new Output();
    output.addText("first");
    const taken = output.take();
    output.addText("second");
    expect(text(taken)).toBe("first");
    expect(text(output.take())).toBe("second");
  });

  test("adds nothing for an empty part", () => {
    const output = new Output();
    output.addBytes(new Uint8Array(0));
    output.addText("");
    expect(output.take()).toEqual([]);
  });

  test("keeps every order of texts and octets", () => {
    const part = fc.tuple(fc.boolean(), fc.string({ maxLength: 20 }));
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const output = new Output();
        for (const [asText, content] of parts) {
          if (asText) output.addText(content);
          else output.addBytes(utf8(content));
        }
        expect(concat(output.take())).toEqual(utf8(parts.map(([, content]) => content).join("")));
      }),
    );
  });
});

describe("an argument of a command", () => {
  const controls = [...Array(32).keys(), 127].map((code) => String.fromCharCode(code));

  test.each(controls.map((control) => [JSON.stringify(control), control]))(
    "is refused with %s anywhere",
    (_, control) => {
      for (const argument of [control, `${control}a`, `a${control}`, `a${control}b`]) {
        expect(() => checkArgument(argument, "address")).toThrow(RangeError);
        expect(() => checkArgument(argument, "address")).toThrow(/address/);
      }
    },
  );

  test("is taken as it is otherwise: what only looks like CR LF in another encoding is no control", () => {
    for (const argument of ["", "a b", "\u010d\u010a", "jürgen@exämple.com", "\u{1f4e7}", "\u2028"])
      expect(checkArgument(argument, "address")).toBe(argument);
  });

  test.each([
    ["a String object", new String("a@b")],
    ["an array", ["a@b"]],
    ["an object with toString", { toString: () => "a@b" }],
    ["a number", 1],
    ["undefined", undefined],
    ["null", null],
    ["a symbol", Symbol("a")],
  ])("is refused if it is %s", (_, value) => {
    expect(() => checkArgument(value, "sender")).toThrow(TypeError);
    expect(() => checkArgument(value, "sender")).toThrow(/sender/);
  });

  test("is refused with half a surrogate pair, which has no UTF-8 form", () => {
    expect(() => checkArgument("a\ud800b", "address")).toThrow(TypeError);
    expect(() => checkArgument("a\udc00b", "address")).toThrow(TypeError);
  });

  test("is named by its kind", () => {
    expect([null, undefined, 1, [], {}, new Date(), () => {}].map(kindOf)).toEqual([
      "null",
      "undefined",
      "number",
      "Array",
      "Object",
      "Date",
      "function",
    ]);
  });
});

describe("joined octets", () => {
  test("are the parts in order, and a single part itself", () => {
    const only = utf8("only");
    expect(concat([only])).toBe(only);
    expect(concat([])).toHaveLength(0);
    expect(text([utf8("a"), utf8(""), utf8("bc")])).toBe("abc");
  });
});
