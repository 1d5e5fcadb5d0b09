/** The tests that must notice Stryker's changes: `mutation.mjs` names them. */
import { defineConfig } from "vitest/config";
import base from "../../vitest.config.ts";

const include = (process.env.MUTATION_TESTS ?? "").split(" ");
// The projects of the base have their own lists of tests, which would run instead.
const [{ test }] = base.test.projects;
// The core's own tests have no connection to judge.
const setupFiles = include.every((one) => one.startsWith("test/core/")) ? [] : test.setupFiles;

export default defineConfig({
  test: { include, setupFiles, testTimeout: test.testTimeout, hookTimeout: test.hookTimeout },
});
