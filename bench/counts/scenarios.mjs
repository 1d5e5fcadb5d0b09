/** The counted scenarios. Each is one session, on which `messages` are sent. */
const LINES = "lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod\r\n";

const BASE = ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1073741824"];
const CHUNKING = [...BASE, "CHUNKING"];

const letter = text(1024);
const dotted = text(1024, ".\r\n");
const medium = text(2 ** 16);
const large = text(2 ** 20);

export const SCENARIOS = {
  "DATA, awaited": { body: dotted },
  "DATA, queued": { body: dotted, queued: true },
  "DATA, lock-step": { body: dotted, pipelining: false },
  "DATA, 100 recipients": { body: dotted, recipients: 100, messages: 80 },
  "BDAT, awaited": { body: letter, keywords: CHUNKING, chunking: true },
  "eager, awaited": { body: letter, keywords: CHUNKING, pipelining: "eager" },
  "eager, queued": { body: letter, keywords: CHUNKING, pipelining: "eager", queued: true },
  "DATA, 1 MiB from memory": { body: large, messages: 8 },
  "DATA, 1 MiB from memory, with dots": { body: text(2 ** 20, ".\r\n"), messages: 8 },
  "DATA, 1 MiB in chunks": { body: () => chunks(large), messages: 8 },
  "DATA, 64 KiB in lines": { body: () => lines(medium), messages: 20 },
  "BDAT, 1 MiB from memory": { body: large, keywords: CHUNKING, messages: 8 },
};

/** The defaults of a scenario. */
export const DEFAULTS = { keywords: BASE, pipelining: true, recipients: 1, messages: 100, queued: false };

function text(length, opening = "") {
  const lines = LINES.repeat(Math.ceil(length / LINES.length));
  return new TextEncoder().encode(`${(opening + lines).slice(0, length - 2)}\r\n`);
}

function* chunks(bytes) {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

async function* lines(bytes) {
  for (let at = 0; at < bytes.length; at += LINES.length) yield bytes.subarray(at, at + LINES.length);
}
