/** The transport that is used if the user names none. */
import { expect, it } from "vitest";
import { defaultTransport } from "../../src/runtime.ts";
import { bytes, open, readText } from "./bytes.ts";
import { runningOn } from "./contract.ts";
import { serve } from "./servers.ts";

it("takes the running runtime's own transport", async () => {
  const server = await serve((socket) => socket.pipe(socket));
  const transport = await defaultTransport({ endpoint: server.endpoint, options: {} });
  const own = runningOn("deno")
    ? await import("../../transports/deno.ts")
    : runningOn("bun")
      ? await import("../../transports/bun.ts")
      : await import("../../transports/node.ts");
  expect(transport).toBe(own.connect);
  const stream = await open(transport, server.endpoint);
  await stream.write(bytes("hello"));
  expect(await readText(stream, 5)).toBe("hello");
});

it("takes the one that can choose a source address where one is asked for", async () => {
  const server = await serve();
  const options = { sourceAddress: ["127.0.0.3", 0] satisfies [string, number] };
  const transport = await defaultTransport({ endpoint: server.endpoint, options });
  await open(transport, server.endpoint, options);
  expect((await server.accepted()).remoteAddress).toBe("127.0.0.3");
});
