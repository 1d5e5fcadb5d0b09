/** Hosts with several addresses: the order of the attempts, and with real sockets the successful one. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { SMTP } from "../../src/index.ts";
import { socks } from "../../src/proxy/index.ts";
import { connect as connectByBun } from "../../transports/bun.ts";
import { type Address, type Attempt, connectToAny, interleaved } from "../../transports/happy-eyeballs.ts";
import { connect as connectByNode } from "../../transports/node.ts";
import { deferred } from "../../transports/util.ts";
import { readText, reasonOf } from "./bytes.ts";
import { runningOn } from "./contract.ts";
import { deafServer } from "./deaf-server.ts";
import { serve } from "./servers.ts";

/** The resolver's results in a test. */
const hosts = vi.hoisted(() => new Map<string, { address: string; family: number }[]>());

vi.mock("../../transports/resolve.ts", async (original) => {
  const { addressesOf } = await original<typeof import("../../transports/resolve.ts")>();
  const found = async (host: string, ...others: []) => hosts.get(host) ?? addressesOf(host, ...others);
  return { addressesOf: found };
});

const v4 = (address: string): Address => ({ address, family: 4 });
const v6 = (address: string): Address => ({ address, family: 6 });

describe("the order of addresses", () => {
  it("is the resolver's, with the families in turn (RFC 8305 4)", () => {
    const given = [v6("::a"), v6("::b"), v6("::c"), v4("1.1.1.1"), v4("2.2.2.2")];
    expect(interleaved(given).map(({ address }) => address)).toEqual(["::a", "1.1.1.1", "::b", "2.2.2.2", "::c"]);
    expect(interleaved([v4("1.1.1.1"), v6("::a"), v4("2.2.2.2")]).map(({ address }) => address)).toEqual([
      "1.1.1.1",
      "::a",
      "2.2.2.2",
    ]);
  });

  it("has each address once", () => {
    expect(interleaved([v4("1.1.1.1"), v4("1.1.1.1")])).toEqual([v4("1.1.1.1")]);
  });
});

describe("attempts to connect (RFC 8305 5)", () => {
  it("begin 250 ms apart while none answers, and go on until one succeeds", async () => {
    const { begin, begun, cancelled } = attempts({ a: [900, "ok"], b: ["never"], c: ["never"] });
    expect(await connectToAny(["a", "b", "c"].map(v4), begin, undefined)).toBe("a");
    expect(begun.map(({ address }) => address)).toEqual(["a", "b", "c"]);
    for (const [at, { after }] of begun.entries()) expect(Math.abs(after - at * 250)).toBeLessThan(150);
    expect(cancelled).toEqual(["b", "c"]);
  });

  it("begin at once where the last one has failed", async () => {
    const { begin, begun } = attempts({ a: [0, "refused"], b: [0, "refused"], c: [0, "ok"] });
    expect(await connectToAny(["a", "b", "c"].map(v4), begin, undefined)).toBe("c");
    expect(begun.at(-1)?.after).toBeLessThan(200);
  });

  it("outlive the failure of a later one", async () => {
    const { begin } = attempts({ a: [600, "ok"], b: [0, "refused"] });
    expect(await connectToAny(["a", "b"].map(v4), begin, undefined)).toBe("a");
  });

  it("end in an error that has all of theirs", async () => {
    const { begin } = attempts({ a: [400, "timed out"], b: [0, "refused"] });
    const error = await reasonOf(connectToAny(["a", "b"].map(v4), begin, undefined));
    expect(error).toBeInstanceOf(AggregateError);
    expect(error).toMatchObject({
      message: "b: refused; a: timed out",
      code: "refused",
      errors: [{ message: "b: refused" }, { message: "a: timed out" }],
    });
  });

  it("end in the error of the one address", async () => {
    const { begin } = attempts({ a: [0, "refused"] });
    expect(await reasonOf(connectToAny([v4("a")], begin, undefined))).toMatchObject({ message: "a: refused" });
  });

  it("end with the signal's reason, all of them cancelled", async () => {
    const { begin, cancelled } = attempts({ a: ["never"], b: ["never"] });
    const controller = new AbortController();
    const connecting = reasonOf(connectToAny(["a", "b"].map(v4), begin, controller.signal));
    await sleep(400);
    const reason = new Error("no time left");
    controller.abort(reason);
    expect(await connecting).toBe(reason);
    expect(cancelled).toEqual(["a", "b"]);
  });

  it("that throw at once have failed, also where the timer begins them", async () => {
    const { begin } = attempts({ a: [400, "ok"] });
    const throwing = (address: Address): Attempt<string> => {
      if (address.address !== "a") throw new Error(`${address.address}: cannot be`);
      return begin(address);
    };
    expect(await connectToAny(["b", "a"].map(v4), throwing, undefined)).toBe("a");
    expect(await connectToAny(["a", "b", "c"].map(v4), throwing, undefined)).toBe("a");
    const all = await reasonOf(connectToAny(["b", "c"].map(v4), throwing, undefined));
    expect(all).toMatchObject({ message: "b: cannot be; c: cannot be" });
  });

  it("leave no connection where the signal fires as the first one succeeds", async () => {
    const controller = new AbortController();
    const reason = new Error("no time left");
    const { promise, resolve } = deferred<string>();
    const cancelled: string[] = [];
    const begin = (): Attempt<string> => ({ connected: promise, cancel: () => cancelled.push("a") });
    const connecting = reasonOf(connectToAny([v4("a")], begin, controller.signal));
    // In the turn after the attempt has succeeded, and before the caller gets the result.
    promise.then(() => controller.abort(reason));
    resolve("a");
    expect(await connecting).toBe(reason);
    expect(cancelled).toEqual(["a"]);
  });

  it("leave one connection where two succeed at the same time", async () => {
    const { begin, cancelled, open } = attempts({ a: [300, "ok"], b: [0, "later"] });
    const connecting = connectToAny(["a", "b"].map(v4), begin, undefined);
    await sleep(270);
    open();
    await connecting;
    await sleep(100);
    expect(cancelled).toHaveLength(1);
  });
});

const transports: Record<string, [Transport, boolean]> = {
  node: [connectByNode, true],
  bun: [connectByBun, runningOn("bun")],
};

describe.each(Object.entries(transports))("the transport %s", (_, [transport, available]) => {
  it.skipIf(!available)("waits for a slow address although the next one refuses, and greets", async () => {
    const deaf = await deafServer("127.0.0.2");
    hosts.set("slow.test", [v4("127.0.0.2"), v4("127.0.0.3")]);
    setTimeout(deaf.listen, 300);
    const smtp = new SMTP("slow.test", deaf.port, { transport, timeout: 10 });
    expect(await smtp.connect("slow.test", deaf.port)).toMatchObject([220, "slow"]);
    smtp.close();
  });

  it.skipIf(!available)("takes another address where the first one does not answer", async () => {
    const deaf = await deafServer("127.0.0.2");
    const server = await serve((socket) => socket.end("hello"), undefined, deaf.port);
    hosts.set("half-dead.test", [v4("127.0.0.2"), v4("127.0.0.1")]);
    const stream = await transport({ host: "half-dead.test", port: server.port }, {});
    expect(await readText(stream, 5)).toBe("hello");
    stream.abort();
  });

  it.skipIf(!available)("names all addresses that failed", async () => {
    const { port } = await serve();
    hosts.set("gone.test", [v4("127.0.0.3"), v4("127.0.0.4")]);
    const error = await reasonOf(transport({ host: "gone.test", port }, {}));
    expect(error).toBeInstanceOf(AggregateError);
    expect(String(error)).toMatch(/127\.0\.0\.3.*127\.0\.0\.4/s);
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
  });

  it.skipIf(!available)("reaches a proxy by a slow address, too", async () => {
    const deaf = await deafServer("127.0.0.2");
    hosts.set("proxy.test", [v4("127.0.0.2"), v4("127.0.0.3")]);
    setTimeout(deaf.listen, 300);
    const through = socks({ host: "proxy.test", port: deaf.port }, transport);
    // The server is no proxy, but it was reached.
    expect(String(await reasonOf(through({ host: "mail.example.com", port: 25 }, {})))).toContain(
      "does not speak SOCKS5",
    );
  });
});

/** How a scripted attempt ends, and after how many milliseconds; "later" ends with `open`. */
type Script = readonly [after: number, how: string] | readonly ["never"];

/** Attempts without sockets; the address determines the end of each. */
function attempts(scripts: Readonly<Record<string, Script>>) {
  const start = performance.now();
  const begun: { address: string; after: number }[] = [];
  const cancelled: string[] = [];
  const waiting: (() => void)[] = [];
  const begin = ({ address }: Address): Attempt<string> => {
    begun.push({ address, after: performance.now() - start });
    const { promise, resolve, reject } = deferred<string>();
    const [after, how] = scripts[address] ?? ["never"];
    const end = (): void => {
      if (how === "ok" || how === "later") resolve(address);
      else reject(Object.assign(new Error(`${address}: ${how}`), { code: how }));
    };
    waiting.push(end);
    if (after !== "never" && how !== "later") setTimeout(end, after);
    return { connected: promise, cancel: () => cancelled.push(address) };
  };
  const open = (): void => {
    for (const end of waiting) end();
  };
  return { begin, begun, cancelled, open };
}
