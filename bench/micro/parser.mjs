/** The cost of the reply parser for each reply: one by one, many at once, of many lines, and byte by byte. */
import { bench } from "mitata";
import { makeReplyParser } from "smtplib/core";

const MESSAGE = ["250 2.1.0 Ok", "250 2.1.5 Ok", "354 End data with <CR><LF>.<CR><LF>", "250 2.0.0 Ok: queued as 4F2A"];
const EHLO = ["250-mx.example.org", "250-PIPELINING", "250-SIZE 52428800", "250-AUTH PLAIN LOGIN", "250 8BITMIME"];

/** Defines the benchmarks and returns the number of replies in one call of each. */
export function parserBenchmarks() {
  const replies = {};
  const add = (name, count, lines, step = Number.POSITIVE_INFINITY) => {
    const bytes = new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join(""));
    replies[name] = count;
    bench(name, () => read(bytes, step));
  };
  add("parser: the replies to a message", MESSAGE.length, MESSAGE);
  add("parser: a hundred recipients", 100, Array(100).fill("250 2.1.5 Ok"));
  add("parser: the answer to EHLO", 1, EHLO);
  add("parser: the replies to a message, octet by octet", MESSAGE.length, MESSAGE, 1);
  return replies;
}

function read(bytes, step) {
  const parser = makeReplyParser();
  let sum = 0;
  for (let at = 0; at < bytes.length; at += step) {
    parser.push(bytes.subarray(at, at + step));
    for (let reply = parser.next(8192, 65_536); reply !== undefined; reply = parser.next(8192, 65_536))
      sum += reply.code;
    parser.settle();
  }
  return sum;
}
