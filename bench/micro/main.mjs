/** The micro-benchmarks on the running runtime; prints their results as JSON, in nanoseconds a call. */
import { run } from "mitata";
import { encoderBenchmarks, OCTETS } from "./encoder.mjs";
import { parserBenchmarks } from "./parser.mjs";

const replies = parserBenchmarks();
encoderBenchmarks();
const { benchmarks } = await run({ format: "quiet", throw: true });
const results = benchmarks.map(({ alias, runs: [{ stats }] }) => {
  const { p25, p50, p75 } = stats;
  return { name: alias, p25, p50, p75, replies: replies[alias], octets: OCTETS };
});
console.log(JSON.stringify(results));
