/** Closed sockets that wait for their peers' end. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { closeGracefully } from "../../transports/socket-stream.ts";

/** Longer than a socket lingers. */
const longEnough = 1_500;

describe("a closed socket", () => {
  it("is released when the peer has ended its side, and not again later", async () => {
    let released = 0;
    const ended = closeGracefully({}, () => {
      released++;
    });
    expect(released).toBe(0);
    ended();
    expect(released).toBe(1);
    await sleep(longEnough);
    expect(released).toBe(1);
  });

  it("is released after a while where the peer does not end its side", async () => {
    const alive = setInterval(() => {}, longEnough);
    await new Promise<void>((resolve) => closeGracefully({}, resolve));
    clearInterval(alive);
  });

  it("keeps no process alive", () => {
    let unreferenced = false;
    const socket = {
      unref() {
        unreferenced = true;
      },
    };
    closeGracefully(socket, () => {})();
    expect(unreferenced).toBe(true);
  });
});
