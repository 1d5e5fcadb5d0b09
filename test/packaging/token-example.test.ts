/**
 * The example for bearer tokens, from the packed tarball, on each runtime.
 *
 * @node It starts each runtime itself.
 */
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { certificates } from "../support/certificates.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { runtimes } from "../support/runtimes.ts";
import { type Folder, installPackage, type Outcome, run } from "./installed.ts";
import { type JudgeReport, judgeReport, putJudgeInto } from "./judged.ts";
import { root } from "./snippets.ts";

describe("the example for tokens", () => {
  let folder: Folder;
  let judge: JudgeReport;

  beforeAll(async () => {
    folder = await installPackage();
    await putJudgeInto(folder);
    await copyFile(join(root, "examples/token.mjs"), join(folder.path, "token.mjs"));
    await writeFile(join(folder.path, "ca.pem"), (await certificates()).ca);
  }, 60_000);

  afterAll(() => folder.remove());

  beforeEach(async () => {
    judge = await judgeReport();
  });

  afterEach(() => judge.expectNothing({}));

  const example = (command: readonly string[], port: number, token: string): Promise<Outcome> =>
    run(folder.path, [...command, "token.mjs", "localhost", String(port), "ada@example.com"], {
      TOKEN_COMMAND: `echo ${token}`,
      NODE_EXTRA_CA_CERTS: join(folder.path, "ca.pem"),
      DENO_NO_UPDATE_CHECK: "1",
      ...judge.env,
    });

  it.each(runtimes)(
    "sends mail, or says that the token was refused, on $name",
    { timeout: 60_000 },
    async ({ command }) => {
      const auth = { user: "ada", password: "secret", token: "good-token" };
      await using server = await startEmbeddedServer({ auth });
      expect(await example(command, server.port, "good-token")).toEqual({ status: 0, output: "sent after XOAUTH2\n" });
      expect(server.messages).toMatchObject([{ from: "ada@example.com", secure: true, user: "ada" }]);
      const { status, output } = await example(command, server.port, "bad-token");
      expect(status).toBe(1);
      expect(output).toMatch(/^refused: 535 /);
      expect(output).not.toContain("bad-token");
    },
  );
});
