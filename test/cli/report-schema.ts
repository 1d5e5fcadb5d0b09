/** The schema of a probe's report, from the documentation. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";

const file = join(import.meta.dirname, "../../docs/probe.schema.json");
const validate = new Ajv2020({ strict: true, formats: { "date-time": true } }).compile(
  JSON.parse(readFileSync(file, "utf8")),
);

/** The errors of a report by the schema; null if there are none. */
export function schemaErrors(report: unknown): typeof validate.errors {
  validate(report);
  return validate.errors ?? null;
}
