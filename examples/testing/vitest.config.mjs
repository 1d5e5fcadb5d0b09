/** This folder holds tests for several runners: these are vitest's. */
export default { test: { include: ["vitest.test.mjs"] } };
