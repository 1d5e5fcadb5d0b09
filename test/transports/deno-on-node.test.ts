/** The contract of Deno's transport, run on Node with Node sockets that have the interface of Deno's. */
import { afterAll, beforeAll, describe, vi } from "vitest";
import { connect } from "../../transports/deno.ts";
import { describeTransport, runningOn } from "./contract.ts";
import { denoOnNode } from "./deno-on-node.ts";

const available = runningOn("node");

const keepsSocket = "as on Deno, the socket of an unfinished handshake stays until the peer answers or ends";
const dropsReply = "Node destroys a socket whose write fails, with what it has received";
const gaps = {
  "connects from the source address and port asked for": "Deno.connect cannot choose it; the transport for Node does",
  "gives an early reply although a write fails at the same time": dropsReply,
  "gives an early reply although a write fails at the same time under TLS": dropsReply,
  "rejects with the reason when it is aborted during the handshake": keepsSocket,
  "ends a handshake that stalls when it is closed": keepsSocket,
};

describe.runIf(available)("on Node", () => {
  beforeAll(() => void vi.stubGlobal("Deno", denoOnNode));
  afterAll(() => void vi.unstubAllGlobals());

  describeTransport("deno", { transport: connect, available, gaps });
});
