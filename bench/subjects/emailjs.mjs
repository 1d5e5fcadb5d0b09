/**
 * emailjs accepts only its own Message, so it gets one whose stream has the finished text. It does no dot-stuffing, so
 * the text is stuffed beforehand. It adds CRLF before the dot, so it gets the message without its last one.
 */
import { EventEmitter } from "node:events";
import { Message, SMTPClient } from "emailjs";

const decoder = new TextDecoder("latin1");

export default {
  name: "emailjs",
  // On Node and Deno it leaves Nagle's algorithm on and waits 44 ms for an acknowledgement in each message.
  runtimes: ["bun"],
  modes: ["awaited", "queued", "memory", "start", "connections"],
  prepare: (bytes) => decoder.decode(bytes.subarray(0, -2)).replace(/^\./gm, ".."),
  async open(target) {
    const clients = Array.from({ length: target.connections }, () => clientFor(target));
    let turn = 0;
    return {
      send: (from, to, text) => clients[turn++ % clients.length].sendAsync(messageOf(from, to, text)),
      close: () => Promise.all(clients.map(({ smtp }) => new Promise((resolve) => smtp.quit(resolve)))),
    };
  },
};

function clientFor({ host, port, tls, ca }) {
  return new SMTPClient({
    host: tls === undefined ? host : "localhost",
    port,
    domain: "bench.example",
    ssl: tls === "implicit" && { ca },
    tls: tls === "starttls" && { ca },
    timeout: 60_000,
  });
}

function messageOf(from, to, text) {
  return Object.assign(Object.create(Message.prototype), {
    header: { from: `<${from}>`, to: to.map((address) => `<${address}>`).join(", ") },
    checkValidity: () => ({ isValid: true }),
    stream() {
      const stream = new EventEmitter();
      queueMicrotask(() => {
        stream.emit("data", text);
        stream.emit("end");
      });
      return stream;
    },
  });
}
