/** Builds the message with each builder on this runtime, checks the result, and prints it as JSON. */
import PostalMime from "postal-mime";
import { content, subjects } from "./subjects.mjs";

const small = new TextEncoder().encode("operation,variable\nmultiply,V2\n");
const large = new Uint8Array(4 * 1024 * 1024).fill(65);
const SAMPLES = 7;
const found = {};
for (const [name, build] of Object.entries(subjects)) {
  try {
    found[name] = { ...(await qualities(await build(small))), ...(await times(build)) };
  } catch (error) {
    found[name] = { fails: String(error) };
  }
}
console.log(JSON.stringify(found));

/** The qualities of a message, as a receiver parses it. */
async function qualities(message) {
  const bytes = typeof message === "string" ? new TextEncoder().encode(message) : message;
  const wire = Buffer.from(bytes).toString("latin1");
  const { subject, text, html, attachments, to } = await PostalMime.parse(bytes);
  const [attachment] = attachments;
  const plain = (value = "") => value.replaceAll("\r\n", "\n").trim();
  return {
    bareLf: /(?<!\r)\n|\r(?!\n)/.test(wire),
    longestLine: Math.max(...wire.split("\n").map((line) => line.replace(/\r$/, "").length)),
    eightBit: /[\x80-\xff]/.test(wire),
    declared: !(/[\x80-\xff]/.test(wire) && /^content-transfer-encoding: *7bit/im.test(wire)),
    subject: subject === content.subject,
    recipient: to?.[0]?.name === content.to.name && to?.[0]?.address === content.to.address,
    text: plain(text) === plain(content.text),
    html: plain(html) === plain(content.html),
    filename: attachment?.filename === "täble.csv",
    attachment: Buffer.from(attachment?.content ?? []).equals(Buffer.from(small)),
  };
}

/** Medians: microseconds for the small message, milliseconds for one with 4 MiB. */
async function times(build) {
  const each = 200;
  const smallTimes = await sampled(async () => {
    for (let n = 0; n < each; n++) await build(small);
  });
  return { microseconds: (median(smallTimes) / each) * 1000, milliseconds: median(await sampled(() => build(large))) };
}

async function sampled(work) {
  await work();
  const taken = [];
  for (let n = 0; n < SAMPLES; n++) {
    const start = performance.now();
    await work();
    taken.push(performance.now() - start);
  }
  return taken;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
