/**
 * @upyo/smtp. It builds its own MIME, so the common messages go through its internal connection, with the
 * steps of `SmtpTransport.send()` around it: take one from the pool, send, RSET, return it. It adds CRLF before the
 * dot, so it gets the message without its last one.
 */
import { SmtpTransport } from "@upyo/smtp";
import { ALL_RUNTIMES } from "./index.mjs";

const decoder = new TextDecoder("latin1");

export default {
  name: "upyo",
  runtimes: ALL_RUNTIMES,
  modes: ["awaited", "queued", "memory", "start", "connections"],
  prepare: (bytes) => decoder.decode(bytes.subarray(0, -2)),
  async open({ host, port, connections, tls, ca }) {
    const transport = new SmtpTransport({
      host: tls === undefined ? host : "localhost",
      port,
      secure: tls === "implicit",
      tls: tls && { ca: [ca], rejectUnauthorized: true },
      poolSize: connections,
      pool: true,
      localName: "bench.example",
    });
    const send = async (from, to, raw) => {
      const connection = await transport.getConnection();
      await connection.sendMessage({ envelope: { from, to }, raw });
      await transport.returnConnection(connection);
    };
    return {
      send,
      /**
       * On one connection like its `sendMany()`, without RSET; its pool has no limit, so otherwise a loop for each
       * connection.
       */
      async sendAll(from, to, messages) {
        if (connections === 1) return sendMany(transport, { from, to }, messages);
        const waiting = messages.values();
        const loop = async () => {
          for (const message of waiting) await send(from, to, message);
        };
        await Promise.all(Array.from({ length: connections }, loop));
      },
      close: () => transport.closeAllConnections(),
    };
  },
};

async function sendMany(transport, envelope, messages) {
  const connection = await transport.getConnection();
  for (const raw of messages) await connection.sendMessage({ envelope, raw });
  await transport.returnConnection(connection);
}
