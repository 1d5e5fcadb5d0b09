/** The tests that have to notice what Stryker changes: `mutation.mjs` names them. */
import { defineConfig } from "vitest/config";
import base from "../../vitest.config.ts";

const include = (process.env.MUTATION_TESTS ?? "").split(" ");
// The core's own tests have no connection that could be judged.
const setupFiles = include.every((one) => one.startsWith("test/core/")) ? [] : base.test.setupFiles;

export default defineConfig({ test: { ...base.test, include, setupFiles } });
