/**
 * Sends a generated message of 1 GB to a server that reads slowly, on Node, Deno and Bun, by DATA and by BDAT, and
 * fails if the process grows: neither the body nor unsent bytes may accumulate in memory. Arguments: the size in MB
 * (1024), the server's MB a second (150). It uses `dist/`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commands } from "./runtimes.mjs";

/** How much the process may grow after the start-up phase, in MB. */
const MOST_GROWTH = 64;

const MB = 1024 * 1024;
const self = fileURLToPath(import.meta.url);
const [role, ...rest] = process.argv.slice(2);
if (role === "client") await client(...rest);
else await main(Number(role ?? 1024), Number(rest[0] ?? 150));

/** The server runs in this process, so that its memory does not count. */
async function main(megabytes, rate) {
  for (const extension of ["8BITMIME", "CHUNKING"]) {
    for (const [name, [file, ...args]] of Object.entries(commands())) {
      const server = net.createServer((socket) => serve(socket, extension, rate * MB)).listen(0, "127.0.0.1");
      await once(server, "listening");
      const options = ["client", String(server.address().port), String(megabytes), `${name}, ${extension}`];
      const child = spawn(file, [...args, self, ...options], { stdio: "inherit" });
      const [code] = await once(child, "exit");
      if (code !== 0) process.exitCode = 1;
      server.close();
    }
  }
}

/** A minimal server, which only looks for the end of a message. */
function serve(socket, extension, bytesPerSecond) {
  let inMessage = false;
  let owed = 0;
  let received = 0;
  let tail = "";
  const began = performance.now();
  const say = (text) => socket.write(`${text}\r\n`);
  socket.on("error", () => {});
  say("220 slow.test");
  socket.on("data", (chunk) => {
    received += chunk.length;
    const ahead = (received / bytesPerSecond) * 1000 - (performance.now() - began);
    if (ahead > 10) {
      socket.pause();
      setTimeout(() => socket.resume(), ahead);
    }
    for (let at = 0; at < chunk.length; ) at = inMessage ? message(chunk) : command(chunk, at);
  });

  function message(chunk) {
    tail = `${tail}${chunk.subarray(-5).toString("latin1")}`.slice(-5);
    if (tail !== "\r\n.\r\n") return chunk.length;
    inMessage = false;
    say("250 taken");
    return chunk.length;
  }

  function command(chunk, at) {
    if (owed > 0) {
      const taken = Math.min(owed, chunk.length - at);
      owed -= taken;
      if (owed === 0) say("250 taken");
      return at + taken;
    }
    const end = chunk.indexOf("\n", at);
    tail += chunk.subarray(at, end < 0 ? chunk.length : end + 1).toString("latin1");
    if (end < 0) return chunk.length;
    const line = tail;
    tail = "";
    if (line.startsWith("BDAT")) owed = Number(line.split(/\s/)[1]);
    else if (line.startsWith("EHLO")) say(`250-slow.test\r\n250-PIPELINING\r\n250 ${extension}`);
    else if (line.startsWith("DATA")) inMessage = say("354 go") || true;
    else say(line.startsWith("QUIT") ? "221 bye" : "250 ok");
    return end + 1;
  }
}

async function client(port, megabytes, name) {
  const { SMTP } = await import("../dist/index.js");
  const line = `${"x".repeat(62)}\r\n`;
  const piece = new TextEncoder().encode(line.repeat(1024));
  let base = 0;
  let peak = 0;
  async function* pieces() {
    for (let sent = 0; sent < megabytes * MB; sent += piece.length) {
      yield piece.slice();
      if (sent % (16 * MB) !== 0) continue;
      const { rss } = process.memoryUsage();
      // Buffers, caches and compiled code are allocated until then.
      if (sent <= 64 * MB) base = Math.max(base, rss);
      peak = Math.max(peak, rss);
    }
  }
  const smtp = await SMTP.connect("127.0.0.1", Number(port));
  const began = performance.now();
  await smtp.sendmail("a@client.test", "b@lab.test", pieces());
  const seconds = (performance.now() - began) / 1000;
  await smtp.quit();
  const growth = (peak - base) / MB;
  const verdict = growth < MOST_GROWTH ? "flat" : `GREW by more than ${MOST_GROWTH} MB`;
  console.log(
    `${name}: ${megabytes} MB in ${seconds.toFixed(1)} s, ${(base / MB).toFixed(0)} MB in memory, +${growth.toFixed(0)} MB: ${verdict}`,
  );
  process.exitCode = growth < MOST_GROWTH ? 0 : 1;
}
