/** The connections that keep a process alive: observed at the end of a process on the runtime of the tests. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { socks } from "../../src/proxy/index.ts";
import { recordTranscript } from "../../src/testing/index.ts";
import { upgradable } from "../../transports/tls/upgradable.ts";
import { certificates } from "../support/certificates.ts";
import { bundled, type Ended, runChild } from "../support/child-process.ts";
import type { Asked } from "./children/hold.ts";
import { runningOn } from "./contract.ts";
import { serve, serveTls } from "./servers.ts";

/** Milliseconds in which a process ends that nothing keeps alive, on a busy machine. */
const soon = 2_000;

type Way = { readonly byNode?: boolean; readonly tls?: "ca" | "own authorities" };

const ways: Readonly<Record<string, Way>> = {
  "in clear": {},
  "under TLS": { tls: "ca" },
  ...(runningOn("deno") && { "under Deno.startTls": { tls: "own authorities" } }),
  ...(!runningOn("node") && { "by node:net": { byNode: true }, "by node:tls": { byNode: true, tls: "ca" } }),
};

describe.each(Object.entries(ways))("a connection %s", (_, way) => {
  it("keeps no process alive once it is told so, before the handshake or after it", async () => {
    for (const unref of ["early", "late"] as const) {
      for (const reads of [false, true]) {
        const { code, output, milliseconds } = await hold({ unref, reads, refAgain: false }, way);
        expect({ code, output }, `unref ${unref}, reads: ${reads}`).toEqual({ code: 0, output: "ready\n" });
        expect(milliseconds).toBeLessThan(soon);
      }
    }
  });

  it("keeps the process alive again for a read after ref()", async () => {
    const { code, output } = await hold({ unref: "late", reads: true, refAgain: true }, way);
    expect({ code, output }).toEqual({ code: undefined, output: "ready\n" });
  });
});

describe("a stream over another one", () => {
  const counted = (): { calls: string[]; transport: Transport } => {
    const calls: string[] = [];
    const transport: Transport = async () => ({
      read: async () => Uint8Array.of(0, 90, 0, 0, 0, 0, 0, 0),
      write: () => undefined,
      startTls: async () => {},
      close: async () => {},
      abort: () => {},
      ref: () => void calls.push("ref"),
      unref: () => void calls.push("unref"),
      peer: { remoteAddress: undefined, localAddress: undefined, loopback: false, tls: undefined },
    });
    return { calls, transport };
  };
  const endpoint = { host: "mail.example.com", port: 25 };

  it.each<[string, (below: Transport) => Transport]>([
    ["a proxy's tunnel", (below) => socks({ host: "proxy", version: "4a" }, below)],
    ["a recorder", (below) => recordTranscript(below).transport],
    [
      "a stream that can be upgraded",
      (below) =>
        async (...args) =>
          upgradable(await below(...args)),
    ],
  ])("hands on what is asked of %s", async (_, over) => {
    const { calls, transport } = counted();
    const stream = await over(transport)(endpoint, {});
    stream.unref?.();
    stream.ref?.();
    expect(calls).toEqual(["unref", "ref"]);
  });
});

/** The end of a process that connects to a server which sends nothing. */
async function hold(what: Pick<Asked, "unref" | "reads" | "refAgain">, { byNode = false, tls }: Way): Promise<Ended> {
  const { ca, good } = await certificates();
  const { endpoint } = tls === undefined ? await serve() : await serveTls(good);
  const about = { ...what, byNode, endpoint, tls: tls !== undefined };
  const file = await bundled("test/transports/children/hold.ts");
  if (tls !== "own authorities") return runChild(file, { ...about, ...(tls && { ca }) }, soon);
  return runChild(file, about, soon, { DENO_CERT: await temporaryFile(ca) });
}

async function temporaryFile(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "smtplib-holding-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "ca.pem");
  await writeFile(file, text);
  return file;
}
