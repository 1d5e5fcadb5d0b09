/**
 * nodemailer's transporter, as most of its users call it, with finished messages by `raw`, which its composer
 * processes.
 */
import { Readable } from "node:stream";
import nodemailer from "nodemailer";
import { ALL_MODES, ALL_RUNTIMES } from "./index.mjs";

export default {
  name: "nodemailer-pool",
  runtimes: ALL_RUNTIMES,
  modes: ALL_MODES,
  prepare: (bytes) => bytes,
  async open({ host, port, connections, mode, tls, ca }) {
    const transporter = nodemailer.createTransport({
      host,
      port,
      name: "bench.example",
      pool: mode !== "connections",
      maxConnections: connections,
      maxMessages: Number.POSITIVE_INFINITY,
      secure: tls === "implicit",
      ignoreTLS: tls === undefined,
      requireTLS: tls === "starttls",
      tls: tls && { ca, servername: "localhost" },
    });
    const send = (from, to, raw) => transporter.sendMail({ envelope: { from, to }, raw });
    return {
      send,
      sendStream: (from, to, chunks) => send(from, to, Readable.from(chunks(), { objectMode: false })),
      close: () => transporter.close(),
    };
  },
};
