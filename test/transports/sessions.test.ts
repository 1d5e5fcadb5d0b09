/** The resumed TLS sessions, as the server sees them, on Node's and Bun's own sockets; Deno resumes none. */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import type { Endpoint, TlsOptions } from "../../src/byte-stream.ts";
import { connect as connectByBun } from "../../transports/bun.ts";
import { connect as connectByNode } from "../../transports/node.ts";
import { certificates, fingerprint256 } from "../support/certificates.ts";
import { open, readText, reasonOf } from "./bytes.ts";
import { runningOn } from "./contract.ts";
import { serveTls } from "./servers.ts";

const subjects = [
  { name: "node", transport: connectByNode, available: runningOn("node") },
  { name: "bun", transport: connectByBun, available: runningOn("bun") },
];

for (const { name, transport, available } of subjects) {
  describe.skipIf(!available)(`sessions of the transport ${name}`, () => {
    it("are resumed, under either version of TLS, and tell the same of the server", async () => {
      const { ca, good } = await certificates();
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const { endpoint } = await serveTls({ ...good, maxVersion }, tellWhetherResumed);
        const told = [];
        for (const resumed of ["no!", "yes", "yes"]) {
          const { answer, info } = await visit(endpoint, { ca });
          expect(answer).toBe(resumed);
          // A resumed session of TLS 1.2 has no key exchange.
          told.push({ ...info, exporter: undefined, group: undefined });
        }
        expect(told[0]).toMatchObject({ verified: true, fingerprint256: fingerprint256(good.cert) });
        expect(told[1]).toEqual(told[0]);
        expect(told[2]).toEqual(told[0]);
      }
    });

    it("export the same keying material as the server, when they are resumed, too", async () => {
      const { ca, good } = await certificates();
      const { endpoint } = await serveTls(good, (socket) => {
        if (!(socket instanceof TLSSocket)) throw new Error("the server does not speak TLS");
        const material = socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
        socket.write(`${socket.isSessionReused()} ${material.toString("hex")}`.padStart(70));
      });
      for (const resumed of ["false", "true"]) {
        const stream = await open(transport, endpoint);
        await stream.startTls({ servername: "localhost", ca });
        const ours = stream.peer.tls?.exporter?.("EXPORTER-Channel-Binding", 32) ?? [];
        const told = (await readText(stream, 70)).trim();
        expect(told).toBe(`${resumed} ${Buffer.from(ours).toString("hex")}`);
        await stream.close();
      }
    });

    it("are resumed where an address was verified", async () => {
      const { ca, good } = await certificates();
      const { endpoint } = await serveTls(good, tellWhetherResumed);
      expect(await visit(endpoint, { ca, servername: "127.0.0.1" })).toMatchObject({ answer: "no!" });
      const { answer, info } = await visit(endpoint, { ca, servername: "127.0.0.1" });
      expect(answer).toBe("yes");
      expect(info?.verified).toBe(true);
    });

    it("are not resumed under other options", async () => {
      const { ca, otherCa, good, client } = await certificates();
      const { endpoint } = await serveTls(good, tellWhetherResumed);
      const pin = fingerprint256(good.cert);
      await visit(endpoint, { ca });
      for (const options of [
        { ca: [ca, otherCa] },
        { ca, fingerprint256: pin },
        { ca, minVersion: "TLSv1.3" },
        { ca, servername: "127.0.0.1" },
        { ca, ...client },
      ] satisfies TlsOptions[]) {
        expect(await visit(endpoint, options)).toMatchObject({ answer: "no!" });
      }
      expect(await visit(endpoint, { ca })).toMatchObject({ answer: "yes" });
    });

    it("are never resumed where nothing was verified", async () => {
      const { good } = await certificates();
      const { endpoint } = await serveTls(good, tellWhetherResumed);
      for (let time = 0; time < 3; time++) {
        expect(await visit(endpoint, { rejectUnauthorized: false })).toMatchObject({ answer: "no!" });
      }
    });

    it("are never resumed with a server that was refused", async () => {
      const { ca, wrongName } = await certificates();
      const { endpoint } = await serveTls(wrongName);
      for (let time = 0; time < 3; time++) {
        const stream = await open(transport, endpoint);
        expect(await reasonOf(stream.startTls({ servername: "localhost", ca }))).toMatchObject({ failure: "name" });
      }
    });
  });

  /** Connects, reads the server's answer, which follows its tickets, and closes in order. */
  async function visit(endpoint: Endpoint, options: TlsOptions) {
    const stream = await open(transport, endpoint);
    const { servername = "localhost" } = options;
    await stream.startTls({ ...options, servername });
    const answer = await readText(stream, 3);
    const info = stream.peer.tls;
    await stream.close();
    return { answer, info };
  }
}

function tellWhetherResumed(socket: Socket): void {
  if (!(socket instanceof TLSSocket)) throw new Error("the server does not speak TLS");
  socket.write(socket.isSessionReused() ? "yes" : "no!");
}
