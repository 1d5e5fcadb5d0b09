/**
 * The messages. They are deterministic, and each has its number, so that a lost, doubled or damaged one changes the
 * sink's sum. Many lines begin with a dot, and some consist of a single dot.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { crc32c, share, sumOf } from "./checksum.mjs";
import { CACHE, ensureCache } from "./paths.mjs";
import { SENDER } from "./workloads.mjs";

const WORDS =
  "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et".split(" ");
/** How many different texts the small messages have. */
const TEXTS = 64;

const encoder = new TextEncoder();

/** Writes a workload's messages into the cache, unless they exist, and returns the counts that the sink must have. */
export function prepare(workload) {
  ensureCache();
  const { octets, expected } = files(workload);
  if (!existsSync(expected)) {
    const { content, shares } = workload.block === undefined ? small(workload) : large(workload);
    writeFileSync(octets, content);
    const { messages, size } = workload;
    writeFileSync(expected, JSON.stringify({ messages, octets: messages * size, sum: sumOf(shares) }));
  }
  return JSON.parse(readFileSync(expected, "utf8"));
}

/** A workload's messages, each an array of bytes. */
export function load(workload) {
  const content = readFileSync(files(workload).octets);
  const { messages, size, block } = workload;
  if (block === undefined) {
    return Array.from({ length: messages }, (_, index) => content.subarray(index * size, (index + 1) * size));
  }
  const whole = Buffer.allocUnsafeSlow(size);
  for (let at = 0; at < size; at += block) whole.set(blockAt(content, workload, at), at);
  return [whole];
}

/** A large message, chunk by chunk. */
export function loadStream(workload) {
  const content = readFileSync(files(workload).octets);
  const { size, block, chunk } = workload;
  return async function* chunks() {
    for (let at = 0; at < size; at += block) {
      const part = blockAt(content, workload, at);
      for (let from = 0; from < block; from += chunk) yield part.subarray(from, from + chunk);
    }
  };
}

function files({ messages, size }) {
  const name = `${messages}x${size}`;
  return { octets: `${CACHE}/${name}.bin`, expected: `${CACHE}/${name}.json` };
}

function small({ messages, size }) {
  const content = new Uint8Array(messages * size);
  const shares = [];
  for (let number = 0; number < messages; number++) {
    const message = textOf(number, size, number % TEXTS, 4);
    content.set(message, number * size);
    shares.push(share(crc32c(message), size));
  }
  return { content, shares };
}

/** The first block begins with the header; the same block follows repeatedly. */
function large({ size, block }) {
  const first = textOf(1, block, 7, 8);
  const rest = encoder.encode(linesOf(block, 8, 8));
  let crc = crc32c(first);
  for (let at = block; at < size; at += block) crc = crc32c(rest, crc);
  return { content: Buffer.concat([first, rest]), shares: [share(crc, size)] };
}

function blockAt(content, { block }, at) {
  return at === 0 ? content.subarray(0, block) : content.subarray(block);
}

function textOf(number, size, seed, dots) {
  const header = headerOf(String(number).padStart(8, "0"));
  const message = encoder.encode(header + linesOf(size - header.length, seed, dots));
  if (message.length !== size) throw new Error(`message ${number} has ${message.length} octets`);
  return message;
}

function headerOf(number) {
  const fields = [
    `From: <${SENDER}>`,
    "To: <rcpt0@bench.example>",
    `Subject: message ${number}`,
    "Date: Thu, 01 Jan 2026 00:00:00 +0000",
    `Message-ID: <${number}@bench.example>`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=us-ascii",
  ];
  return `${fields.join("\r\n")}\r\n\r\n`;
}

/** Lines of `length` bytes in total. Of 3 × `dots` lines, one begins with a dot, one with two, and one is a dot. */
function linesOf(length, seed, dots) {
  const random = generator(seed);
  let text = "";
  for (let number = 0; text.length < length; number++) {
    const turn = number % (dots * 3);
    if (turn === dots * 2) {
      text += ".\r\n";
      continue;
    }
    let line = turn === 0 ? "." : turn === dots ? ".." : "";
    const wanted = 40 + (random() % 36);
    while (line.length < wanted) line += `${WORDS[random() % WORDS.length]} `;
    text += `${line.slice(0, 76)}\r\n`;
  }
  return `${text.slice(0, length - 2).replace(/[\r\n]+$/, (end) => "x".repeat(end.length))}\r\n`;
}

function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}
