/** Idle connections: which of them are reused, and whether they keep a process alive. */
import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { SMTPPool, type Transport } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { watchForLeaks } from "../hostile/scenario.ts";
import { bundled, runChild } from "../support/child-process.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { ehlo, type ScriptedServer, server, stall, startScriptedServer } from "../support/scripted-server.ts";
import { wrapped } from "../support/scripted-wire.ts";
import type { Asked } from "./children/idle.ts";
import { outcome, send } from "./pool.ts";

/** Milliseconds in which a process ends that nothing keeps alive, on a busy machine. */
const SOON = 3_000;

watchForLeaks();

let scripted: ScriptedServer | undefined;
afterEach(async () => {
  await scripted?.finish();
  scripted = undefined;
});

const EHLO = ehlo("PIPELINING");

/** Blocks the event loop. */
function block(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

describe("an idle connection", () => {
  it.each(["idleTimeout", "maxLifetime"])(
    "whose %s passed while the event loop was blocked is not used",
    async (limit) => {
      scripted = await startScriptedServer(server({ EHLO }));
      const { host, port, conversations } = scripted;
      const pool = new SMTPPool({ host, port, [limit]: 0.3, timeout: 5 });
      expect(await outcome(send(pool, "one"))).toBe("ok");
      block(500);
      expect(await outcome(send(pool, "two"))).toBe("ok");
      await pool.close();
      expect(conversations.map(({ taken }) => taken)).toEqual([1, 1]);
      expect(conversations.map(({ lines }) => lines.at(-1))).toEqual(["QUIT", "QUIT"]);
    },
  );

  it("is used again before that", async () => {
    scripted = await startScriptedServer(server({ EHLO }));
    const { host, port, conversations } = scripted;
    const pool = new SMTPPool({ host, port, idleTimeout: 5, maxLifetime: 5 });
    expect(await outcome(send(pool, "one"))).toBe("ok");
    block(100);
    expect(await outcome(send(pool, "two"))).toBe("ok");
    await pool.close();
    expect(conversations.map(({ taken }) => taken)).toEqual([2]);
  });

  it("is closed on time while the process lives for other reasons", async () => {
    scripted = await startScriptedServer(server({ EHLO }));
    const { host, port, conversations } = scripted;
    const pool = new SMTPPool({ host, port, idleTimeout: 0.2 });
    expect(await outcome(send(pool, "one"))).toBe("ok");
    const before = performance.now();
    while (pool.stats.connections > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(performance.now() - before).toBeLessThan(2_000);
    expect(conversations[0]?.lines.at(-1)).toBe("QUIT");
    await pool.close();
  });

  it("lets the process end while it has no work, and holds it while it has", async () => {
    const held: boolean[] = [];
    const fake = new FakeServer({ ehlo: ["PIPELINING"] });
    const transport: Transport = async (...where) => {
      const stream = await fake.transport(...where);
      const ref = (): void => void held.push(true);
      const unref = (): void => void held.push(false);
      return Object.assign(wrapped(stream, { close: () => stream.close() }), { ref, unref });
    };
    const pool = new SMTPPool({ host: "h", transport, maxConnections: 1 });
    await send(pool, "one");
    expect(held.at(-1)).toBe(false);
    const sent = send(pool, "two");
    expect(held.at(-1)).toBe(true);
    await sent;
    expect(held.at(-1)).toBe(false);
    held.length = 0;
    await pool.close();
    expect(held).toEqual([true]);
  });
});

describe("a process", () => {
  it.each<[string, "none" | "starttls" | "implicit", Asked["does"]]>([
    ["an idle pool in clear", "none", "rest"],
    ["an idle pool after STARTTLS", "starttls", "rest"],
    ["an idle pool under implicit TLS", "implicit", "rest"],
    ["nodemailer's transport after verify()", "none", "verify"],
  ])("ends although it has %s", async (_, tls, does) => {
    await using embedded = await startEmbeddedServer({ tls });
    const { host, port, ca } = embedded;
    const context = { ca };
    const options = { host, port, secure: tls === "implicit", ...(tls === "none" ? {} : { context }) };
    const file = await bundled("test/pool/children/idle.ts");
    const { code, output, milliseconds } = await runChild(file, { does, options } satisfies Asked, SOON);
    const printed = does === "verify" ? "ready\n" : "fulfilled fulfilled fulfilled\nready\n";
    expect({ code, output }).toEqual({ code: 0, output: printed });
    expect(milliseconds).toBeLessThan(SOON);
  });

  it("lives as long as messages wait for a connection", async () => {
    const options = { host: "127.0.0.1", port: await unusedPort(), reconnectFor: 1.5 };
    const file = await bundled("test/pool/children/idle.ts");
    const { code, output, milliseconds } = await runChild(file, { does: "wait", options } satisfies Asked, 10_000);
    expect({ code, output }).toEqual({ code: 0, output: "ready\nrejected rejected rejected\n" });
    expect(milliseconds).toBeGreaterThan(1_000);
  });

  it("lives as long as a message waits for its answer", async () => {
    scripted = await startScriptedServer(server({ EHLO, DATA: stall }));
    const { host, port } = scripted;
    const options = { host, port, timeouts: { dataInit: 1 }, maxConnections: 3, pipelining: false };
    const file = await bundled("test/pool/children/idle.ts");
    const { code, output, milliseconds } = await runChild(file, { does: "wait", options } satisfies Asked, 10_000);
    expect({ code, output }).toEqual({ code: 0, output: "ready\nrejected rejected rejected\n" });
    expect(milliseconds).toBeGreaterThan(900);
  });
});

/** A port of 127.0.0.1 on which nothing listens. */
async function unusedPort(): Promise<number> {
  const listener = net.createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
