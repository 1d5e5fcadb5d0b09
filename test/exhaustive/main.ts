/**
 * Explores configurations, and prints a line of JSON for each; `scripts/exhaustive.mjs` starts it in several processes.
 * Arguments: the maximum number of deviations, the chunks of a stream, and the indexes of the configurations, in order.
 */
import { configurations } from "./configurations.ts";
import { explore } from "./explore.ts";

const [deviations = 0, chunks = 1, ...indexes] = process.argv.slice(2).map(Number);
const all = configurations(chunks === 2 ? 2 : 1);
for (const index of indexes) {
  const configuration = all[index];
  if (configuration === undefined) continue;
  const begun = process.hrtime.bigint();
  const { states, paths, longest, found } = await explore(configuration, { deviations });
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  console.log(JSON.stringify({ name: configuration.name, states, paths, longest, seconds, found }));
}
