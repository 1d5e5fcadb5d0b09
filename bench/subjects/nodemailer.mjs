/** nodemailer's SMTPConnection, with finished messages and no MIME. It pipelines the envelope. */
import { once } from "node:events";
import { Readable } from "node:stream";
import SMTPConnection from "nodemailer/lib/smtp-connection/index.js";
import { ALL_MODES, ALL_RUNTIMES } from "./index.mjs";

export default {
  name: "nodemailer",
  runtimes: ALL_RUNTIMES,
  modes: ALL_MODES,
  prepare: (bytes) => bytes,
  async open(target) {
    const connections = await Promise.all(Array.from({ length: target.connections }, () => connect(target)));
    const [first] = connections;
    return {
      send: (from, to, message) => send(first, from, to, message),
      sendStream: (from, to, chunks) => send(first, from, to, Readable.from(chunks(), { objectMode: false })),
      /** It has no queue: a loop on each connection. */
      async sendAll(from, to, messages) {
        const waiting = messages.values();
        const loop = async (connection) => {
          for (const message of waiting) await send(connection, from, to, message);
        };
        await Promise.all(connections.map(loop));
      },
      close: () => Promise.all(connections.map(quit)),
    };
  },
};

async function connect({ host, port, tls, ca }) {
  const connection = new SMTPConnection({
    host,
    port,
    name: "bench.example",
    secure: tls === "implicit",
    ignoreTLS: tls === undefined,
    requireTLS: tls === "starttls",
    tls: tls && { ca, servername: "localhost" },
  });
  connection.connect(() => connection.emit("ready"));
  await once(connection, "ready");
  return connection;
}

function send(connection, from, to, message) {
  return new Promise((resolve, reject) => {
    connection.send({ from, to }, message, (error, info) => (error ? reject(error) : resolve(info)));
  });
}

async function quit(connection) {
  connection.quit();
  await once(connection, "end");
}
