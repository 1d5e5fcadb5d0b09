/** This folder has tests for several runners: this one is for vitest. */
export default { test: { include: ["vitest.test.mjs"] } };
