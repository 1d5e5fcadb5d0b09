/** The contract of every transport, as tests: `describeTransport` runs all of them with one transport. */
import { describe, expect, it } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { describeConnecting } from "./contract-connecting.ts";
import { describeEnds } from "./contract-ends.ts";
import { describeFlow } from "./contract-flow.ts";
import { describeTls } from "./contract-tls.ts";
import { describeTlsFailures } from "./contract-tls-failures.ts";

/** A transport, and its known properties. */
export type Subject = {
  transport: Transport;
  /** Whether the transport can run here; otherwise its tests are skipped. */
  available: boolean;
  /** False: the transport uses no network, so that nothing can be refused, unknown or a Unix socket. */
  network?: boolean;
  /** Names of tests that cannot pass here, each with the reason. */
  gaps?: Readonly<Record<string, string>>;
};

/** Declares one test of the contract; a known gap is skipped under its reason. */
export type Check = (name: string, test: () => Promise<void>) => void;

/** Runs the whole contract with a transport. */
export function describeTransport(name: string, subject: Subject): void {
  const { transport, available, network = true, gaps = {} } = subject;
  const seen = new Set<string>();
  const check: Check = (test, body) => {
    seen.add(test);
    const gap = gaps[test];
    if (gap === undefined) it(test, body);
    else it.skip(`${test} [known gap: ${gap}]`, body);
  };
  describe.skipIf(!available)(`transport ${name}`, () => {
    if (network) describe("connecting", () => describeConnecting(transport, check));
    describe("the flow of bytes", () => describeFlow(transport, check));
    describe("ends", () => describeEnds(transport, check));
    describe("TLS", () => describeTls(transport, check));
    describe("failing TLS", () => describeTlsFailures(transport, check));
    it("has no known gap that is no test", () => {
      expect(Object.keys(gaps).filter((gap) => !seen.has(gap))).toEqual([]);
    });
  });
}

/** True on this runtime. */
export function runningOn(runtime: "node" | "deno" | "bun"): boolean {
  const found = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
  return found === runtime;
}

/** The tests that cannot pass with `node:tls`, by runtime. */
export function gapsOfNodeTls(): Readonly<Record<string, string>> {
  if (!runningOn("deno")) return {};
  const untold = "Deno's node:tls gives an expired certificate the code of an unknown authority";
  return {
    "exports the same keying material as the server": "Deno's node:tls has no exportKeyingMaterial",
    "says why it refuses a certificate that has expired": untold,
    "says why it refuses a certificate that is not valid yet": untold,
  };
}
