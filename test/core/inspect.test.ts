/** How `console.log` prints an object: chosen fields, under the name of its class. */
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { INSPECT, showAs } from "../../src/core/inspect.ts";

class Session {
  readonly password: string = "s3cret";
  state: string;

  constructor(state: string) {
    this.state = state;
    showAs(this, () => ({ state: this.state }));
  }
}

class Newsletter extends Session {}

class Quiet extends Session {
  [INSPECT](): string {
    return "a form of its own";
  }
}

describe("an object that shows itself as chosen fields", () => {
  it("prints these fields alone, under the name of its class or subclass", () => {
    expect(inspect(new Session("open"))).toBe("Session { state: 'open' }");
    expect(inspect(new Newsletter("open"))).toBe("Newsletter { state: 'open' }");
  });

  it("prints the fields as they are at that time", () => {
    const session = new Session("open");
    session.state = "closed";
    expect(inspect(session)).toBe("Session { state: 'closed' }");
  });

  it("has the tag from which Bun takes the name", () => {
    const method = Object.getOwnPropertyDescriptor(new Newsletter("open"), INSPECT)?.value;
    expect(Object.prototype.toString.call(method())).toBe("[object Newsletter]");
  });

  it("leaves it to a subclass that has a form of its own", () => {
    expect(inspect(new Quiet("open"))).toBe("a form of its own");
  });

  it("has no more properties than before that a loop would find", () => {
    expect(Object.keys(new Session("open"))).toEqual(["password", "state"]);
  });
});
