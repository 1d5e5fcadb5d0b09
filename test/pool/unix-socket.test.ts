/** A pool whose server listens on a Unix socket. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { outcome, send } from "./pool.ts";

it("is reached by the path, also in a URL", async () => {
  const folder = await mkdtemp(join(tmpdir(), "smtplib-pool-"));
  await using server = await startEmbeddedServer({ tls: "none", lmtp: true });
  const sockets: net.Socket[] = [];
  const door = net.createServer((socket) => {
    const onward = net.connect(server.port, server.host);
    sockets.push(socket, onward);
    for (const one of [socket, onward]) one.on("error", () => {});
    socket.pipe(onward).pipe(socket);
  });
  const path = join(folder, "lmtp");
  door.listen(path);
  await once(door, "listening");
  const pools = [new SMTPPool(`lmtp://${path}`), new SMTPPool({ host: path, protocol: "lmtp" })];
  expect(await Promise.all(pools.map((pool) => outcome(send(pool))))).toEqual(["ok", "ok"]);
  await Promise.all(pools.map((pool) => pool.close()));
  for (const socket of sockets) socket.destroy();
  door.close();
  await rm(folder, { recursive: true });
  expect(server.messages).toHaveLength(2);
});

it("that the process may not use rejects at once; one that is missing is waited for", async () => {
  const outcomes = ["EACCES", "ENOENT"].map(async (code) => {
    let attempts = 0;
    const transport = async (): Promise<never> => {
      attempts++;
      throw Object.assign(new Error(code), { code });
    };
    const pool = new SMTPPool({ host: "/run/lmtp", protocol: "lmtp", transport, reconnectFor: 1, maxConnections: 1 });
    const error: unknown = await send(pool).catch((reason: unknown) => reason);
    await pool.close();
    return { error, attempts };
  });
  const [forbidden, missing] = await Promise.all(outcomes);
  expect(forbidden).toMatchObject({ error: { name: "SMTPConnectError", temporary: false }, attempts: 1 });
  expect(missing).toMatchObject({ error: { name: "SMTPConnectError", temporary: true } });
  expect(missing?.attempts).toBeGreaterThan(1);
});
