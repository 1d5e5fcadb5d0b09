/** After giving up, nothing keeps a process alive: observed at the end of a process on the runtime of the tests. */
import { describe, expect, it } from "vitest";
import { bundled, runChild } from "../support/child-process.ts";
import type { Asked } from "./children/give-up.ts";
import { deafServer } from "./deaf-server.ts";
import { serve } from "./servers.ts";

/** Milliseconds in which a process ends that nothing keeps alive, on a busy machine. */
const soon = 2_000;

const ways = ["timeout", "signal", "close"] as const;

describe("a process that gave up", () => {
  it.each(ways)("connecting, by %s, ends at once although the server never answers", async (way) => {
    const { port } = await deafServer("127.0.0.2");
    await expectEnd({ host: "127.0.0.2", port, way, tls: false });
  });

  it.each(ways)("the TLS handshake, by %s, ends at once although the server never answers", async (way) => {
    const { port } = await serve();
    await expectEnd({ host: "127.0.0.1", port, way, tls: true });
  });
});

async function expectEnd(asked: Asked): Promise<void> {
  const { code, output, milliseconds } = await runChild(
    await bundled("test/transports/children/give-up.ts"),
    asked,
    soon,
  );
  expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/^\w+\nready\n$/) });
  expect(milliseconds).toBeLessThan(soon);
}
