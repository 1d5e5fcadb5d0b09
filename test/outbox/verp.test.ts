/** Creates and parses variable envelope return paths. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseVerp, verp } from "../../src/outbox/index.ts";

describe("verp", () => {
  it("gives a reverse path out of which the recipient is read", () => {
    const path = verp("bounces@example.com", "charles+x=y%@example.net", "order-17");
    expect(path).toBe("bounces+order-17+charles=2Bx=3Dy=25=example.net@example.com");
    expect(parseVerp(path)).toEqual({
      base: "bounces@example.com",
      recipient: "charles+x=y%@example.net",
      id: "order-17",
    });
  });

  it("reads back what it made, for any plain address", () => {
    const local = fc.stringMatching(/^[a-z0-9+=%._-]{1,12}$/);
    fc.assert(
      fc.property(local, fc.option(fc.stringMatching(/^[A-Za-z0-9._-]{1,10}$/), { nil: undefined }), (user, id) => {
        const recipient = `${user}@example.net`;
        expect(parseVerp(verp("b@example.com", recipient, id))).toEqual({ base: "b@example.com", recipient, id });
      }),
    );
  });

  it("reads a path that came in angle brackets, in lower case, or with a comment", () => {
    const parsed = { base: "bounces@example.com", recipient: "charles+x@example.net", id: "17" };
    expect(parseVerp("<bounces+17+charles=2Bx=example.net@example.com>")).toEqual(parsed);
    expect(parseVerp("bounces+17+charles=2bx=example.net@example.com")).toEqual(parsed);
    expect(parseVerp("bounces+17+charles=2Bx=example.net@example.com (report)")).toEqual(parsed);
    expect(parseVerp("<@relay.example:bounces+17+charles=2Bx=example.net@example.com>")).toEqual(parsed);
  });

  it("writes no percent sign, by which some servers route (%-hack)", () => {
    expect(verp("bounces@example.com", "a%b@example.net")).not.toContain("%");
  });

  it("makes an address that needs no quotes", () => {
    for (const recipient of ["a(b)@example.net", "a,c@example.net", "d:e@example.net", "a;b@example.net"]) {
      expect(() => verp("bounces@example.com", recipient)).toThrow("recipient");
    }
    expect(() => verp("bounces@example.com", "a@[IPv6:2001:db8::1]")).toThrow("recipient");
    expect(() => verp("bounces@example.com", "a@[192.0.2.1]")).toThrow("recipient");
    expect(() => verp("boun(ces)@example.com", "a@example.net")).toThrow("base");
    expect(verp("bounces@[192.0.2.1]", "a@example.net")).toBe("bounces+a=example.net@[192.0.2.1]");
    expect(parseVerp("bounces+a=example.net@[192.0.2.1]")?.base).toBe("bounces@[192.0.2.1]");
  });

  it("keeps addresses that are not ASCII", () => {
    const path = verp("bounces@example.com", "jürgen@bücher.example");
    expect(parseVerp(path)?.recipient).toBe("jürgen@bücher.example");
  });

  it("finds no recipient in what is no path of its own", () => {
    for (const other of [
      "",
      "<>",
      "bounces+17@example.com",
      "bounces+17+=example.net@example.com",
      "a@b@c",
      "b+a=x@y\0",
    ]) {
      expect(parseVerp(other)).toBeUndefined();
    }
    expect(() => Reflect.apply(parseVerp, undefined, [17])).toThrow(TypeError);
  });

  it("refuses by name what would not come back", () => {
    expect(() => verp("bounces+x@example.com", "a@example.net")).toThrow("base");
    expect(() => verp("bounces@example.com", '"a b"@example.net')).toThrow("recipient");
    expect(() => verp("bounces@example.com", "a@example.net", "a+b")).toThrow("id");
    expect(() => verp("bounces@example.com", `${"a".repeat(60)}@example.net`)).toThrow("64 octets");
    expect(parseVerp("bounces@example.com")).toBeUndefined();
  });
});
