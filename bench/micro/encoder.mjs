/** The cost of the body encoders: 64 KiB of several kinds of text, compared with a plain copy. */
import { bench } from "mitata";
import { ChunkEncoder, DataEncoder, measure, skipSendable, skipUndotted } from "smtplib/core";

/** The bytes of one call. */
export const OCTETS = 65_536;

const BODIES = {
  "prose, a line in eight begins with a dot": lines((n) => `${n % 8 === 0 ? "." : ""}${"lorem ipsum. ".repeat(5)}`),
  "base64, lines of 76": lines(() => "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVph".repeat(3).slice(0, 76)),
  "bare LF line ends": lines(() => "lorem ipsum dolor sit amet, consectetur adipiscing elit", "\n"),
};

/** Defines the benchmarks. */
export function encoderBenchmarks() {
  for (const [name, body] of Object.entries(BODIES)) {
    bench(`encoder: DATA, ${name}`, () => new DataEncoder().encode(body));
    bench(`encoder: DATA, long, ${name}`, () => new DataEncoder(skipSendable).encode(body));
    if (measure(body).octets === body.length) {
      bench(`encoder: DATA, long and measured, ${name}`, () => new DataEncoder(skipUndotted).encode(body));
    }
    bench(`encoder: BDAT, ${name}`, () => new ChunkEncoder().encode(body));
    bench(`encoder: measured for SIZE, ${name}`, () => measure(body));
  }
  const [body] = Object.values(BODIES);
  bench("encoder: a plain copy", () => body.slice());
}

function lines(textOf, end = "\r\n") {
  let text = "";
  for (let number = 0; text.length < OCTETS; number++) text += textOf(number) + end;
  return new TextEncoder().encode(text.slice(0, OCTETS));
}
