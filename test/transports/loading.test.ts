/** While the code for TLS is loaded: received bytes are left to TLS, nothing is read or sent, and giving up works. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { TlsError } from "../../src/errors.ts";
import { connect as connectByBun } from "../../transports/bun.ts";
import { connect as connectByDeno } from "../../transports/deno.ts";
import { connect as connectByNode } from "../../transports/node.ts";
import { certificates } from "../support/certificates.ts";
import { bridged } from "./bridged.ts";
import { bytes, open, readText, reasonOf, staysPending } from "./bytes.ts";
import { runningOn } from "./contract.ts";
import { reset, serve, serveStartTls } from "./servers.ts";

type Subject = { transport: Transport; available: boolean; file: string };

const subjects: Record<string, Subject> = {
  node: {
    transport: connectByNode,
    available: true,
    file: runningOn("deno") ? "tls/layer.ts" : "tls/handshake.ts",
  },
  deno: { transport: connectByDeno, available: runningOn("deno"), file: "tls/deno.ts" },
  bun: { transport: connectByBun, available: runningOn("bun"), file: "tls/bun.ts" },
  memory: { transport: bridged({}), available: true, file: "tls/layer.ts" },
};

const servername = "localhost";

for (const [name, { transport, available, file }] of Object.entries(subjects)) {
  describe.skipIf(!available)(`transport ${name}, while it loads the code for TLS`, () => {
    it("neither reads nor writes, and speaks TLS then", async () => {
      const { ca, good } = await certificates();
      const server = await serveStartTls(good, (socket) => void socket.pipe(socket));
      const stream = await open(transport, server.endpoint);
      await stream.write(bytes("STARTTLS\r\n"));
      await readText(stream, 14);
      const code = holdBack(file);
      const securing = stream.startTls({ servername, ca });
      await code.wanted;
      expect(await reasonOf(stream.read())).toBeInstanceOf(Error);
      expect(await reasonOf(Promise.resolve(stream.write(bytes("MAIL FROM:<>\r\n"))))).toBeInstanceOf(Error);
      code.release();
      await securing;
      await stream.write(bytes("EHLO localhost\r\n"));
      expect(await readText(stream, 16)).toBe("EHLO localhost\r\n");
    });

    it("leaves to TLS what comes in clear", async () => {
      const server = await serve();
      const stream = await open(transport, server.endpoint);
      const socket = await server.accepted();
      const code = holdBack(file);
      const securing = reasonOf(stream.startTls({ servername }));
      await code.wanted;
      socket.write("250-mail.example.com\r\n250 AUTH PLAIN\r\n");
      expect(await staysPending(securing)).toBe(true);
      code.release();
      const reason = await securing;
      expect(reason).toBeInstanceOf(TlsError);
      expect(reason).toMatchObject({ failure: "not-tls" });
      expect(await reasonOf(stream.read())).toBe(reason);
      await server.idle();
    });

    it("leaves to TLS the end of the connection", async () => {
      for (const end of [(socket: Parameters<typeof reset>[0]) => void socket.end(), reset]) {
        const server = await serve();
        const stream = await open(transport, server.endpoint);
        const socket = await server.accepted();
        const code = holdBack(file);
        const securing = reasonOf(stream.startTls({ servername }));
        await code.wanted;
        end(socket);
        expect(await staysPending(securing)).toBe(true);
        code.release();
        const reason = await securing;
        expect(reason).toBeInstanceOf(TlsError);
        expect(reason).toMatchObject({ failure: "closed" });
        await server.idle();
      }
    });

    it("rejects with the reason of an abort", async () => {
      const server = await serve();
      const stream = await open(transport, server.endpoint);
      await server.accepted();
      const code = holdBack(file);
      const securing = reasonOf(stream.startTls({ servername }));
      await code.wanted;
      const reason = new Error("no time left");
      stream.abort(reason);
      await server.idle();
      code.release();
      expect(await securing).toBe(reason);
      expect(await reasonOf(stream.read())).toBe(reason);
    });

    it("is ended by a close", async () => {
      const server = await serve();
      const stream = await open(transport, server.endpoint);
      await server.accepted();
      const code = holdBack(file);
      const securing = reasonOf(stream.startTls({ servername }));
      await code.wanted;
      await stream.close();
      await server.idle();
      code.release();
      expect(await securing).toBeInstanceOf(Error);
    });
  });
}

/** Delays the next import of a transport's file until it is released. */
function holdBack(file: string): { wanted: Promise<void>; release: () => void } {
  const path = `../../transports/${file}`;
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const wanted = new Promise<void>((resolve) => {
    vi.doMock(path, async (original) => {
      resolve();
      await released;
      return await original();
    });
  });
  onTestFinished(() => {
    release();
    vi.doUnmock(path);
  });
  return { wanted, release };
}
