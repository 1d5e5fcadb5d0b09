/** The tests that have to notice what Stryker changes: `mutation.mjs` names them. */
import { defineConfig } from "vitest/config";
import base from "../../vitest.config.ts";

const include = (process.env.MUTATION_TESTS ?? "").split(" ");
// The projects of the base have lists of tests of their own, which would be played instead.
const [{ test }] = base.test.projects;
// The core's own tests have no connection that could be judged.
const setupFiles = include.every((one) => one.startsWith("test/core/")) ? [] : test.setupFiles;

export default defineConfig({
  test: { include, setupFiles, testTimeout: test.testTimeout, hookTimeout: test.hookTimeout },
});
